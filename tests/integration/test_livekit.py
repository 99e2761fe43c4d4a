"""An avatar as the face of a LiveKit agent, driven by the framework's own types; only the room is made up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("livekit.agents", reason="the extra livekit is not installed: pip install livekit-agents")

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, AvatarRunner, QueueAudioOutput
from livekit.agents.voice.events import ErrorEvent
from livekit.agents.voice.io import AudioOutput, PlaybackFinishedEvent

from musetalk.avatars.bundle import Avatar
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.errors import ComputeError, MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.plugins.livekit import AvatarSession, FaceGenerator, VoiceOutput
from musetalk.plugins.livekit.generator import VOICE_AHEAD
from musetalk.plugins.livekit.media import video_frame
from musetalk.settings import RenderSettings
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveOptions
from musetalk.utils.arrays import Float32Array
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.livekit_room import Room
from tests.helpers.media import write_video
from tests.helpers.programs import HANG_SECONDS
from tests.integration.test_live import Painter

pytestmark = pytest.mark.integration
RATE, FPS, SIDE, FRAMES = 24_000, 25, 64, 14
CLOSING = 3  # frames in which a mouth closes


class Clock:
    """A clock that is as late as it is told to wait."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class Work:
    """What painting a frame does besides."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    def __call__(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture(scope="module")
def work() -> Work:
    return Work()


@pytest.fixture(scope="module")
def engine(work: Work) -> LipSync:
    spec = BackendSpec("one", "", lambda _: Painter(work))
    return LipSync(BackendRegistry((spec,)), EverywhereAFace())


@pytest.fixture(scope="module")
def avatar(engine: LipSync, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    folder = tmp_path_factory.mktemp("avatar")
    noise = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    frames = np.stack([np.roll(noise, frame, axis=1) for frame in range(FRAMES)])
    film = write_video(folder / "film.mp4", frames, Fraction(FPS))
    return engine.create_avatar(film, folder / "anna", RenderSettings.parse({"backend": "one"}))


@pytest.fixture(autouse=True)
def all_given_back(work: Work) -> Iterator[None]:
    before = threading.active_count()
    work.failure = None
    yield
    for thread in threading.enumerate():
        if thread.name.startswith(("face-", "live")):
            thread.join(60)  # one that is left is a failure below
    assert threading.active_count() <= before + 1  # one that LiveKit starts for all


@pytest.fixture
def session(engine: LipSync, avatar: Avatar) -> Iterator[StreamingSession]:
    with engine.live(avatar, options=LiveOptions(rate=RATE)) as opened:
        yield opened


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, HANG_SECONDS))


def words(seconds: float) -> Float32Array:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.4 * np.sin(900 * time) * (0.6 + 0.4 * np.sin(7 * time)), np.float32)


def in_frames(sound: Float32Array, seconds: float = 0.1) -> Iterator[rtc.AudioFrame]:
    size = round(seconds * RATE)
    for start in range(0, len(sound), size):
        pcm = (sound[start : start + size] * 32767).round().astype(np.int16)
        yield rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm))


async def say(target: FaceGenerator | AudioOutput, seconds: float) -> None:
    for frame in in_frames(words(seconds)):
        await (target.push_audio(frame) if isinstance(target, FaceGenerator) else target.capture_frame(frame))
    await target.push_audio(AudioSegmentEnd()) if isinstance(target, FaceGenerator) else target.flush()


def samples(frame: rtc.AudioFrame) -> Float32Array:
    return np.frombuffer(frame.data, np.int16) / np.float32(32767)


def still(picture: rtc.VideoFrame, resting: set[bytes]) -> bool:
    """Whether nothing is painted in a frame."""
    return bytes(picture.data) in resting


def resting_pictures(session: StreamingSession) -> set[bytes]:
    """All that the source has to show."""
    session.idle(2 * FRAMES)
    frames = [session.take(HANG_SECONDS) for _ in range(2 * FRAMES)]
    return {bytes(video_frame(frame.picture).data) for frame in frames if frame is not None}


class Reports:
    """What is reported of playback, in order."""

    def __init__(self, source: FaceGenerator | AudioOutput) -> None:
        self.began, self.finished = 0, list[tuple[float, bool]]()
        self.changed = asyncio.Event()
        source.on("playback_started", self._start)
        source.on("playback_finished", self._by_event if isinstance(source, AudioOutput) else self._finish)

    async def count(self, wanted: int, of: str = "finished") -> None:
        """Wait until so many are there."""
        while (self.began if of == "began" else len(self.finished)) < wanted:
            self.changed.clear()
            await self.changed.wait()

    def _start(self, *_: object) -> None:
        self.began += 1
        self.changed.set()

    def _by_event(self, event: PlaybackFinishedEvent) -> None:
        self._finish(event.playback_position, event.interrupted)

    def _finish(self, position: float, interrupted: bool) -> None:
        self.finished.append((position, interrupted))
        self.changed.set()


@asynccontextmanager
async def in_a_room(
    session: StreamingSession, output: Callable[[FaceGenerator], VoiceOutput | QueueAudioOutput]
) -> AsyncIterator[tuple[FaceGenerator, Any, Reports]]:
    """A generator and what captures its voice, with LiveKit's own runner between them."""
    generator = FaceGenerator(session)
    captures = output(generator)
    options = AvatarOptions(SIDE, SIDE, FPS, RATE, 1)
    runner = AvatarRunner(Room(), audio_recv=captures, video_gen=generator, options=options)  # type: ignore[arg-type]
    generator.av_sync = runner.av_sync
    await runner.start()
    try:
        yield generator, captures, Reports(captures)
    finally:
        generator.close()
        await runner.aclose()


def test_what_is_said_is_heard_whole_and_ends_with_its_last_sample(session: StreamingSession) -> None:
    async def speak() -> None:
        clock = Clock()
        generator = FaceGenerator(session, now=clock.now, sleep=clock.sleep)
        reports = Reports(generator)
        await say(generator, 1.0)
        began, sound, pictures = None, list[Float32Array](), 0
        async for part in generator:
            if isinstance(part, AudioSegmentEnd):
                break
            if isinstance(part, rtc.AudioFrame):
                began = clock.now() if began is None else began
                sound.append(samples(part))
            elif began is not None:
                pictures += 1
        assert (reports.began, reports.finished) == (1, [(pytest.approx(1.0), False)])
        heard = np.concatenate(sound)
        assert began is not None
        assert clock.now() >= began + 1.0 - 1e-6  # at the end of playback, and not before
        assert np.abs(heard[: RATE - 200] - words(1.0)[: RATE - 200]).max() < 0.01
        assert pictures == FPS - 1  # and the one that the sound began with
        generator.close()

    run(speak())


def test_little_sound_is_under_way_and_each_picture_comes_with_its_own(session: StreamingSession) -> None:
    async def speak() -> None:
        clock = Clock()
        resting = resting_pictures(session)
        generator = FaceGenerator(session, now=clock.now, sleep=clock.sleep)
        await say(generator, 2.0)
        ends, under_way, shown, heard = 0.0, list[float](), list[float](), list[float]()
        async for part in generator:
            if isinstance(part, AudioSegmentEnd):
                break
            if isinstance(part, rtc.AudioFrame):
                heard.append(max(clock.now(), ends))
                ends = heard[-1] + part.duration
                under_way.append(ends - clock.now())
            elif not still(part, resting):
                shown.append(clock.now())
        assert len(heard) == 2 * FPS
        assert max(under_way) <= VOICE_AHEAD + 1 / FPS + 1e-6
        apart = np.array(shown[: len(heard)]) - np.array(heard[: len(shown)])
        assert np.abs(apart).max() < 1e-6
        generator.close()

    run(speak())


def test_one_turn_after_the_other_each_reported_with_its_own_length(session: StreamingSession) -> None:
    async def speak() -> None:
        async with in_a_room(session, VoiceOutput) as (_, output, reports):
            await say(output, 0.6)
            await say(output, 0.32)  # while the first is still played
            await output.wait_for_playout()
            assert reports.finished == [(pytest.approx(0.6), False), (pytest.approx(0.32), False)]
            await say(output, 0.2)
            assert (await output.wait_for_playout()).playback_position == pytest.approx(0.2)
            assert reports.began == 3

    run(speak())


def test_an_interruption_is_reported_at_once_and_the_next_turn_is_spoken(session: StreamingSession) -> None:
    async def speak() -> None:
        async with in_a_room(session, VoiceOutput) as (_, output, reports):
            await say(output, 9.0)
            await reports.count(1, "began")
            output.flush()
            output.clear_buffer()
            output.clear_buffer()  # as the framework does
            assert (await output.wait_for_playout()).interrupted
            ((position, interrupted),) = reports.finished
            assert interrupted
            assert 0 <= position < 9.0
            await say(output, 0.4)
            await output.wait_for_playout()
            assert reports.finished[1:] == [(pytest.approx(0.4), False)]

    run(speak())


def test_after_an_interruption_there_is_no_sound_and_the_mouth_closes(session: StreamingSession) -> None:
    async def speak() -> None:
        clock = Clock()
        generator = FaceGenerator(session, now=clock.now, sleep=clock.sleep)
        resting = resting_pictures(session)
        reports = Reports(generator)
        await say(generator, 9.0)
        shown, after = 0, list[bool]()
        async for part in generator:
            if reports.finished:
                assert isinstance(part, rtc.VideoFrame)
                after.append(still(part, resting))
                if len(after) == 3 * FRAMES:
                    break
            elif isinstance(part, rtc.VideoFrame) and not still(part, resting):
                shown += 1
                if shown == 30:
                    generator.clear_buffer()
        ((position, interrupted),) = reports.finished
        assert interrupted
        assert position == pytest.approx(29 / FPS)  # of the thirtieth nothing was heard yet
        assert after.index(True) <= CLOSING + 1  # one may have been under way
        assert all(after[after.index(True) :])
        generator.close()

    run(speak())


def test_what_is_interrupted_before_it_is_read_is_reported_too(session: StreamingSession) -> None:
    async def speak() -> None:
        async with in_a_room(session, VoiceOutput) as (_, output, reports):
            await output.capture_frame(next(in_frames(words(0.1))))
            output.flush()
            output.clear_buffer()
            event = await output.wait_for_playout()
            assert (event.playback_position, event.interrupted) == (0.0, True)
            await say(output, 0.2)
            await output.wait_for_playout()
            assert reports.finished == [(0.0, True), (pytest.approx(0.2), False)]

    run(speak())


def test_a_voice_that_arrives_too_slowly_is_one_segment_all_the_same(session: StreamingSession) -> None:
    async def speak() -> None:
        clock = Clock()
        generator = FaceGenerator(session, now=clock.now, sleep=clock.sleep)
        reports = Reports(generator)
        chunks = list(in_frames(words(1.2), 0.6))
        await generator.push_audio(chunks[0])
        silent = 0
        async for part in generator:
            if isinstance(part, AudioSegmentEnd):
                break
            silent = 0 if isinstance(part, rtc.AudioFrame) else silent + 1
            if silent == FRAMES and chunks:  # its first half was spoken
                await generator.push_audio(chunks.pop())
                await generator.push_audio(AudioSegmentEnd())
                chunks.clear()
        assert reports.finished == [(pytest.approx(1.2), False)]
        assert reports.began == 1
        generator.close()

    run(speak())


def test_a_long_speech_waits_outside_until_it_is_dropped(session: StreamingSession) -> None:
    async def speak() -> None:
        generator = FaceGenerator(session)
        reports = Reports(generator)
        for frame in in_frames(words(30.0), 15.0):
            await generator.push_audio(frame)
        waiting = asyncio.create_task(generator.push_audio(next(in_frames(words(1.0), 1.0))))
        await asyncio.sleep(0)
        assert not waiting.done()
        generator.clear_buffer()
        await waiting
        assert reports.finished == [(0.0, True)]
        generator.close()

    run(speak())


def test_the_frameworks_own_output_is_served_as_well(session: StreamingSession) -> None:
    """As where the avatar's worker is another program: what counts is what the runner counts."""

    async def speak() -> None:
        output = QueueAudioOutput(wait_playback_start=True)
        async with in_a_room(session, lambda _: output) as (_, _, reports):
            await say(output, 0.4)
            await output.wait_for_playout()
            await say(output, 9.0)
            await reports.count(2, "began")
            output.clear_buffer()
            await output.wait_for_playout()
            assert reports.finished[0] == (pytest.approx(0.4, abs=0.03), False)
            assert reports.finished[1][1]
            assert 0 < reports.finished[1][0] < 9.0

    run(speak())


def test_what_fails_is_reported_and_nobody_waits(session: StreamingSession, work: Work) -> None:
    async def speak() -> None:
        async with in_a_room(session, VoiceOutput) as (generator, output, reports):
            failures = list[BaseException | None]()
            generator.on("closed", failures.append)
            work.failure = ComputeError("memory ran out")
            await say(output, 0.5)
            await output.wait_for_playout()
            await say(output, 0.5)
            await output.wait_for_playout()
            assert reports.finished == [(0.0, True), (0.0, True)]
            assert failures == [work.failure]

    run(speak())


def test_closing_in_the_middle_of_speech_leaves_nobody_waiting(session: StreamingSession) -> None:
    async def speak() -> None:
        async with in_a_room(session, VoiceOutput) as (_, output, reports):
            await say(output, 9.0)
            await reports.count(1, "began")
        assert (await output.wait_for_playout()).interrupted
        await say(output, 0.5)
        assert (await output.wait_for_playout()).interrupted
        assert len(reports.finished) == 2

    run(speak())


def test_an_agent_speaks_with_a_face_is_interrupted_and_speaks_again(engine: LipSync, avatar: Avatar) -> None:
    async def converse() -> None:
        room, agent = Room(), AgentSession()
        face = AvatarSession(avatar, engine=engine, options=LiveOptions(rate=RATE))
        await face.start(agent, room)  # type: ignore[arg-type]
        await agent.start(Agent(instructions=""))
        reports = Reports(agent.output.audio)
        await agent.say("one", audio=_spoken(0.5))
        speech = agent.say("two", audio=_spoken(9.0))
        await reports.count(2, "began")
        await speech.interrupt()
        await speech
        await agent.say("three", audio=_spoken(0.3))
        assert reports.finished[0] == (pytest.approx(0.5), False)
        assert reports.finished[1][1]
        assert reports.finished[2] == (pytest.approx(0.3), False)
        assert face.avatar_identity == room.local_participant.identity
        assert set(room.local_participant.track_publications) == {"avatar_audio", "avatar_video"}
        await agent.aclose()
        await face.aclose()
        await face.aclose()

    run(converse())


def test_a_face_that_fails_is_told_to_the_agents_session(engine: LipSync, avatar: Avatar, work: Work) -> None:
    async def converse() -> None:
        agent = AgentSession()
        face = AvatarSession(avatar, engine=engine)
        failed, errors = list[BaseException](), list[ErrorEvent]()
        face.on("failed", failed.append)
        agent.on("error", errors.append)
        await face.start(agent, Room())  # type: ignore[arg-type]
        await agent.start(Agent(instructions=""))
        work.failure = ComputeError("memory ran out")
        await agent.say("one", audio=_spoken(0.5))
        assert failed == [work.failure]
        assert [event.error for event in errors] == [work.failure]
        await agent.aclose()
        await face.aclose()

    run(converse())


def test_a_room_that_refuses_tracks_leaves_no_agent_waiting(engine: LipSync, avatar: Avatar) -> None:
    async def converse() -> None:
        agent = AgentSession()
        face = AvatarSession(avatar, engine=engine)
        failed = list[BaseException]()
        face.on("failed", failed.append)
        await face.start(agent, Room(refuses=True))  # type: ignore[arg-type]
        await agent.start(Agent(instructions=""))
        await agent.say("one", audio=_spoken(0.5))
        assert [str(error) for error in failed] == ["no permission to publish"]
        await agent.aclose()
        await face.aclose()

    run(converse())


async def _spoken(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    for frame in in_frames(words(seconds)):
        yield frame


def test_an_avatar_that_cannot_be_opened_says_so(avatar: Avatar) -> None:
    async def start() -> None:
        face = AvatarSession(avatar, engine=LipSync(BackendRegistry(())))
        with pytest.raises(MuseTalkError):
            await face.start(AgentSession(), Room())  # type: ignore[arg-type]

    run(start())
