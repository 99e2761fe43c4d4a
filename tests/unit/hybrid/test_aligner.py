"""LatentSync's crops and masks in the pipeline's layout: by labels where there are some, by the box where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.aligner import FaceAligner
from hybrid.crop import AlignedCropTransform, whole_mask
from hybrid.landmarks import assumed_points
from hybrid.loading import sampling_of, spec_of
from hybrid.mask import keep_mask
from hybrid.options import LatentSyncOptions
from hybrid.sampler import FAST, PUBLISHED
from musetalk.backends.types import GeneratorSpec
from musetalk.compositing.blending import composite
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.label_store import LabelStore
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.pipeline.masking import FaceMasker, first_row_shown
from musetalk.settings import LatentSyncSettings, RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, drawn_face, drawn_sample
from tests.helpers.masked import masker

pytestmark = pytest.mark.slow

FACE = drawn_sample()
ALIGNED = spec_of(LatentSyncSettings())
SWAPPED = spec_of(LatentSyncSettings(framing="musetalk"))
TILT = np.radians(15)


class Painter:
    """What a layout asks of a generator."""

    clip_length, device = 52, "cpu"

    def __init__(self, spec: GeneratorSpec, crop_size: int) -> None:
        self.spec, self.crop_size = spec, crop_size

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("a layout paints nothing")


def tilted_labels(box: FaceBox = BOX) -> UInt8Array:
    """Skin, two eyes and a nose, tilted, in the view that a parser has of a face."""
    view = parsing_view(box)
    y, x = np.mgrid[:LABEL_SIDE, :LABEL_SIDE] * (view.width / LABEL_SIDE)
    u, v = x + view.x - 160, y + view.y - 150
    u, v = u * np.cos(TILT) + v * np.sin(TILT), v * np.cos(TILT) - u * np.sin(TILT)
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    parts = (
        (0, 0, 88, 112, FaceLabel.SKIN),
        (-38, -25, 14, 7, FaceLabel.LEFT_EYE),
        (38, -25, 14, 7, FaceLabel.RIGHT_EYE),
        (0, 10, 14, 22, FaceLabel.NOSE),
    )
    for cx, cy, a, b, label in parts:
        labels[((u - cx) / a) ** 2 + ((v - cy) / b) ** 2 < 1] = label
    return labels


def shapes(
    folder: Path, count: int = 5, missing: tuple[int, ...] = (), aligner: FaceAligner | None = None
) -> ParsedFaces:
    reader = ParsedFacesBuilder(LabelStore(folder / "labels.bin"), aligner)
    empty = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    for frame in range(count):
        reader.add(frame, FACE, empty if frame in missing else tilted_labels())
    return reader.finish(2.0)


def layout(spec: GeneratorSpec, found: ParsedFaces, size: int = 256, **values: object) -> FaceMasker:
    return masker(found, Painter(spec, size), RenderSettings.parse(values))


def angle(transform: object) -> float:
    assert isinstance(transform, AlignedCropTransform)
    return float(np.arctan2(-transform.b, transform.a))


def test_a_tilted_face_stands_upright_in_its_crop(tmp_path: Path) -> None:
    made = layout(ALIGNED, shapes(tmp_path, aligner=FaceAligner()))
    crops = made.cropper.crops(range(5), [FACE] * 5)
    for crop in crops:
        assert angle(crop) == pytest.approx(TILT, abs=np.radians(1.5))
    assert made.cropper.line(0, FACE) is None
    assert made.cropper.shift_range([0], [FACE]) is None


def test_frames_without_labels_are_filled_in_from_their_neighbours(tmp_path: Path) -> None:
    made = layout(ALIGNED, shapes(tmp_path, missing=(2, 3), aligner=FaceAligner()))
    assert [angle(crop) for crop in made.cropper.crops(range(5), [FACE] * 5)] == pytest.approx(
        [TILT] * 5, abs=np.radians(1.5)
    )


def test_without_labels_a_typical_face_is_assumed() -> None:
    made = layout(ALIGNED, ParsedFaces(), 512)
    [crop] = made.cropper.crops([0], [FACE])
    assert crop.size == 512
    assert crop.crop(drawn_face()).shape == (512, 512, 3)
    assert angle(crop) == pytest.approx(0, abs=1e-6)
    assert np.array_equal(FaceAligner().assume(BOX), assumed_points(BOX).array())


def test_points_are_measured_only_for_those_who_ask(tmp_path: Path) -> None:
    assert shapes(tmp_path).points(0, FACE) is None
    other = FaceSample(FACE.track + 1, FACE.box, FACE.mouth)
    (tmp_path / "other").mkdir()
    found = shapes(tmp_path / "other", aligner=FaceAligner())
    points = found.points(0, FACE)
    assert points is not None
    assert points.shape == (3, 2)
    assert found.points(0, other) is None


@pytest.mark.parametrize("spec", [ALIGNED, SWAPPED], ids=["aligned", "musetalk"])
@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("shape", ["auto", "ellipse", "box", "jaw", "raw"])
def test_only_painted_pixels_show_whatever_the_mask(tmp_path: Path, spec: GeneratorSpec, size: int, shape: str) -> None:
    """A result that is right where the network paints, and red where it keeps: no red reaches the frame."""
    made = layout(spec, shapes(tmp_path, aligner=FaceAligner()), size, mask={"shape": shape})
    [crop] = made.cropper.crops([2], [FACE])
    mask = made.mask(2, FACE, crop)
    assert mask.alpha.max() > 0.9
    frame = np.full((320, 320, 3), 90, np.uint8)
    generated = np.full((size, size, 3), (0, 200, 0), np.uint8)
    generated[keep_mask(size) > 0.5] = (255, 0, 0)
    composite(frame, generated, crop, mask)
    assert frame[..., 0].max() <= 92
    assert frame[..., 1].max() > 190


def test_upstream_turns_back_the_whole_crop_bilinear_by_its_own_mask(tmp_path: Path) -> None:
    published = spec_of(RenderSettings(look="published").latentsync)
    found = shapes(tmp_path, aligner=FaceAligner())
    made = layout(published, found, look="published")
    [crop] = made.cropper.crops([2], [FACE])
    assert isinstance(crop, AlignedCropTransform)
    assert crop.scaling == "upstream"
    mask, whole = made.mask(2, FACE, crop), whole_mask(crop, (0, 0, 320, 320))
    seen = whole.alpha[mask.y : mask.y + mask.alpha.shape[0], mask.x : mask.x + mask.alpha.shape[1]]
    np.testing.assert_allclose(mask.alpha, seen, atol=2e-3)
    assert float(whole.alpha.sum()) == pytest.approx(float(mask.alpha.sum()), rel=1e-4)
    moved = layout(published, found, look="published", mask={"mouth_vertical_offset": 0.1})
    assert moved.mask(2, FACE, crop).alpha.sum() < 0.8 * mask.alpha.sum()  # what is moved is what was painted
    swapped = RenderSettings(look="published", latentsync=LatentSyncSettings(framing="musetalk")).latentsync
    assert spec_of(swapped).pasted is None


def middle_of(made: FaceMasker) -> tuple[float, float]:
    """How large the mask is, and how far down its middle lies."""
    [crop] = made.cropper.crops([2], [FACE])
    mask = made.mask(2, FACE, crop)
    assert max(mask.alpha[0].max(), mask.alpha[-1].max(), mask.alpha[:, 0].max(), mask.alpha[:, -1].max()) < 0.2
    rows = np.flatnonzero((mask.alpha > 0.5).any(axis=1))
    return float((mask.alpha > 0.5).sum()), mask.y + float(rows.mean())


def test_what_the_network_shows_is_scaled_and_moved_as_every_mask(tmp_path: Path) -> None:
    read = shapes(tmp_path, aligner=FaceAligner())
    area, middle = middle_of(layout(ALIGNED, read, 256))
    smaller, same = middle_of(layout(ALIGNED, read, 256, mask={"mouth_scale_factor": 0.7}))
    assert smaller == pytest.approx(0.49 * area, rel=0.1)
    assert same == pytest.approx(middle, abs=8)
    lower = middle_of(layout(ALIGNED, read, 256, mask={"mouth_scale_factor": 0.7, "mouth_vertical_offset": 0.05}))
    assert lower[1] - same == pytest.approx(0.05 * FACE.box.height, abs=3)


@pytest.mark.parametrize("spec", [ALIGNED, SWAPPED], ids=["aligned", "musetalk"])
@pytest.mark.parametrize("size", [256, 512])
def test_rows_above_the_first_one_are_not_looked_at(tmp_path: Path, spec: GeneratorSpec, size: int) -> None:
    made = layout(spec, shapes(tmp_path, aligner=FaceAligner()), size)
    [crop] = made.cropper.crops([2], [FACE])
    mask = made.mask(2, FACE, crop)
    first = first_row_shown([mask], [crop])
    assert 0.1 * size < first < 0.4 * size
    generated = np.random.default_rng(5).integers(0, 256, (size, size, 3), np.uint8)
    other = generated.copy()
    other[:first] = 255 - other[:first]
    frames = [drawn_face(), drawn_face()]
    for frame, each in zip(frames, (generated, other), strict=True):
        composite(frame, each, crop, mask)
    assert np.array_equal(*frames)
    assert isinstance(crop, BoxCropTransform) == (spec is SWAPPED)


def test_traits_that_lack_something_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an aligner"):
        GeneratorSpec(framing="aligned")
    with pytest.raises(ValueError, match="needs an aligner"):
        GeneratorSpec(mask="painted")


def test_settings_become_a_sampling() -> None:
    assert sampling_of(LatentSyncOptions.of(RenderSettings())) == PUBLISHED
    chosen = RenderSettings.parse(
        {"latentsync": {"preset": "fast", "guidance": 1.0, "overlap": 0}, "network": {"seed": 7}}
    )
    sampling = sampling_of(LatentSyncOptions.of(chosen))
    assert (sampling.solver, sampling.steps) == (FAST.solver, FAST.steps)
    assert (sampling.guidance, sampling.overlap, sampling.seed) == (1.0, 0, 7)
    five = RenderSettings.parse({"latentsync": {"steps": 5}})
    assert sampling_of(LatentSyncOptions.of(five)).steps == 5
