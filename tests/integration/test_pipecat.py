from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pipecat", reason="the extra pipecat is not installed")

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from musetalk.avatars.bundle import Avatar
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.errors import ComputeError
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame as Picture
from musetalk.pipeline.segments import Segment
from musetalk.plugins.pipecat import MuseTalkVideoService
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.streaming.renderer import LiveRenderer
from musetalk.streaming.types import LiveOptions
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import write_video
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
RATE, FPS, SIDE, FRAMES = 24_000, 25, 64, 14
A_FRAME = RATE // FPS * 2  # bytes of sound
Predicate = Callable[["Heard"], bool]


class Heard(FrameProcessor):
    """Keeps what passes by downstream."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._changed = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            async with self._changed:
                self.frames.append(frame)
                self._changed.notify_all()
        await self.push_frame(frame, direction)

    async def until(self, happened: Predicate) -> None:
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: happened(self)), HANG_SECONDS)

    @property
    def images(self) -> list[bytes]:
        return [frame.image for frame in self.frames if isinstance(frame, OutputImageRawFrame)]

    @property
    def sound(self) -> bytes:
        return b"".join(frame.audio for frame in self.frames if isinstance(frame, OutputAudioRawFrame))

    def after(self, kind: type[Frame]) -> list[Frame]:
        """What came after the last frame of a kind."""
        at = max(number for number, frame in enumerate(self.frames) if isinstance(frame, kind))
        return self.frames[at + 1 :]


class FakeTransport(BaseOutputTransport):
    """Plays sound at once, and is ready at once."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        return True


@dataclass
class Call:
    """An agent with a face, a transport, and somebody who listens."""

    service: MuseTalkVideoService
    sent: Heard = field(default_factory=Heard)  # to the transport
    played: Heard = field(default_factory=Heard)  # by it
    errors: list[ErrorFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        params = TransportParams(
            audio_out_enabled=True, audio_out_end_silence_secs=0, video_out_enabled=True, video_out_width=SIDE
        )
        pipeline = Pipeline([self.service, self.sent, FakeTransport(params), self.played])
        self.worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False, enable_rtvi=False)
        self.failed = asyncio.Event()
        self.service.add_event_handler("on_error", self._note)

    async def _note(self, _: FrameProcessor, error: ErrorFrame) -> None:
        self.errors.append(error)
        self.failed.set()

    async def say(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)


def calling(service: Callable[[], MuseTalkVideoService], script: Callable[[Call], Awaitable[None]]) -> Call:
    """Run a call from beginning to end; nothing of it may be left."""

    async def run() -> Call:
        call = Call(service())
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(call.worker)
        await asyncio.wait_for(asyncio.gather(runner.run(), script(call)), HANG_SECONDS)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return call

    before = set(threading.enumerate())
    call = asyncio.run(run())
    left = set(threading.enumerate()) - before
    assert all(thread.name.startswith("ThreadPoolExecutor") for thread in left)  # Pipecat's, for which it does not wait
    return call


def words(seconds: float, seed: int = 0) -> bytes:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.05, len(time))
    return (
        ((0.4 * np.sin(900 * time) * np.sin(7 * time) ** 2 + noise) * 32767).clip(-32768, 32767).astype("<i2").tobytes()
    )


def spoken(sound: bytes, chunk: float = 0.02, *, stops: bool = True) -> list[Frame]:
    """What a text-to-speech service sends."""
    size = round(chunk * RATE) * 2
    chunks = [TTSAudioRawFrame(sound[at : at + size], RATE, 1) for at in range(0, len(sound), size)]
    return [TTSStartedFrame(), *chunks, *([TTSStoppedFrame()] if stops else [])]


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync(BackendRegistry((PREVIEW,)), EverywhereAFace())


@pytest.fixture(scope="module")
def avatar(engine: LipSync, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    folder = tmp_path_factory.mktemp("avatar")
    noise = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    film = write_video(folder / "film.mp4", np.stack([np.roll(noise, at, axis=1) for at in range(FRAMES)]), FPS)
    return engine.create_avatar(film, folder / "anna", RenderSettings.parse({"backend": "preview"}))


@pytest.fixture(scope="module")
def source(engine: LipSync, avatar: Avatar) -> list[bytes]:
    """The pixels of the source as it goes on and back, where nobody speaks."""
    with engine.live(avatar) as session:
        session.idle(2 * FRAMES)
        frames = [session.take(HANG_SECONDS) for _ in range(2 * FRAMES)]
    return [frame.picture.rgb().tobytes() for frame in frames if frame is not None]


@pytest.fixture
def service(engine: LipSync, avatar: Avatar) -> Callable[[], MuseTalkVideoService]:
    return lambda: MuseTalkVideoService(avatar, engine=engine)


def test_each_picture_goes_before_its_sound_and_nothing_is_lost(
    service: Callable[[], MuseTalkVideoService], engine: LipSync, avatar: Avatar
) -> None:
    sound = words(1.003)
    text = TTSTextFrame("half way", text_type="word")

    async def script(call: Call) -> None:
        frames = spoken(sound)
        await call.say(*frames[:26], text, *frames[26:])  # after 0.5 s of sound
        await call.say(EndFrame())

    call = calling(service, script)
    assert not call.errors
    assert call.sent.sound == sound
    assert call.played.sound[: len(sound)] == sound and not any(call.played.sound[len(sound) :])
    others = [frame for frame in call.sent.frames if not isinstance(frame, OutputImageRawFrame | OutputAudioRawFrame)]
    kinds = [type(frame) for frame in others if not isinstance(frame, StartFrame)]
    assert kinds[-4:] == [TTSStartedFrame, TTSTextFrame, TTSStoppedFrame, EndFrame]
    before_text = call.sent.frames[: call.sent.frames.index(text)]
    assert sum(len(frame.audio) for frame in before_text if isinstance(frame, TTSAudioRawFrame)) == RATE
    shares, silent = shown(call.sent)
    assert all(
        share == sound[number * A_FRAME : (number + 1) * A_FRAME]
        for number, (_, share) in enumerate(shares[silent : silent + 24])
    )
    assert [picture for picture, _ in shares[silent:]][:25] == live(engine, avatar, sound, silent)
    assert shown(call.played)[0][silent] == shares[silent]


def shown(heard: Heard) -> tuple[list[tuple[bytes, bytes]], int]:
    """Each picture with the sound that follows it, and how many came before the first that speaks."""
    shares: list[tuple[bytes, bytes]] = []
    for frame in heard.frames:
        if isinstance(frame, OutputImageRawFrame):
            assert frame.sync_with_audio and frame.size == (SIDE, SIDE) and frame.format == "RGB"
            shares.append((frame.image, b""))
        elif isinstance(frame, OutputAudioRawFrame):
            shares[-1] = (shares[-1][0], shares[-1][1] + frame.audio)
    return shares, next(number for number, (_, sound) in enumerate(shares) if sound)


def live(engine: LipSync, avatar: Avatar, sound: bytes, silent: int) -> list[bytes]:
    """The pixels of what a session speaks after so many frames of silence."""
    with engine.live(avatar, None, LiveOptions(RATE, most_ahead=silent + 1)) as session:
        session.idle(silent)
        for _ in range(silent):
            session.take(HANG_SECONDS)
        session.push(np.frombuffer(sound, "<i2"))
        session.flush()
        return [frame.picture.rgb().tobytes() for frame in session.spoken()]


def test_the_source_goes_on_moving_where_nobody_speaks(
    service: Callable[[], MuseTalkVideoService], source: list[bytes]
) -> None:
    async def script(call: Call) -> None:
        await call.sent.until(lambda heard: len(heard.images) > FRAMES)
        await call.say(EndFrame())

    call = calling(service, script)
    assert call.sent.images[: FRAMES + 1] == source[: FRAMES + 1]
    assert not call.sent.sound


def test_an_interruption_ends_speech_and_the_next_turn_is_heard(
    service: Callable[[], MuseTalkVideoService], source: list[bytes]
) -> None:
    sound = words(0.6, seed=1)

    async def script(call: Call) -> None:
        await call.say(*spoken(words(20), chunk=1.0))
        await call.sent.until(lambda heard: len(heard.sound) >= 10 * A_FRAME)
        await call.say(InterruptionFrame())
        await call.sent.until(lambda heard: resting(heard, source))
        await call.say(*spoken(sound))
        await call.sent.until(lambda heard: isinstance(heard.frames[-1], TTSStoppedFrame))
        await call.say(EndFrame())

    call = calling(service, script)
    after = call.sent.after(InterruptionFrame)
    assert len(call.sent.sound) < 2 * RATE * 2
    assert b"".join(frame.audio for frame in after if isinstance(frame, TTSAudioRawFrame)) == sound
    images = [frame.image for frame in after if isinstance(frame, OutputImageRawFrame)]
    assert [image in source for image in images].index(True) <= 0.2 * FPS
    assert images[-1] in source
    assert [type(frame) for frame in after if isinstance(frame, TTSStartedFrame | TTSStoppedFrame)] == [
        TTSStartedFrame,
        TTSStoppedFrame,
    ]


def resting(heard: Heard, source: list[bytes]) -> bool:
    interrupted = any(isinstance(frame, InterruptionFrame) for frame in heard.frames)
    return interrupted and heard.images[-1] in source


@pytest.mark.parametrize("before", [0.0, 1.0], ids=["alone", "after other speech"])
def test_what_must_not_be_interrupted_is_spoken_to_its_end(
    service: Callable[[], MuseTalkVideoService], before: float
) -> None:
    sound = words(1.0)

    async def script(call: Call) -> None:
        kept = spoken(sound, chunk=0.1)
        for frame in kept:
            frame.interruptible = False
        await call.say(*(spoken(words(before, seed=1)) if before else []), *kept)
        await call.sent.until(lambda heard: len(heard.sound) >= 6 * A_FRAME)
        await call.say(InterruptionFrame())
        await call.sent.until(lambda heard: isinstance(heard.frames[-1], TTSStoppedFrame))
        await call.say(EndFrame())

    heard = calling(service, script).sent.sound
    assert heard.endswith(sound)
    assert len(heard) - len(sound) < max(1, len(words(before)))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3])
def test_the_end_waits_for_a_voice_that_nobody_ended(
    service: Callable[[], MuseTalkVideoService], source: list[bytes], seconds: float
) -> None:
    async def script(call: Call) -> None:
        await call.say(*spoken(words(seconds), stops=False), EndFrame())

    call = calling(service, script)
    assert call.sent.sound == words(seconds)
    assert isinstance(call.sent.frames[-1], EndFrame)
    assert call.sent.images[-1:] == [] or call.sent.images[-1] in source


def test_cancelling_ends_everything_at_once(service: Callable[[], MuseTalkVideoService]) -> None:
    async def script(call: Call) -> None:
        await call.say(*spoken(words(30), chunk=1.0))
        await call.sent.until(lambda heard: len(heard.sound) >= A_FRAME)
        await call.worker.cancel()

    call = calling(service, script)
    assert len(call.sent.sound) < 10 * RATE * 2
    assert any(isinstance(frame, CancelFrame) for frame in call.sent.frames)


def test_without_its_avatar_an_agent_still_has_its_voice(engine: LipSync, tmp_path: Path) -> None:
    sound = words(0.3)

    async def script(call: Call) -> None:
        await call.say(*spoken(sound), EndFrame())

    call = calling(lambda: MuseTalkVideoService(tmp_path / "nobody", engine=engine), script)
    assert call.sent.sound == sound
    assert len(call.errors) == 1 and not call.service.is_usable


def test_a_session_that_fails_is_told_and_the_voice_goes_on(
    service: Callable[[], MuseTalkVideoService], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, paint, painted = words(1.0), LiveRenderer.paint, itertools.count()

    def fail(renderer: LiveRenderer, segment: Segment, run: RenderRun) -> list[tuple[Picture, Picture]]:
        if segment.tracks and next(painted) > 0:
            raise ComputeError("memory ran out")
        return paint(renderer, segment, run)

    monkeypatch.setattr(LiveRenderer, "paint", fail)

    async def script(call: Call) -> None:
        await call.say(*spoken(sound))
        await call.failed.wait()
        await call.say(*spoken(sound), InterruptionFrame(), *spoken(sound), EndFrame())

    call = calling(service, script)
    assert call.sent.images
    assert call.sent.sound.startswith(sound) and call.sent.sound.endswith(sound)
    assert len(call.errors) == 1 and not call.service.is_usable


def test_other_rates_and_channels_go_through_as_they_came(service: Callable[[], MuseTalkVideoService]) -> None:
    stereo = np.repeat(np.frombuffer(words(0.5), "<i2"), 2).tobytes()

    async def script(call: Call) -> None:
        await call.say(TTSStartedFrame(), TTSAudioRawFrame(stereo, 16_000, 2), TTSStoppedFrame())
        await call.say(*spoken(words(0.2)), EndFrame())

    assert calling(service, script).sent.sound == stereo + words(0.2)


def test_sound_that_cannot_be_spoken_is_told_and_heard(service: Callable[[], MuseTalkVideoService]) -> None:
    async def script(call: Call) -> None:
        await call.say(TTSAudioRawFrame(words(0.2), 4_000, 1), TTSStoppedFrame(), EndFrame())

    call = calling(service, script)
    assert call.sent.sound == words(0.2)
    assert len(call.errors) == 1 and call.service.is_usable
