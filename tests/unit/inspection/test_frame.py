from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.compositing.masks import face_mask
from musetalk.compositing.outline import mask_outline
from musetalk.errors import Cancelled, MediaError, SettingsError, VoiceError
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox
from musetalk.inspection.frame import FramePreview
from musetalk.inspection.sampling import open_voice, sampled_places, stretch_around, telling_places
from musetalk.lipsync import LipSync
from musetalk.media.sound.voice import extract_voice
from musetalk.media.timing.clock import FrameClock
from musetalk.media.types import ColorTags, Source
from musetalk.pipeline.speech import measure_around, measure_voice
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.settings import Limits, MaskSettings, RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, SIDE, drawn_face
from tests.helpers.errors import raises_kind
from tests.helpers.media import tone, write_video, write_wav

pytestmark = pytest.mark.slow

FPS = 25
FACELESS = range(12, 24)  # frames of the clip that show no face
FRAMES = 36
LEFT, RIGHT = BOX, FaceBox(BOX.x0 + SIDE, BOX.y0, BOX.x1 + SIDE, BOX.y1, 1.0)


class SkinDetector:
    """Finds the drawn faces where the picture is skin-colored between the eyes."""

    fingerprint = "skin"
    max_side = 480

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: UInt8Array) -> list[FaceBox]:
        k = frame.shape[0] / SIDE
        return [
            FaceBox(box.x0 * k, box.y0 * k, box.x1 * k, box.y1 * k, 30.0)
            for box in (LEFT, RIGHT)
            if box.x1 * k < frame.shape[1] and self._is_skin(frame, box.center[0] * k, 100 * k)
        ]

    @staticmethod
    def _is_skin(frame: UInt8Array, x: float, y: float) -> bool:
        red, _, blue = frame[round(y), round(x)].astype(int)
        return bool(red - blue > 30)


class Inverter:
    """A generator that cannot be overlooked, and tells what it was given."""

    crop_size = None
    clip_length = 4
    spec = GeneratorSpec()
    device = "cpu"

    def __init__(self) -> None:
        self.clips: list[Clip] = []

    def generate(self, clip: Clip) -> UInt8Array:
        self.clips.append(clip)
        return 255 - clip.crops


def engine(generator: Inverter | None = None) -> LipSync:
    if generator is None:
        return LipSync(detector=SkinDetector())
    backend = BackendSpec("preview", "for tests", lambda _: generator, quality=0)
    return LipSync(BackendRegistry((backend,)), detector=SkinDetector())


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces side by side, then none, then both again: 1.44 s."""
    face, empty = drawn_face(), np.full((SIDE, SIDE, 3), (60, 90, 140), np.uint8)
    both, none = np.concatenate([face, face], axis=1), np.concatenate([empty, empty], axis=1)
    frames = np.stack([none if k in FACELESS else both for k in range(FRAMES)])
    return write_video(tmp_path_factory.mktemp("talk") / "talk.mp4", frames, FPS)


def changed(found: FramePreview) -> np.ndarray:
    """Where the result differs from the source: bool [H, W]."""
    assert found.result is not None
    return np.asarray((np.abs(found.result.astype(int) - found.frame.astype(int)) > 20).any(axis=2))


def test_a_telling_moment_has_a_face_and_an_open_mouth(talk: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", np.concatenate([np.zeros(12 * 640), tone(2.0)]))  # loud from frame 12 on
    found = engine().preview_frame(talk, voice, RenderSettings(backend="preview"))
    assert found.source_frame not in FACELESS
    assert found.frame.shape == (SIDE, 2 * SIDE, 3)
    assert [round(box.center[0]) for box in found.boxes] == [160, 480]
    assert len(found.chosen) == len(found.outlines) == 1
    assert found.chosen[0].box in found.boxes
    assert changed(found).any()
    assert found.notes == ()
    assert found.seconds == pytest.approx(found.source_frame / FPS)


def test_the_face_at_a_point_is_chosen_and_nothing_else_changes(talk: Path, voice: Path) -> None:
    for x, side in ((100.0, 0), (600.0, 1)):
        generator = Inverter()
        found = engine(generator).preview_frame(talk, voice, RenderSettings(face=(x, 150.0)), at=0.3)
        halves = np.split(changed(found), 2, axis=1)
        assert [bool(half.any()) for half in halves] == [side == 0, side == 1]
        assert found.chosen[0].box == found.boxes[side]
        [clip] = generator.clips
        assert len(clip.crops) == 4  # frames 4 to 7, as a render would hand them over
    everyone = engine(Inverter()).preview_frame(talk, voice, RenderSettings(face="all"), at=0.3)
    assert len(everyone.chosen) == len(everyone.outlines) == 2


def test_a_frame_without_a_face_passes_through_and_says_so(talk: Path, voice: Path) -> None:
    found = engine().preview_frame(talk, voice, at=15.5 / FPS)
    assert found.source_frame == 15
    assert (found.boxes, found.chosen, found.outlines) == ((), (), ())
    assert any("No face" in note for note in found.notes)
    np.testing.assert_array_equal(found.result, found.frame)


def test_a_clip_ends_where_the_face_goes(talk: Path, voice: Path) -> None:
    generator = Inverter()
    generator.clip_length = 16
    engine(generator).preview_frame(talk, voice, at=10.5 / FPS)
    assert [len(clip.crops) for clip in generator.clips] == [12]


@pytest.mark.parametrize(("length", "source_frame"), [("pingpong", 30), ("loop", 4), ("hold", 35)])
def test_output_time_is_brought_to_the_source(talk: Path, voice: Path, length: str, source_frame: int) -> None:
    settings = RenderSettings.parse({"length": length})
    assert engine().preview_frame(talk, voice, settings, at=40 / FPS).source_frame == source_frame


def test_beyond_the_end_is_the_last_frame_and_before_the_beginning_the_first(talk: Path, voice: Path) -> None:
    late = engine().preview_frame(talk, voice, at=1e9)
    assert late.source_frame == 70 - 49  # 50 frames of voice, the source of 36 played back from its end
    assert any("ends after 2.00 s" in note for note in late.notes)
    said = [engine().preview_frame(talk, voice, at=frame / FPS).notes for frame in (50, 49)]  # frames count from 0
    assert [any("ends after" in note for note in notes) for notes in said] == [True, False]
    assert engine().preview_frame(talk, voice, at=-3.0).source_frame == 0
    alone = engine().preview_frame(talk, None, at=99.0)
    assert (alone.source_frame, "The source ends after 1.44 s" in " ".join(alone.notes)) == (FRAMES - 1, True)


def test_a_kept_tail_is_not_painted(talk: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "short.wav", tone(0.4))
    found = engine().preview_frame(talk, voice, RenderSettings(tail="keep"), at=1.2)
    assert found.source_frame == 30
    assert (len(found.boxes), found.chosen) == (2, ())
    assert any("voice has ended" in note for note in found.notes)
    np.testing.assert_array_equal(found.result, found.frame)


def test_without_a_voice_the_faces_are_shown(talk: Path) -> None:
    found = engine().preview_frame(talk, None)
    assert found.result is None
    assert (len(found.boxes), len(found.chosen), len(found.outlines)) == (2, 1, 1)
    assert found.source_frame == 0


def test_silence_is_told(talk: Path, tmp_path: Path) -> None:
    silence = write_wav(tmp_path / "silence.wav", np.zeros(16_000))
    found = engine().preview_frame(talk, silence)
    assert found.chosen
    assert any("silent" in note for note in found.notes)


def test_a_small_face_is_told(tmp_path: Path, voice: Path) -> None:
    small = drawn_face()[::4, ::4]
    write_video(tmp_path / "small.mp4", np.stack([small] * 5))
    found = engine().preview_frame(tmp_path / "small.mp4", voice, at=0.0)
    assert any("only 50 pixels wide" in note for note in found.notes)


def test_bad_inputs_raise_what_a_render_raises(talk: Path, voice: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError):
        engine().preview_frame(tmp_path / "bad.mp4", voice)
    with pytest.raises(MediaError):
        engine().preview_frame(tmp_path / "missing.mp4", None)
    with raises_kind(VoiceError, path=talk):
        engine().preview_frame(talk, talk)
    with pytest.raises(SettingsError):
        engine().preview_frame(talk, voice, at=float("nan"))


def test_a_moment_outside_the_output_can_be_refused(talk: Path, voice: Path) -> None:
    for at in (-0.01, 1e9):
        with pytest.raises(SettingsError, match=r"the output is 2.00 s long: give a moment from 0 to 1.96 s"):
            engine().preview_frame(talk, voice, at=at, strict=True)
    with pytest.raises(SettingsError, match=r"the source is 1.44 s long: give a moment from 0 to 1.40 s"):
        engine().preview_frame(talk, None, at=1.44, strict=True)
    assert engine().preview_frame(talk, None, at=1.40, strict=True).number == FRAMES - 1


def test_it_says_how_far_it_is(talk: Path, voice: Path) -> None:
    events: list[ProgressEvent] = []
    engine(Inverter()).preview_frame(talk, voice, at=0.3, on_progress=events.append)
    stages = [event.stage for event in events]
    assert list(dict.fromkeys(stages)) == ["preflight", "plan", "speech", "render"]
    painting = events[-1]
    assert painting.done <= 7 < painting.total  # the frame is among those that are painted with it


def test_cancelling_ends_it(talk: Path, voice: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        engine().preview_frame(talk, voice, cancel=token)


def source_of(keyframes: tuple[int, ...], count: int, fps: Fraction = Fraction(25), *, seekable: bool = True) -> Source:
    clock = FrameClock(fps, count, (), None, keyframes)
    return Source(Path("x.mp4"), 64, 48, clock, ColorTags(), "yuv420p", True, seekable, ())


@given(
    st.integers(1, 400).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count))),
    st.sets(st.integers(1, 399), max_size=6),
    st.sampled_from([Fraction(1), Fraction(25), Fraction(30000, 1001), Fraction(60)]),
)
def test_a_stretch_is_short_and_holds_its_frame(frames: tuple[int, int], keys: set[int], fps: Fraction) -> None:
    frame, count = frames
    source = source_of((0, *sorted(key for key in keys if key < count)), count, fps)
    stretch = stretch_around(frame, count, source)
    assert frame in stretch
    assert 0 <= stretch.start < stretch.stop <= count
    assert len(stretch) <= 3 * max(1, round(fps * Fraction(2, 5))) + 1


def test_a_stretch_begins_where_a_render_searches() -> None:
    regular = source_of((0, 250, 500), 700)
    assert [stretch_around(frame, 700, regular).start for frame in (0, 15, 44, 251, 699)] == [0, 0, 30, 240, 670]
    cut = source_of((0, 250, 333, 583), 700)
    assert [stretch_around(frame, 700, cut).start for frame in (340, 377)] == [333, 363]


def test_places_to_sample_lie_behind_keyframes() -> None:
    assert sampled_places(source_of((0, 50, 100, 150, 200), 250), 250) == (0, 80, 180)
    assert sampled_places(source_of((0,), 250), 250) == (0,)
    assert sampled_places(source_of((0, 100), 250, seekable=False), 250) == (0,)


def track_of(openness: Sequence[float]) -> EnvelopeTrack:
    values = np.stack([openness, np.zeros(len(openness))], axis=1).astype(np.float32)
    return EnvelopeTrack(values, values[:, 0] > 0)


def test_telling_places_are_wide_open_early_and_apart() -> None:
    openness = np.zeros(400)
    openness[[20, 21, 22]] = 0.5, 0.95, 0.9
    openness[[40, 120, 300]] = 1.0, 0.9, 5.0  # soon after the first; far enough; later than ten seconds
    assert telling_places(track_of(openness), Fraction(25)) == (21, 120)
    assert telling_places(track_of(np.zeros(50)), Fraction(25)) == ()


def test_a_long_voice_is_heard_around_the_frame(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", np.concatenate([np.zeros(16_000), tone(149.0)]))
    token, fps = CancelToken(), Fraction(25)
    voice = open_voice(path, tmp_path, Limits(), token)
    assert (voice.path, voice.seconds) == (path, 150)
    whole = measure_voice(extract_voice(path, tmp_path, Limits()), fps, 3750, token)
    for frame in (0, 3000, 3749):
        near = range(max(0, frame - 10), min(3750, frame + 10))
        heard = measure_around(voice, fps, 3750, frame, tmp_path, token)
        assert heard.frame_count <= 3750
        expected = whole.window(near.start, near.stop)[:, 0]
        np.testing.assert_allclose(heard.window(near.start, near.stop)[:, 0], expected, atol=0.02)
    assert whole.window(2990, 3010)[:, 0].max() > 0.3


@pytest.mark.parametrize("shape", ["ellipse", "box"])
def test_an_outline_runs_where_the_mask_is_half(shape: str) -> None:
    settings = MaskSettings.model_validate({"shape": shape})
    mask = face_mask(FaceBox(100.0, 80.0, 200.0, 180.0, 1.0), settings)
    outline = mask_outline(mask)
    assert outline.dtype == np.float32
    x, y = (outline - 0.5 - (mask.x, mask.y)).T
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - column, y - row
    alpha = mask.alpha
    upper = alpha[row, column] * (1 - u) + alpha[row, column + 1] * u
    lower = alpha[row + 1, column] * (1 - u) + alpha[row + 1, column + 1] * u
    np.testing.assert_allclose(upper * (1 - v) + lower * v, 0.5, atol=0.08)
    np.testing.assert_allclose(outline.mean(axis=0), (150, 80 + 0.9 * 100), atol=2)


def test_a_plan_is_placed_in_a_longer_source() -> None:
    plan = FacePlan(
        3,
        64,
        48,
        np.array([0, 0, 1], np.int32),
        np.array([1, 2], np.int64),
        np.array([0, 1], np.int32),
        np.array([[1, 2, 9, 9, 5], [3, 4, 9, 9, 5]], np.float32),
        np.array([[5, 7, 2, 0], [6, 7, 2, 0]], np.float32),
    )
    placed = plan.placed(4, 10)
    assert placed.frame_count == 10
    assert [placed.shot(frame) for frame in range(10)] == [0] * 6 + [1] * 4
    assert [len(placed.faces(frame)) for frame in range(10)] == [0] * 5 + [1, 1] + [0] * 3
    assert placed.faces(6) == plan.faces(2)
    with pytest.raises(ValueError, match="negative"):
        plan.placed(8, 10)
