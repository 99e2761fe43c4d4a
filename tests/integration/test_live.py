from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import BackendError, ComputeError, VoiceError
from musetalk.lipsync import LipSync
from musetalk.media.sound.voice import read_speech
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import output_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings, SilenceSettings, SpeechSettings
from musetalk.streaming.hearing import hear_voice
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame, LiveOptions
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.stopping import stop_point
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.loud_speech import RATE, LoudSpeech, whole
from tests.helpers.media import write_video, write_wav
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
FRAMES, SIDE, SPOKEN = 14, 64, 50


@dataclass
class Painter:
    """Paints a face as bright as the voice is loud, in colors that are off."""

    work: Callable[[], object] = lambda: None
    spec: GeneratorSpec = field(default_factory=GeneratorSpec)
    crop_size, clip_length, device = 32, 6, "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        self.work()
        loud = 60 * clip.speech[:, :1, None, None].reshape(-1, 1, 1, 1)
        return np.clip(clip.crops * 0.8 + loud + np.array([9, 0, -7]), 0, 255).astype(np.uint8)


def words(seconds: float, rate: int = RATE) -> Float32Array:
    """Something that swells and fades, in numbers that a file of 16 bits holds."""
    time = np.arange(round(seconds * rate)) / rate
    pcm = (0.4 * np.sin(900 * time) * np.sin(7 * time) ** 2 * 32767).astype(np.int16)
    return np.asarray(pcm / np.float32(32768), np.float32)


@pytest.fixture(scope="module", params=[Fraction(25), Fraction(30000, 1001)], ids=["25", "29.97"])
def fps(request: pytest.FixtureRequest) -> Fraction:
    rate: Fraction = request.param
    return rate


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, fps: Fraction) -> Path:
    noise = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    frames = np.stack([np.roll(noise, frame, axis=1) for frame in range(FRAMES)])
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", frames, fps)


@pytest.fixture
def prepared(film: Path, tmp_path: Path) -> Iterator[RenderPlan]:
    with plan_for(film, tmp_path) as plan:
        yield plan


def plan_for(film: Path, folder: Path, painter: Painter | None = None, backend: BackendSpec | None = None):  # noqa: ANN201
    spec = backend or BackendSpec("one", "", lambda _: painter or Painter())
    voice = write_wav(folder / "voice.wav", words(SPOKEN / 25) * 32768 / 32767)
    settings = RenderSettings.parse({"backend": spec.name})
    return LipSync(BackendRegistry((spec,)), EverywhereAFace()).preparing(film, voice, settings, folder)


def offline(plan: RenderPlan) -> list[UInt8Array]:
    """The frames of a render that hears the voice as the live session does."""
    count = plan.timeline.frame_count
    assert plan.voice is not None
    speech = whole(np.concatenate(list(read_speech(plan.voice))), plan.source.fps, count)
    heard = replace(plan, session=replace(plan.session, speech=speech))
    return [frame.picture.data for frame in output_frames(heard, 0, count, RenderRun())]


def live(plan: RenderPlan, **options: object) -> StreamingSession:
    return StreamingSession(plan, lambda: LoudSpeech(plan.source.fps), LiveOptions(**options))  # type: ignore[arg-type]


def pushed(session: StreamingSession, voice: Float32Array, chunk: int, rate: int | None = None) -> list[LiveFrame]:
    """What comes of a voice that is pushed in chunks while frames are taken."""

    def push() -> None:
        for start in range(0, len(voice), chunk):
            session.push(voice[start : start + chunk], rate, timeout=HANG_SECONDS)
        session.flush()

    pusher = threading.Thread(target=push)
    pusher.start()
    frames = []
    while not frames or not frames[-1].last:
        frames.append(taken(session))
    pusher.join()
    return frames


def taken(session: StreamingSession) -> LiveFrame:
    frame = session.take(timeout=HANG_SECONDS)
    assert frame is not None
    return frame


@pytest.mark.parametrize("chunk", [160, 1280, 5000, 32_000])
def test_live_frames_are_those_of_a_render(prepared: RenderPlan, chunk: int) -> None:
    wanted = offline(prepared)
    with live(prepared) as session:
        frames = pushed(session, words(SPOKEN / 25), chunk)
    assert [frame.number for frame in frames] == list(range(len(wanted)))
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, wanted, strict=True))
    assert not np.array_equal(frames[9].picture.data, frames[9].source.data)
    assert {frame.utterance for frame in frames} == {0}


def test_a_voice_is_the_same_in_any_type_of_samples(prepared: RenderPlan) -> None:
    voice = words(0.6)
    found = []
    for pcm in (voice, (voice * 32768).round().astype(np.int16), np.stack([voice, voice], axis=1).astype(np.float64)):
        with live(prepared) as session:
            session.push(pcm)
            session.flush()
            found.append(list(session.spoken()))
    for frames in found[1:]:
        assert len(frames) == len(found[0])
        for frame, first in zip(frames, found[0], strict=True):
            assert np.abs(frame.picture.data.astype(int) - first.picture.data).max() <= 1
            assert np.allclose(frame.sound, first.sound, atol=1 / 32768)


@pytest.mark.parametrize(
    ("pcm", "rate"),
    [
        (np.zeros(9, np.int32), None),
        (np.zeros((2, 2, 2)), None),
        (["a"], None),
        (np.zeros(9), 500),
        (np.zeros(9), 10**6),
    ],
)
def test_what_is_no_voice_is_refused_and_the_session_lives(prepared: RenderPlan, pcm: object, rate: int | None) -> None:
    with live(prepared) as session:
        with pytest.raises(VoiceError):
            session.push(pcm, rate)  # type: ignore[arg-type]
        session.push(words(0.4))
        session.flush()
        assert len(list(session.spoken())) == round(0.4 * session.fps)


def test_numbers_that_are_none_are_silence(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.push(np.full(8000, np.nan, np.float32))
        session.flush()
        frames = list(session.spoken())
    assert len(frames) == round(session.fps / 2)
    assert not any(frame.sound.any() for frame in frames)


def test_an_interruption_drops_what_was_pushed_and_the_source_goes_on(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.push(words(20), timeout=HANG_SECONDS)
        before = [taken(session) for _ in range(9)]
        session.interrupt()
        session.push(words(1))
        session.flush()
        after = list(session.spoken())
    assert [frame.number for frame in before + after] == list(range(len(before + after)))
    closing = [frame for frame in after if frame.utterance is None]
    assert [frame.number for frame in closing] == list(range(9, 9 + round(0.12 * session.fps)))
    assert {frame.utterance for frame in after[len(closing) :]} == {1}
    assert len(after) - len(closing) == round(session.fps)
    sources = [frame.source.data for frame in before + after]
    with live(prepared) as session:  # the source is shown as if nothing had happened
        session.idle(len(sources))
        undisturbed = [taken(session).picture.data for _ in sources]
    assert all(np.array_equal(*pair) for pair in zip(sources, undisturbed, strict=True))


def test_an_interruption_ends_what_is_being_painted(film: Path, tmp_path: Path) -> None:
    begun, calls = threading.Event(), count()

    def paint() -> None:
        first = next(calls) == 0
        begun.set()
        while first:  # it has no end of its own
            stop_point()
            threading.Event().wait(0.002)

    with plan_for(film, tmp_path, Painter(paint)) as plan, live(plan) as quiet, live(plan) as session:
        quiet.idle(FRAMES)
        sources = [frame.source.data for frame in quiet.spoken()]
        session.push(words(0.4))
        session.flush()
        assert begun.wait(HANG_SECONDS)
        session.interrupt()
        frames = [taken(session)]
        session.push(words(0.4))
        session.flush()
        frames += session.spoken()
    assert [frame.number for frame in frames] == list(range(len(frames))) and len(frames) > 10
    for frame, source in zip(frames, sources, strict=False):
        assert np.array_equal(frame.source.data, source)


def test_an_interruption_drops_no_frames_in_which_nobody_speaks(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.idle(3)
        numbers = [taken(session).number]
        for _ in range(9):
            session.interrupt()
        numbers += [taken(session).number for _ in range(2)]
    assert numbers == [0, 1, 2]


def test_who_waits_for_a_frame_gets_one_after_an_interruption(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.push(words(0.1))  # too little to be spoken
        session.idle(1)
        session.interrupt()
        assert taken(session).utterance is None


def test_voices_of_no_whole_frames_leave_no_waiting_behind(prepared: RenderPlan) -> None:
    with live(prepared, most_waiting=0.5) as session:
        for _ in range(40):
            session.push(words(1.45 / 25), timeout=HANG_SECONDS)  # is a frame, or two
            session.flush()
            assert {frame.utterance is not None for frame in session.spoken()} == {True}


def test_the_shortest_voices_count_as_the_frames_that_they_are(prepared: RenderPlan) -> None:
    with live(prepared, most_waiting=1.0) as session, pytest.raises(VoiceError):
        for _ in range(100):
            session.push(words(1 / RATE), timeout=0.01)
            session.flush()


def test_a_long_voice_is_heard_little_by_little(prepared: RenderPlan) -> None:
    speech = LoudSpeech(prepared.source.fps)
    with StreamingSession(prepared, lambda: speech) as session:
        session.push(words(20))
        session.flush()
        taken(session)
        assert len(speech.samples) < 5 * RATE


def test_hearing_holds_up_nobody_else(prepared: RenderPlan) -> None:
    hears, may_go_on, held_up = threading.Event(), threading.Event(), list[bool]()

    class SlowSpeech(LoudSpeech):
        def push(self, samples: Float32Array) -> None:
            hears.set()
            held_up.append(not may_go_on.wait(HANG_SECONDS))
            super().push(samples)

    with StreamingSession(prepared, lambda: SlowSpeech(prepared.source.fps)) as session:
        session.push(words(1))
        hears.wait(HANG_SECONDS)
        session.interrupt()
        may_go_on.set()
        assert taken(session).utterance is None
    assert not any(held_up)


@pytest.mark.parametrize("unshown", [1, 3])
def test_frames_that_nobody_saw_come_back_with_an_interruption(prepared: RenderPlan, unshown: int) -> None:
    with live(prepared) as session:
        session.push(words(20), timeout=HANG_SECONDS)
        before = [taken(session) for _ in range(9)]
        session.interrupt(before[-unshown:])
        session.idle(FRAMES)
        after = [taken(session) for _ in range(FRAMES)]
    seen = before[:-unshown] + after
    assert [frame.number for frame in seen] == list(range(len(seen)))
    assert not any(frame.utterance is not None for frame in after)
    with live(prepared) as session:
        session.idle(len(seen))
        undisturbed = [taken(session).picture.data for _ in seen]
    assert all(np.array_equal(frame.source.data, picture) for frame, picture in zip(seen, undisturbed, strict=True))


def test_frames_after_which_others_were_taken_do_not_come_back(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.push(words(20), timeout=HANG_SECONDS)
        before = [taken(session) for _ in range(9)]
        session.interrupt(before[4:8])
        assert taken(session).number == 9


def test_silence_shows_the_source_as_it_is(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        session.idle(3 * FRAMES)
        frames = [taken(session) for _ in range(3 * FRAMES)]
    assert all(frame.picture is frame.source and frame.utterance is None for frame in frames)
    assert not any(frame.sound.any() for frame in frames)


def test_a_microphone_that_is_left_open_costs_no_network(film: Path, tmp_path: Path) -> None:
    painted = list[int]()
    painter = Painter(lambda: painted.append(1))
    with plan_for(film, tmp_path, painter) as plan:
        hear = partial(hear_voice, None, SpeechSettings(), SilenceSettings(), plan.source.fps, LiveOptions())
        with StreamingSession(plan, hear) as session:
            frames = pushed(session, np.zeros(30 * RATE, np.float32), RATE)
    assert len(frames) == round(30 * plan.source.fps)
    assert {frame.utterance for frame in frames} == {0}
    moving = [frame for frame in frames if frame.number > 4 * plan.source.fps]
    assert all(frame.picture is frame.source for frame in moving)
    assert not np.array_equal(moving[0].picture.data, moving[1].picture.data)
    assert len(painted) < 4 * plan.source.fps
    assert (session.metrics.steady_fps or 0) > 0


def test_no_more_is_painted_than_may_wait(prepared: RenderPlan) -> None:
    with live(prepared, most_ahead=4, most_waiting=1.0) as session:
        session.push(words(2), timeout=HANG_SECONDS)
        with pytest.raises(VoiceError):
            session.push(words(1), timeout=0.05)
        taking = threading.Thread(target=lambda: [taken(session) for _ in range(40)])
        taking.start()
        session.push(words(1), timeout=HANG_SECONDS)  # there is room again
        taking.join()
        assert session.waiting <= 4 + Painter.clip_length


def test_a_session_that_is_closed_gives_nothing_more(prepared: RenderPlan) -> None:
    threads = threading.active_count()
    session = live(prepared)
    session.push(words(3))
    taken(session)
    waiting = threading.Thread(target=lambda: [None for _ in iter(session.take, None)])
    waiting.start()
    session.close()
    session.close()
    waiting.join(HANG_SECONDS)
    assert not waiting.is_alive()
    assert threading.active_count() == threads


def test_a_session_whose_opener_cancels_it_is_closed(prepared: RenderPlan) -> None:
    run = RenderRun()
    with StreamingSession(prepared, lambda: LoudSpeech(prepared.source.fps), run=run) as session:
        session.push(words(3))
        taken(session)
        run.cancel.cancel()
        for _ in iter(session.take, None):
            pass
        assert session.closed


def test_each_voice_has_the_number_that_its_frames_tell(prepared: RenderPlan) -> None:
    with live(prepared) as session:
        numbers = []
        for rate in (16_000, 16_000, 24_000):
            numbers.append(session.push(words(0.3, rate), rate))
            numbers.append(session.push(words(0.1, rate), rate))
            session.flush()
        assert [frame.utterance for frame in session.spoken() if frame.last] == [0, 1, 2]
    assert numbers == [0, 0, 1, 1, 2, 2]


def test_what_fails_is_told_to_whoever_takes_and_pushes(film: Path, tmp_path: Path) -> None:
    def fail() -> None:
        raise ComputeError("memory ran out")

    with plan_for(film, tmp_path, Painter(fail)) as plan, live(plan) as session:
        session.push(words(1))
        with pytest.raises(ComputeError):
            taken(session)
        with pytest.raises(ComputeError):
            session.push(words(1))


def test_a_backend_that_needs_many_frames_at_once_is_refused(film: Path, tmp_path: Path) -> None:
    painter = Painter(spec=GeneratorSpec(min_clip=6, clip_overlap=2))
    with plan_for(film, tmp_path, painter) as plan, pytest.raises(BackendError):
        live(plan)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("chunk", [0.01, 0.08, 2.0])
def test_the_preview_speaks_live_as_in_a_render(film: Path, tmp_path: Path, rate: int, chunk: float) -> None:
    voice = words(SPOKEN / 25, rate)
    path = write_wav(tmp_path / "at-rate.wav", voice * 32768 / 32767, rate)
    settings = RenderSettings.parse({"backend": "preview"})
    with LipSync(BackendRegistry((PREVIEW,)), EverywhereAFace()).preparing(film, path, settings, tmp_path) as plan:
        count = plan.timeline.frame_count
        wanted = [frame.picture.data for frame in output_frames(plan, 0, count, RenderRun())]
        options = LiveOptions(rate=rate)
        hear = partial(hear_voice, None, settings.speech, settings.silence, plan.source.fps, options)
        with StreamingSession(plan, hear, options) as session:
            frames = pushed(session, voice, round(chunk * rate))
    assert len(frames) == count
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, wanted, strict=True))
    assert any(not np.array_equal(frame.picture.data, frame.source.data) for frame in frames)
    sound = np.concatenate([frame.sound for frame in frames])
    length = min(len(sound), len(voice))
    assert np.array_equal(sound[:length], voice[:length])
    assert not sound[length:].any()
    assert len(voice) - length < rate / plan.source.fps / 2 + 1
