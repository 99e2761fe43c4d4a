"""MuseTalk from files on disk to a finished video, with small filled checkpoints in the published formats."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from musetalk.backends.latent.generator import LatentGenerator
from musetalk.backends.latent.vae import VaeEncoder
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.types import FaceGenerator
from musetalk.errors import WeightsError
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.parsing.parser import BiSeNetParser
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.components import ComponentLoader
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import render_frames
from musetalk.progress import RenderRun
from musetalk.settings import DetectorSettings, RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.film import FACE, FILM, settings, write_words
from tests.helpers.media import decode, write_video
from tests.helpers.unpainted import unpainted

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """What was heard of the words is kept between the tests here."""


@pytest.fixture(scope="module")
def parsed(models: Path) -> RenderSettings:
    """Faces are parsed, and painted three at a time."""
    return settings(models, network={"batch_size": 3})


@pytest.fixture(scope="module")
def prepared(
    engine: LipSync, film: Path, words: Path, parsed: RenderSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RenderPlan]:
    with engine.preparing(film, words, parsed, tmp_path_factory.mktemp("prepared")) as plan:
        yield plan


def frames_of(plan: RenderPlan, start: int = 0, stop: int | None = None) -> list[UInt8Array]:
    return list(render_frames(plan, start, stop or plan.timeline.frame_count, RenderRun()))


def source_of(plan: RenderPlan) -> list[UInt8Array]:
    count = plan.timeline.frame_count
    return list(map(Frame.rgb, play(plan.source, plan.timeline, 0, count, spool_dir=plan.folder)))


def crops_of(plan: RenderPlan, frame: int) -> list[tuple[slice, slice]]:
    """Where output may differ from the source in an output frame."""
    source = plan.timeline.source_frame(frame)
    faces = plan.face_plan.faces(source)
    places = [plan.session.cropper.crops([source], [face])[0] for face in faces]
    return [(slice(max(0, p.y), p.y + p.height), slice(max(0, p.x), p.x + p.width)) for p in places]


def test_any_frame_comes_out_the_same_alone(prepared: RenderPlan) -> None:
    """Latents, labels and speech of one frame are never another's, with faces that come and go."""
    source, whole = source_of(prepared), frames_of(prepared)
    for frame in (0, FACE.start, FACE.start + 4, FACE.stop - 1, FACE.stop):
        [alone] = frames_of(prepared, frame, frame + 1)
        assert np.array_equal(alone, whole[frame])
    for frame, (before, after) in enumerate(zip(source, whole, strict=True)):
        assert (frame in FACE) != np.array_equal(before, after)
        covered = np.zeros(before.shape[:2], bool)
        for place in crops_of(prepared, frame):
            covered[place] = True
        outside = unpainted(covered)
        assert np.array_equal(before[outside], after[outside])


def test_a_frame_is_previewed_as_it_is_rendered(
    engine: LipSync, film: Path, words: Path, parsed: RenderSettings, prepared: RenderPlan
) -> None:
    frame = FACE.start + 6
    shown = engine.preview_frame(film, words, parsed, at=(frame + 0.5) / 25)
    [rendered] = frames_of(prepared, frame, frame + 1)
    assert shown.result is not None
    [crop], [line], [labelled] = shown.crops, shown.lines, shown.parsed
    assert crop.y < line < crop.y + crop.height
    assert labelled is None or labelled.labels.shape == (512, 512)
    assert shown.shift_range is not None
    assert not np.array_equal(shown.result, shown.frame)
    assert np.abs(shown.result.astype(int) - rendered).mean() < 2


@pytest.mark.parametrize("case", ["left", "below", "turned", "tiny"])
def test_awkward_faces_are_painted_or_passed_through(
    engine: LipSync, small_portrait: UInt8Array, bare_models: Path, tmp_path: Path, case: str
) -> None:
    height, width = small_portrait.shape[:2]
    moves = {
        "left": np.float32([[1, 0, -0.30 * width], [0, 1, 0]]),
        "below": np.float32([[1, 0, 0], [0, 1, 0.35 * height]]),
        "turned": cv2.getRotationMatrix2D((width / 2, height / 2), 18, 1),
        "tiny": np.float32([[0.4, 0, 20], [0, 0.4, 20]]),
    }
    moved = cv2.warpAffine(small_portrait, moves[case], (width, height), borderMode=cv2.BORDER_REPLICATE)
    frames = np.repeat(moved[None], 6, axis=0)
    frames[:2] = 128
    film = write_video(tmp_path / "film.mp4", frames, 25, "-qp", "0")
    voice = write_words(tmp_path, len(frames))
    values = {"detector": {"name": "haar", "min_face": 0.05, "max_side": 960}}
    with engine.preparing(film, voice, settings(bare_models, **values), tmp_path) as plan:
        source, made = source_of(plan), frames_of(plan)
        assert len(made) == plan.timeline.frame_count
        painted = [frame for frame in range(len(made)) if crops_of(plan, frame)]
        changed = [k for k, (a, b) in enumerate(zip(source, made, strict=True)) if not np.array_equal(a, b)]
    assert painted, "the face should be found"
    assert changed == painted


def test_what_depends_on_the_source_is_done_once(
    film: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice longer than the film: it is shown forth and back, but encoded and parsed once, whatever that says."""
    voice = write_words(tmp_path, FILM + 12)
    encoded: list[int] = []
    parsed: list[int] = []

    def counting_moments(self: VaeEncoder, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        encoded.append(len(pixels))
        return torch.zeros(len(pixels), 4, 32, 32), torch.zeros(len(pixels), 4, 32, 32)

    def counting_labels(self: BiSeNetParser, crops: list[UInt8Array]) -> UInt8Array:
        parsed.append(len(crops))
        return np.full((len(crops), 512, 512), FaceLabel.SKIN, np.uint8)

    monkeypatch.setattr(VaeEncoder, "moments", counting_moments)
    monkeypatch.setattr(BiSeNetParser, "labels", counting_labels)
    with LipSync().preparing(film, voice, settings(models), tmp_path) as plan:
        made = frames_of(plan)
    assert len(made) == FILM + 12
    assert sum(parsed) == len(FACE)
    assert sum(encoded) == 2 * len(FACE)  # with and without its lower half


def test_bbox_shift_and_margin_move_the_crop(engine: LipSync, film: Path, bare_models: Path) -> None:
    def crop(**values: object) -> tuple[int, int]:
        shown = engine.preview_frame(film, None, settings(bare_models, **values), at=(FACE.start + 6.5) / 25)
        return shown.crops[0].y, shown.crops[0].height

    y, height = crop()
    assert crop(bbox_shift=5) == (y + 10, height - 10)
    assert crop(extra_margin=30) == (y, height + 20)
    assert crop(backend="musetalk-v1", extra_margin=30) == (y, height - 10)


def test_s3fd_is_taken_where_its_weights_are(models: Path, bare_models: Path, small_portrait: UInt8Array) -> None:
    loader = ComponentLoader(BackendRegistry())
    with loader.detector(DetectorSettings(name="s3fd"), "cpu", models) as s3fd:
        [boxes] = s3fd.detect([small_portrait[:96, :96]])
    assert all(np.isfinite([box.x0, box.y0, box.x1, box.y1]).all() for box in boxes)

    def found(folder: Path, name: str) -> str:
        with loader.detector(DetectorSettings.model_validate({"name": name}), "auto", folder) as detector:
            return detector.fingerprint.split("-")[0]

    assert [found(models, "auto"), found(models, "haar"), found(bare_models, "auto")] == ["s3fd", "haar", "mtcnn"]
    with pytest.raises(WeightsError, match=r"s3fd-619a316812\.pth missing.*weights download"):
        loader.check(settings(bare_models, detector={"name": "s3fd"}))
    with pytest.raises(WeightsError, match=r"79999_iter\.pth missing"):
        loader.check(settings(bare_models, mask={"shape": "jaw"}))


def test_the_generator_is_loaded_once(bare_models: Path) -> None:
    loader = ComponentLoader(BackendRegistry())

    def generator(**values: object) -> FaceGenerator:
        with loader.lease(loader.check(settings(bare_models, **values))) as components:
            return components.generator

    first = generator()
    assert isinstance(first, LatentGenerator)
    assert generator(bbox_shift=7, mask={"shape": "ellipse"}) is first
    assert generator(network={"batch_size": 2}) is not first


def test_odd_rates_keep_every_frame(
    engine: LipSync, small_portrait: UInt8Array, bare_models: Path, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "film.mp4", np.repeat(small_portrait[None], 4, axis=0), Fraction(24000, 1001))
    voice = write_words(tmp_path, 12)
    report = engine.render(film, voice, tmp_path / "out.mp4", settings(bare_models))
    assert (report.fps, report.frames) == ("24000/1001", len(decode(tmp_path / "out.mp4")))
    assert abs(report.frames / (24000 / 1001) - report.voice_seconds) <= 1001 / 24000


def test_what_stands_in_is_told_before_and_after(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    told = "faces are not parsed: crops and masks follow the boxes"
    shown = engine.preview_frame(film, words, settings(bare_models), at=(FACE.start + 6.5) / 25)
    report = engine.render(film, words, tmp_path / "out.mp4", settings(bare_models))
    assert any(note.startswith(told.capitalize()) for note in shown.notes)
    assert any(warning.startswith(told) for warning in report.warnings)
    assert report.detector.startswith("haar")


@pytest.mark.usefixtures("own_cache")
def test_musetalk_1_hears_in_two_ways_that_are_kept_apart(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    """What one way heard lies in the cache when the other listens; and each finds its own there again."""
    heard = []
    for way in ("released", "later", "released", "later"):
        wanted = settings(bare_models, backend="musetalk-v1", speech={"musetalk_v1": way})
        with engine.preparing(film, words, wanted, tmp_path) as plan:
            heard.append(plan.session.speech.window(0, FILM))
    released, later, *again = heard
    assert np.array_equal(released[0, :5], released[0, 5:10])  # before the voice its first step goes on
    assert not later[0, :20].any()
    assert released[0, :20].any()
    middle = (slice(FILM // 2, FILM // 2 + 1), slice(None))
    assert not np.allclose(released[middle], later[middle], atol=1e-2)
    assert all(np.array_equal(a, b) for a, b in zip((released, later), again, strict=True))
