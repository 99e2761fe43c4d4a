"""Masks: what every knob does, how they end, and how they keep still."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.arrays import UInt8Array
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask, thinned
from musetalk.compositing.parsed import ParsedMaskOptions, parsed_mask
from musetalk.compositing.smoothing import time_weights, weighted_mean
from musetalk.faces.extent import halved_crop
from musetalk.faces.geometry import Placement
from musetalk.faces.parsing_masks import FaceLabel, jaw_mask, mouth_mask
from musetalk.generators.types import Framing, Traits
from musetalk.layout import FaceLayout
from musetalk.settings import RenderSettings
from tests.drawn import SIDE, drawn_sample
from tests.drawn_labels import WHOLE, draw, found, shapes_of, with_hand, with_strand

FACE = drawn_sample()
DRAWN, PARSED = ["ellipse", "box"], ["raw", "jaw", "neck", "mouth"]
FPS = Fraction(25)


class Painter:
    """What a layout asks of a generator."""

    clip_length, device = 4, "cpu"

    def __init__(self, framing: Framing = "halved", crop_size: int | None = None) -> None:
        self.crop_size, self.traits = crop_size, Traits(framing=framing, room_below=True, mask="jaw")

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("a layout paints nothing")


def layout(
    folder: Path,
    labels: Mapping[int, UInt8Array] | None = None,
    *,
    fps: Fraction | None = None,
    framing: Framing = "halved",
    **mask: object,
) -> FaceLayout:
    shapes = shapes_of(folder, {0: draw()} if labels is None else labels)
    return FaceLayout(shapes, Painter(framing), RenderSettings.parse({"mask": mask}), fps=fps)


def mask_of(made: FaceLayout, frame: int = 0) -> tuple[FaceMask, Placement]:
    [crop] = made.crops([frame], [FACE])
    return made.mask(frame, FACE, crop), crop


def whole(mask: FaceMask) -> np.ndarray:
    """The mask's alpha over the frame and as much around it."""
    picture = np.zeros((3 * SIDE, 3 * SIDE), np.float32)
    rows, columns = mask.alpha.shape
    picture[SIDE + mask.y : SIDE + mask.y + rows, SIDE + mask.x : SIDE + mask.x + columns] = mask.alpha
    return picture


def middle(mask: FaceMask) -> tuple[float, float]:
    moments = cv2.moments(whole(mask))
    return moments["m10"] / moments["m00"] - SIDE, moments["m01"] / moments["m00"] - SIDE


def size(mask: FaceMask) -> tuple[int, int]:
    """Width and height of what is at least half."""
    half = whole(mask) >= 0.5
    return int(half.any(axis=0).sum()), int(half.any(axis=1).sum())


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
def test_the_offset_moves_every_shape_by_a_share_of_the_face(tmp_path: Path, shape: str) -> None:
    usual, crop = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.5))
    height = FACE.box.height if shape in PARSED else crop.height
    (x, y), (left, _) = size(usual), middle(usual)
    for offset in (0.05, -0.05):
        moved, _ = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.5, mouth_vertical_offset=offset))
        across, down = middle(moved)
        assert across == pytest.approx(left, abs=2)
        assert down - middle(usual)[1] == pytest.approx(offset * height, abs=3.5)
        assert size(moved)[0] == pytest.approx(x, abs=4)
        assert size(moved)[1] == pytest.approx(y, abs=6)


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
def test_the_scale_is_around_the_shape_s_middle(tmp_path: Path, shape: str) -> None:
    usual, _ = mask_of(layout(tmp_path, shape=shape, feather=0.02, blur_kernel_ratio=0.02))
    small, _ = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.6, feather=0.02, blur_kernel_ratio=0.02))
    assert middle(small) == pytest.approx(middle(usual), abs=4)
    for before, after in zip(size(usual), size(small), strict=True):
        assert after == pytest.approx(0.6 * before, rel=0.1)


@pytest.mark.parametrize("shape", DRAWN)
@pytest.mark.parametrize("framing", ["halved", "square"])
def test_padding_draws_ellipse_and_box_in(tmp_path: Path, shape: str, framing: Framing) -> None:
    plain = {"shape": shape, "framing": framing, "feather": 0.01}
    usual, _ = mask_of(layout(tmp_path, {}, **plain))  # type: ignore[arg-type]
    padded, _ = mask_of(layout(tmp_path, {}, ellipse_padding_factor=0.2, **plain))  # type: ignore[arg-type]
    for before, after in zip(size(usual), size(padded), strict=True):
        assert after == pytest.approx(0.6 * before, abs=4)
    assert middle(padded) == pytest.approx(middle(usual), abs=1.5)


@pytest.mark.parametrize(
    ("knob", "low", "high"),
    [("upper_boundary_ratio", 0.3, 0.7), ("blur_kernel_ratio", 0.0, 0.2), ("expand_factor", 1.2, 3.0)],
)
@pytest.mark.parametrize("shape", PARSED)
def test_parsed_shapes_heed_their_knobs(tmp_path: Path, shape: str, knob: str, low: float, high: float) -> None:
    alphas = []
    for value in (low, high):
        alphas.append(whole(mask_of(layout(tmp_path, shape=shape, **{knob: value}))[0]))
    below, above = alphas
    if knob == "upper_boundary_ratio":
        assert np.flatnonzero(above.any(axis=1))[0] > np.flatnonzero(below.any(axis=1))[0]
    elif knob == "blur_kernel_ratio":
        assert ((above > 0.01) & (above < 0.99)).sum() > 2 * ((below > 0.01) & (below < 0.99)).sum()
    else:
        assert np.abs(below - above).max() > 0.1  # the blur follows the square, and where it is cut off above


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("offset", [-0.3, 0.0, 0.3])
def test_masks_fade_before_the_crop_ends(tmp_path: Path, shape: str, scale: float, offset: float) -> None:
    knobs = {"mouth_scale_factor": scale, "mouth_vertical_offset": offset, "upper_boundary_ratio": 0.0}
    for framing in ("halved", "square"):
        mask, crop = mask_of(layout(tmp_path, shape=shape, framing=framing, **knobs))  # type: ignore[arg-type]
        alpha = whole(mask)
        inside = np.zeros_like(alpha)
        y, x = crop.y + SIDE, crop.x + SIDE
        inside[y + 1 : y + crop.height - 1, x + 1 : x + crop.width - 1] = 1
        assert alpha[inside == 0].max() < 0.01
        steps = max(float(np.abs(np.diff(alpha, axis=axis)).max()) for axis in (0, 1))
        assert steps < 0.3
        assert alpha.max() > 0.9


def test_upstream_s_masks_are_cut_where_the_layout_s_are_not() -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256)
    cut = parsed_mask(labels, WHOLE, crop, ParsedMaskOptions(shape="raw"))
    faded = parsed_mask(labels, WHOLE, crop, ParsedMaskOptions(shape="raw", rim=0.75))
    assert cut.alpha[-1].max() > 0.4
    assert faded.alpha[-1].max() == 0
    middle_part = np.s_[30:-30, 30:-30]
    np.testing.assert_array_equal(cut.alpha[middle_part], faded.alpha[middle_part])


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
@pytest.mark.parametrize("end", ["low", "usual", "high"])
def test_an_unchanged_crop_changes_nothing(tmp_path: Path, shape: str, end: str) -> None:
    knobs: dict[str, dict[str, object]] = {
        "low": {
            "ellipse_padding_factor": -0.3,
            "blur_kernel_ratio": 0.0,
            "expand_factor": 1.2,
            "feather": 0.0,
            "upper_boundary_ratio": 0.0,
            "mouth_vertical_offset": -0.3,
            "mouth_scale_factor": 0.5,
        },
        "usual": {},
        "high": {
            "ellipse_padding_factor": 0.4,
            "blur_kernel_ratio": 0.2,
            "expand_factor": 3.0,
            "feather": 0.5,
            "upper_boundary_ratio": 0.9,
            "mouth_vertical_offset": 0.3,
            "mouth_scale_factor": 2.0,
        },
    }
    source = np.random.default_rng(8).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    labels = {k: with_strand(draw()) if k % 2 else with_hand(draw()) for k in range(3)}
    made = layout(tmp_path, labels, fps=FPS, shape=shape, **knobs[end])
    mask, crop = mask_of(made, 1)
    assert np.isfinite(mask.alpha).all()
    assert mask.alpha.min() >= 0
    assert mask.alpha.max() <= 1
    frame = source.copy()
    composite(frame, crop.extract(source).copy(), crop, mask)
    np.testing.assert_array_equal(frame, source)


def test_the_mouth_s_shape_is_the_jaw_s_without_cheeks() -> None:
    labels = draw()
    mouth, jaw = mouth_mask(labels) > 0, jaw_mask(labels) > 0
    assert mouth[labels == FaceLabel.LOWER_LIP].all()
    assert mouth.sum() < 0.75 * jaw[240:].sum()
    assert mouth[270:390, 256].all()  # from under the nose over the chin, with room below it
    assert not mouth[:255].any()
    assert not mouth[:, : 256 - 100].any()
    assert not mouth[:, 256 + 100 :].any()
    assert not mouth[440:].any()


def test_the_mouth_s_shape_tilts_with_the_eyes() -> None:
    turn = cv2.getRotationMatrix2D((256, 300), 20, 1)
    tilted = cv2.warpAffine(draw(), turn, (512, 512), flags=cv2.INTER_NEAREST).astype(np.uint8)
    expected = cv2.warpAffine(mouth_mask(draw()), turn, (512, 512), flags=cv2.INTER_NEAREST) > 0
    made = mouth_mask(tilted) > 0
    assert (made & expected).sum() / (made | expected).sum() > 0.85


def test_a_beard_and_an_open_mouth_belong_to_the_mouth_s_shape() -> None:
    labels, shaved = draw(), mouth_mask(draw()) > 0
    rows = np.indices(labels.shape)[0]
    labels[(rows > 300) & (labels == FaceLabel.SKIN)] = FaceLabel.HAIR
    assert ((mouth_mask(labels) > 0) & shaved).sum() > 0.97 * shaved.sum()
    cv2.ellipse(labels, (256, 302), (30, 10), 0, 0, 360, int(FaceLabel.BACKGROUND), -1)
    assert (mouth_mask(labels) > 0)[298:306, 240:270].all()


def test_without_lips_the_mouth_s_shape_is_the_jaw_s() -> None:
    labels = draw(without=(FaceLabel.LOWER_LIP,))
    np.testing.assert_array_equal(mouth_mask(labels), jaw_mask(labels))


def test_thinned_masks_show_a_share() -> None:
    mask = FaceMask(3, 4, np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert thinned(mask, 1.0) is mask
    half = thinned(mask, 0.5)
    assert (half.x, half.y, half.alpha.dtype) == (3, 4, np.float32)
    np.testing.assert_array_equal(half.alpha, mask.alpha / 2)
    assert not thinned(mask, 0.0).alpha.any()


def test_weights_fall_to_half_at_half_the_width() -> None:
    weights = time_weights(0.4, FPS)
    assert weights[0] == 1
    assert weights[5] == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in pairwise(weights))
    assert time_weights(0.4, None) == time_weights(0.0, FPS) == (1.0,)
    assert len(time_weights(1.0, Fraction(120))) <= 25


def test_the_mean_of_maps_is_weighted() -> None:
    maps = [np.full((4, 5), level, np.uint8) for level in (0, 100, 255)]
    mean = weighted_mean(zip((1.0, 2.0, 1.0), maps, strict=True))
    assert mean is not None
    assert (mean.dtype, int(mean[0, 0])) == (np.uint8, 114)
    assert weighted_mean([(0.3, maps[1])]) is maps[1]
    assert weighted_mean([]) is None


def flickering(count: int) -> dict[int, UInt8Array]:
    """Labels of a face that stands still, as a nervous parser gives them."""
    random = np.random.default_rng(12)
    frames = {}
    for frame in range(count):
        labels = draw(300 + random.uniform(-5, 5), 256 + random.uniform(-4, 4), 70 + random.uniform(-4, 4))
        for x, y in random.integers((150, 250), (360, 400), (3, 2)):
            cv2.circle(labels, (int(x), int(y)), 9, int(FaceLabel.NECK), -1)
        frames[frame] = labels
    return frames


def unrest(made: FaceLayout, frames: range) -> float:
    alphas = [whole(mask_of(made, frame)[0]) for frame in frames]
    return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(alphas)]))


@pytest.mark.parametrize("shape", PARSED)
def test_masks_of_flickering_labels_keep_still(tmp_path: Path, shape: str) -> None:
    labels = flickering(24)
    made = layout(tmp_path, labels, fps=FPS, shape=shape)
    raw = FaceLayout(made.shapes, Painter(), RenderSettings.parse({"mask": {"shape": shape, "smoothing_seconds": 0}}))
    assert unrest(made, range(6, 18)) < 0.45 * unrest(raw, range(6, 18))


def test_one_frame_s_noise_passes_softly(tmp_path: Path) -> None:
    labels = dict.fromkeys(range(13), draw())
    labels[6] = with_strand(draw(), thickness=15)
    made = layout(tmp_path, labels, fps=FPS, shape="box")
    alphas = [whole(mask_of(made, frame)[0])[SIDE + 175, SIDE + 134] for frame in range(13)]
    assert alphas[6] == 0
    assert alphas[0] == alphas[12] == 1
    assert 0 < alphas[5] < alphas[4] < 1
    assert alphas[5] == alphas[7]


def test_a_mask_does_not_depend_on_what_was_asked_for_before(tmp_path: Path) -> None:
    labels = flickering(12)
    labels[4] = with_hand(labels[4])
    made = layout(tmp_path, labels, fps=FPS)
    forwards = [mask_of(made, frame)[0] for frame in range(12)]
    for order in (range(11, -1, -1), (7, 0, 11, 3)):
        other = FaceLayout(made.shapes, Painter(), RenderSettings(), fps=FPS)
        for frame in order:
            mask = mask_of(other, frame)[0]
            assert (mask.x, mask.y) == (forwards[frame].x, forwards[frame].y)
            np.testing.assert_array_equal(mask.alpha, forwards[frame].alpha)


def test_smoothing_ends_where_the_track_does(tmp_path: Path) -> None:
    wide, narrow = draw(310), draw(290)
    labels = {**dict.fromkeys(range(5), wide), **dict.fromkeys(range(6, 10), narrow)}
    made = layout(tmp_path, labels, fps=FPS, smoothing_seconds=0.4)
    alone = FaceLayout(made.shapes, Painter(), RenderSettings())
    for frame in (0, 4, 6, 9):  # frame 5 is missing
        np.testing.assert_array_equal(mask_of(made, frame)[0].alpha, mask_of(alone, frame)[0].alpha)
    assert [at for at, _ in made.shapes.around(3, FACE, 9)] == [0, 1, 2, 3, 4]
    assert [at for at, _ in made.shapes.around(7, FACE, 1)] == [6, 7, 8]
    assert made.shapes.around(5, FACE, 3) == []


def test_a_frame_whose_labels_fail_takes_the_shape_of_those_around_it(tmp_path: Path) -> None:
    labels = {frame: draw() if frame != 3 else np.zeros((512, 512), np.uint8) for frame in range(7)}
    made = layout(tmp_path, labels, fps=FPS)
    np.testing.assert_array_equal(mask_of(made, 3)[0].alpha, mask_of(made, 2)[0].alpha)
