"""How results look, through the library's door: masks, color, enhancers, pauses, and what shows all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import CheckpointError, OutputError, WeightsError
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.accounting import spans_of
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import OutputFrame, output_frames, render_frames
from musetalk.progress import ProgressEvent, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.enhancers import write_enhancer
from tests.helpers.film import write_film, write_words
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.unpainted import unpainted

pytestmark = pytest.mark.integration
Frames = list[UInt8Array]
FACE = range(3, 11)  # frames of the film that show the portrait
FILM = 14


@pytest.fixture(scope="module")
def film(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film"), small_portrait, FILM, FACE)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"), FILM)


@dataclass(frozen=True)
class Copier:
    """A generator that changes nothing but the level of its crops."""

    added: int = 0
    crop_size: int | None = None
    clip_length: int = 5
    spec: GeneratorSpec = field(default_factory=GeneratorSpec)
    device: str = "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        return np.clip(clip.crops.astype(int) + self.added, 0, 255).astype(np.uint8)


def engine_with(generator: Copier) -> LipSync:
    return LipSync(BackendRegistry((BackendSpec("copier", "for tests", lambda _: generator),)))


def settings(**values: object) -> RenderSettings:
    return RenderSettings.parse({"backend": "copier", "detector": {"name": "haar"}, **values})


def sources_of(plan: RenderPlan) -> Frames:
    count = plan.timeline.frame_count
    return list(map(Frame.rgb, play(plan.source, plan.timeline, 0, count, spool_dir=plan.folder)))


def change(one: UInt8Array, other: UInt8Array) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("method", ["alpha", "poisson"])
@pytest.mark.parametrize("shape", ["ellipse", "box"])
def test_what_is_painted_as_it_was_stays_as_it_was(
    film: Path, words: Path, tmp_path: Path, shape: str, method: str
) -> None:
    wanted = settings(mask={"shape": shape}, blend={"method": method})
    with engine_with(Copier()).preparing(film, words, wanted, tmp_path) as plan:
        rendered = list(render_frames(plan, 0, FILM, RenderRun()))
        assert max(map(change, rendered, sources_of(plan))) <= (1 if method == "poisson" else 0)


def at_the_rim(frames: list[OutputFrame], sources: Frames) -> float:
    """Mean difference, in levels, where masks are between the source and the painted face."""
    differences = []
    for frame, source in zip(frames, sources, strict=True):
        for mask in frame.masks:
            rows, columns = mask.alpha.shape
            part = np.s_[mask.y : mask.y + rows, mask.x : mask.x + columns]
            rim = (mask.alpha > 0.3) & (mask.alpha < 0.9)
            differences.append(np.abs(frame.picture.rgb()[part].astype(float) - source[part])[rim].mean())
    return float(np.mean(differences))


def test_a_cast_is_taken_out_where_the_face_meets_the_source(film: Path, words: Path, tmp_path: Path) -> None:
    left = {}
    for color in ("none", "match"):
        wanted = settings(mask={"shape": "box"}, blend={"color": color})
        with engine_with(Copier(added=10)).preparing(film, words, wanted, tmp_path) as plan:
            frames = list(output_frames(plan, FACE.start, FACE.stop, RenderRun()))
            left[color] = at_the_rim(frames, sources_of(plan)[FACE.start : FACE.stop])
    assert left["none"] > 5
    assert left["match"] <= 1


def enhanced(folder: Path, added: float, **values: object) -> RenderSettings:
    model = str(write_enhancer(folder / f"adds {added}.pth", added))
    return settings(enhance={"model": model, "strength": 1.0, **values})


@pytest.mark.parametrize("region", ["mouth", "face"])
def test_an_enhancer_changes_the_painted_face(film: Path, words: Path, tmp_path: Path, region: str) -> None:
    wanted = enhanced(tmp_path / "models", 0.1, region=region)
    report = engine_with(Copier()).render(film, words, tmp_path / "out.mp4", wanted)
    assert (report.restored_frames, report.unrestored) == (len(FACE), ())
    assert "adds 0.1.pth" in report.enhancer
    with engine_with(Copier()).preparing(film, words, wanted, tmp_path) as plan:
        sources = sources_of(plan)
        frames = list(output_frames(plan, 0, FILM, RenderRun()))
    grown = np.zeros(sources[0].shape[:2], bool)
    for number in FACE:
        frame, source = frames[number], sources[number]
        [steps] = frame.steps
        assert steps.enhanced is not None
        mask = steps.enhanced.mask
        rows, columns = mask.alpha.shape
        part = np.s_[max(0, mask.y) : mask.y + rows, max(0, mask.x) : mask.x + columns]
        covered = np.zeros(source.shape[:2], bool)
        covered[part] = True
        picture, outside = frame.picture.rgb(), unpainted(covered)
        np.testing.assert_array_equal(picture[outside], source[outside])
        middle = int(steps.face.mouth.cy), int(steps.face.mouth.cx)
        lifted = picture[middle].astype(int) - source[middle]
        assert lifted @ (0.2126, 0.7152, 0.0722) == pytest.approx(25, abs=4)  # red is at its end beside it, and shared
        forehead = int(steps.face.box.y0 + 0.2 * steps.face.box.height), middle[1]
        grown[forehead] = True
        lifted = int(picture[forehead].astype(int).sum() - source[forehead].astype(int).sum())
        assert (lifted > 30) == (region == "face")


def test_an_enhancer_that_fails_is_counted_and_leaves_the_painted_face(film: Path, words: Path, tmp_path: Path) -> None:
    broken = enhanced(tmp_path / "models", math.nan)
    report = engine_with(Copier()).render(film, words, tmp_path / "out.mp4", broken)
    assert report.restored_frames == 0
    assert [(each.start, each.stop) for each in report.unrestored] == [(FACE.start, FACE.stop)]
    assert "number" in report.unrestored[0].reason
    assert any(f"{len(FACE)} of {len(FACE)} frames" in warning for warning in report.warnings)
    with engine_with(Copier()).preparing(film, words, broken, tmp_path) as plan:
        rendered = list(render_frames(plan, 0, FILM, RenderRun()))
        assert max(map(change, rendered, sources_of(plan))) == 0


def test_no_enhancer_is_an_error_that_says_what_to_do(film: Path, words: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    for model, kind, said in (
        ("gfpgan", WeightsError, "weights download gfpgan"),
        ("nowhere/x.pth", WeightsError, "x.pth"),
        ("text.pth", CheckpointError, "text.pth"),
    ):
        there = str(tmp_path / model) if model == "text.pth" else model
        with pytest.raises(kind, match=said):
            engine_with(Copier()).render(
                film, words, tmp_path / "out.mp4", settings(enhance={"model": there}, models_dir=tmp_path)
            )
    assert not (tmp_path / "out.mp4").exists()


def test_any_range_looks_the_same(film: Path, words: Path, tmp_path: Path) -> None:
    wanted = enhanced(tmp_path / "models", 0.05)
    with engine_with(Copier(added=12, crop_size=64)).preparing(film, words, wanted, tmp_path) as plan:
        whole = list(render_frames(plan, 0, FILM, RenderRun()))
        for start, stop in ((3, 4), (7, 8), (6, 9), (8, 13), (10, 11)):
            part = list(render_frames(plan, start, stop, RenderRun()))
            np.testing.assert_array_equal(np.stack(part), np.stack(whole[start:stop]))


class Unsteady(Copier):
    """Its colors depend on its clip, and so does what they are matched by."""

    def generate(self, clip: Clip) -> UInt8Array:
        return np.clip(clip.crops.astype(int) + int(clip.crops[:, ::7, ::7].sum()) % 23, 0, 255).astype(np.uint8)


def test_any_range_of_faces_side_by_side_looks_the_same(
    small_portrait: UInt8Array, words: Path, tmp_path: Path
) -> None:
    close = small_portrait[:, small_portrait.shape[1] // 8 : -small_portrait.shape[1] // 8]
    both = np.concatenate([close, close[:, ::-1]], axis=1)
    both = both[:, : both.shape[1] // 2 * 2]
    pair = write_video(tmp_path / "pair.mp4", np.stack([np.roll(both, k // 3, axis=1) for k in range(14)]), 25)
    model = write_enhancer(tmp_path / "sharpens.pth", sharpen=0.8)
    wanted = settings(enhance={"model": str(model), "strength": 1.0, "region": "face"}, face="all")
    with engine_with(Unsteady(clip_length=4)).preparing(pair, words, wanted, tmp_path) as plan:
        whole = list(output_frames(plan, 0, 14, RenderRun()))
        assert max(len(frame.steps) for frame in whole) == 2
        for start in (6, 9, 13):
            [alone] = render_frames(plan, start, start + 1, RenderRun())
            np.testing.assert_array_equal(alone, whole[start].picture.rgb())


@pytest.mark.parametrize("mode", ["keep", "rest"])
def test_in_a_pause_the_source_comes_back_without_a_jump(portrait: Path, tmp_path: Path, mode: str) -> None:
    sound = np.concatenate([tone(0.8), np.zeros(16_000 * 2), tone(0.8)])
    voice = write_wav(tmp_path / "voice.wav", sound)
    wanted = settings(silence={"mode": mode}, blend={"color": "none"})
    with engine_with(Copier(added=40)).preparing(portrait, voice, wanted, tmp_path) as plan:
        count = plan.timeline.frame_count
        source = sources_of(plan)[0]
        frames = list(render_frames(plan, 0, count, RenderRun()))
        spans = [each.kind for each in spans_of(plan)]
    lifted = [float(frame.astype(float).mean() - source.mean()) for frame in frames]
    speaking, steps = max(lifted), np.abs(np.diff(lifted))
    assert speaking > 0.1
    assert lifted[len(lifted) // 2] == 0
    assert lifted[5] == pytest.approx(speaking, rel=0.05)
    assert steps.max() < 0.5 * speaking
    assert spans == ["face", "rest", "face"]


@pytest.mark.parametrize("mode", ["keep", "rest"])
def test_in_silence_the_source_is_left_alone(portrait: Path, tmp_path: Path, mode: str) -> None:
    voice = write_wav(tmp_path / "silence.wav", np.zeros(16_000))
    report = engine_with(Copier(added=40)).render(
        portrait, voice, tmp_path / "out.mp4", settings(silence={"mode": mode})
    )
    assert (report.face_frames, report.passthrough_frames) == (0, 25)
    assert [(each.start, each.stop, each.kind) for each in report.spans] == [(0, 25, "rest")]


def test_debug_videos_that_cannot_be_made_are_refused_before_the_work(film: Path, words: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "out-masks.mp4").mkdir(parents=True)
    for folder in (tmp_path / "file" / "debug", tmp_path / "taken"):
        events: list[ProgressEvent] = []
        with pytest.raises(OutputError):
            engine_with(Copier()).render(
                film, words, tmp_path / "out.mp4", settings(debug_dir=folder), on_progress=events.append
            )
        assert events == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "out-masks.mp4", "taken"]


def test_debug_videos_lie_beside_the_render(film: Path, words: Path, tmp_path: Path) -> None:
    folder = tmp_path / "debug"
    wanted = settings(debug_dir=folder)
    engine_with(Copier(added=20)).render(film, words, tmp_path / "out.mp4", wanted)
    assert sorted(path.name for path in folder.iterdir()) == ["out-crops.mp4", "out-masks.mp4"]
    crops, masks = decode(folder / "out-crops.mp4"), decode(folder / "out-masks.mp4")
    assert len(crops) == len(masks) == FILM
    assert crops.shape[1:3] == (256, 1024)
    assert masks[FACE.start].max() > 200
    assert masks[0].max() < 20
    assert crops[0].max() < 20
    assert crops[FACE.start, :, :256].mean() > 40
