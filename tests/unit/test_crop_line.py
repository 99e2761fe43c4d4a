from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.compositing.blending import composite
from musetalk.compositing.parsed import ParsedMaskOptions, parsed_mask
from musetalk.faces.extent import (
    PARSING_EXPAND,
    FaceExtent,
    assumed_extent,
    halved_crop,
    measure_extent,
    parsing_view,
    shift_range,
)
from musetalk.faces.extent_track import steady_extents
from musetalk.faces.geometry import CropPlacement, square_around
from musetalk.faces.parsing_masks import FaceLabel
from musetalk.faces.types import FaceBox, FaceSample, MouthShape

WHOLE = CropPlacement(0, 0, 512, 512)
EXTENT = FaceExtent(left=100.2, right=299.8, line=240.0, chin=350.0, above=20.4, below=21.9)

# Heights of landmarks in the mean 68-point face, and its half width, for a drawing of it.
TOP, BROWS, EYES, LINE, BASE, LIPS, CHIN = -0.1, 0.2117, 0.3257, 0.4738, 0.6343, 0.77, 1.0608
HALF_WIDTH = 0.446


def draw(unit: float = 300.0, x: float = 256.0, y: float = 70.0, *, without: tuple[FaceLabel, ...] = ()) -> np.ndarray:
    """A mean face of `unit` pixels, whose eyes lie 0.3257 of them below `y`."""
    labels = np.zeros((512, 512), np.uint8)

    def ellipse(cx: float, cy: float, rx: float, ry: float, label: FaceLabel) -> None:
        if label not in without:
            middle, axes = (round(x + cx * unit), round(y + cy * unit)), (round(rx * unit), round(ry * unit))
            cv2.ellipse(labels, middle, axes, 0, 0, 360, int(label), -1)

    neck_top, neck_end = round(y + LIPS * unit), 511
    labels[neck_top:neck_end, round(x - 0.2 * unit) : round(x + 0.2 * unit)] = FaceLabel.NECK
    ellipse(0, (TOP + CHIN) / 2, HALF_WIDTH, (CHIN - TOP) / 2, FaceLabel.SKIN)
    for side, eye, brow in (
        (-1, FaceLabel.LEFT_EYE, FaceLabel.LEFT_BROW),
        (1, FaceLabel.RIGHT_EYE, FaceLabel.RIGHT_BROW),
    ):
        ellipse(side * 0.19, EYES, 0.08, 0.03, eye)
        ellipse(side * 0.2, BROWS, 0.13, 0.02, brow)
    ellipse(0, (0.3186 + BASE) / 2, 0.09, (BASE - 0.3186) / 2, FaceLabel.NOSE)
    ellipse(0, LIPS, 0.17, 0.06, FaceLabel.LOWER_LIP)
    return labels


def found(labels: np.ndarray, seen: CropPlacement = WHOLE) -> FaceExtent:
    extent = measure_extent(labels, seen)
    assert extent is not None
    return extent


def rows(extents: list[FaceExtent]) -> np.ndarray:
    return np.array([(e.left, e.right, e.line, e.chin, e.above, e.below) for e in extents])


@pytest.mark.parametrize("unit", [120.0, 300.0])
def test_the_line_and_the_face_s_edges_are_where_the_landmarks_would_be(unit: float) -> None:
    extent = found(draw(unit))
    assert extent.line == pytest.approx(70 + LINE * unit, abs=0.012 * unit)
    assert extent.chin == pytest.approx(70 + CHIN * unit, abs=0.015 * unit)
    assert extent.left == pytest.approx(256 - HALF_WIDTH * unit, abs=0.006 * unit + 1.5)
    assert extent.right == pytest.approx(256 + HALF_WIDTH * unit, abs=0.006 * unit + 1.5)
    assert extent.above == pytest.approx(0.0776 * unit, rel=0.05)
    assert extent.below == pytest.approx(0.0794 * unit, rel=0.05)


def test_labels_are_brought_to_the_frame() -> None:
    inside = found(draw())
    extent = found(draw(), CropPlacement(-40, 100, 256, 1024))
    assert extent.left == pytest.approx(inside.left / 2 - 40)
    assert extent.line == pytest.approx(inside.line * 2 + 100)
    assert extent.chin == pytest.approx(inside.chin * 2 + 100)
    assert extent.above == pytest.approx(inside.above * 2)


EYES_GONE = (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)
BROWS_GONE = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)


@pytest.mark.parametrize("without", [EYES_GONE, (*EYES_GONE, *BROWS_GONE), (FaceLabel.LEFT_EYE,), BROWS_GONE])
def test_what_is_hidden_moves_the_line_little(without: tuple[FaceLabel, ...]) -> None:
    extent = found(draw(without=without))
    assert extent.line == pytest.approx(70 + LINE * 300, abs=6)
    assert extent.chin == pytest.approx(70 + CHIN * 300, abs=5)


def test_glasses_stand_in_for_the_eyes_they_hide() -> None:
    labels = draw(without=(*EYES_GONE, *BROWS_GONE))
    glasses = np.zeros_like(labels)
    cv2.ellipse(glasses, (199, 168), (40, 24), 0, 0, 360, 1, -1)
    cv2.ellipse(glasses, (313, 168), (40, 24), 0, 0, 360, 1, -1)
    labels[(glasses > 0) & (labels == FaceLabel.SKIN)] = FaceLabel.GLASSES
    assert found(labels).line == pytest.approx(70 + LINE * 300, abs=5)


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_tilted_face_keeps_its_line(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((256, 230), degrees, 1)
    labels = cv2.warpAffine(draw(260), turn, (512, 512), flags=cv2.INTER_NEAREST)
    _, expected = turn @ (256, 70 + LINE * 260, 1)
    assert found(labels).line == pytest.approx(expected, abs=6)


def test_specks_and_a_smaller_face_beside_do_not_count() -> None:
    labels = draw(260, 200)
    clean = found(labels)
    labels[500:504, 20:60] = FaceLabel.SKIN
    labels[20:24, 20:24] = FaceLabel.NOSE
    small = draw(90, 440, 300)
    labels[small > 0] = small[small > 0]
    assert found(labels) == clean


def test_a_strand_of_skin_on_the_neck_is_no_chin() -> None:
    labels = draw()
    clean = found(labels)
    labels[380:470, 250:262] = FaceLabel.SKIN
    assert found(labels).chin == pytest.approx(clean.chin, abs=3)


def test_a_chin_that_is_cut_off_is_where_the_mean_face_has_it() -> None:
    extent = found(draw(430, y=80))
    assert extent.chin > 512
    assert extent.chin == pytest.approx(80 + CHIN * 430, abs=12)


@pytest.mark.parametrize("case", ["empty", "noise", "no nose", "no face below the nose"])
def test_what_is_no_whole_face_is_not_measured(case: str) -> None:
    labels = draw()
    if case == "empty":
        labels[:] = 0
    elif case == "noise":
        labels = np.random.default_rng(1).integers(0, 19, (512, 512)).astype(np.uint8)
    elif case == "no nose":
        labels = draw(without=(FaceLabel.NOSE,))
    else:
        labels[265:] = 0
    assert measure_extent(labels, WHOLE) is None


def test_the_crop_is_halved_by_the_line_and_ends_at_chin_and_cheeks() -> None:
    crop = halved_crop(EXTENT, size=256)
    assert (crop.x, crop.x + crop.width) == (100, 300)
    assert crop.y + crop.height == 350
    assert crop.y + crop.height / 2 == 240
    lower = halved_crop(EXTENT, size=256, bbox_shift=12)
    assert lower.y + lower.height / 2 == 252
    assert lower.y + lower.height == 350
    margin = halved_crop(EXTENT, size=256, extra_margin=10)
    assert (margin.y, margin.height) == (crop.y, crop.height + 10)


@given(shift=st.integers(-200, 200), margin=st.integers(0, 40))
def test_no_shift_makes_a_crop_that_cannot_be_painted(shift: int, margin: int) -> None:
    crop = halved_crop(EXTENT, size=256, bbox_shift=shift, extra_margin=margin)
    assert crop.height >= crop.width / 4
    assert crop.y + crop.height == 350 + margin


def test_crops_are_cut_and_put_back_with_upstream_s_filters() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (480, 400, 3), dtype=np.uint8)
    crop = halved_crop(EXTENT, size=256)
    cut = cv2.resize(frame[130:350, 100:300], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(crop.extract(frame), cut)
    np.testing.assert_array_equal(crop.restore(cut), cv2.resize(cut, (200, 220)))


def test_a_crop_that_leaves_the_frame_keeps_its_proportions() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (300, 250, 3), dtype=np.uint8)
    crop = halved_crop(EXTENT, size=256)
    padded = np.pad(frame, ((0, 50), (0, 50), (0, 0)), mode="edge")
    cut = cv2.resize(padded[130:350, 100:300], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(crop.extract(frame), cut)


def test_faces_scale_with_a_crop_that_is_not_square() -> None:
    crop = CropPlacement(10, 20, 128, 256, 256)
    face = FaceSample(3, FaceBox(10, 20, 138, 276, 1.0), MouthShape(74, 148, 10, np.pi / 4))
    inside = crop.to_crop(face)
    assert (inside.box.x0, inside.box.y0, inside.box.x1, inside.box.y1) == (0, 0, 256, 256)
    assert (inside.mouth.cx, inside.mouth.cy) == (128, 128)
    assert inside.mouth.half_width * np.cos(inside.mouth.angle) == pytest.approx(20 * np.sqrt(0.5))
    assert inside.mouth.half_width * np.sin(inside.mouth.angle) == pytest.approx(10 * np.sqrt(0.5))
    assert inside.track == 3


def test_the_shift_s_range_is_told_in_whole_pixels() -> None:
    other = FaceExtent(0, 1, 0.5, 1, above=22.4, below=23.9)
    assert shift_range([EXTENT, other]) == (-21, 22)
    assert shift_range([]) == (0, 0)


@pytest.mark.parametrize("height", [200, 230])
def test_what_is_parsed_surrounds_the_crop_and_is_told_without_labels(height: float) -> None:
    box = FaceBox(100, 50, 300, 50 + height, 1.0)
    extent = assumed_extent(box)
    crop, view = halved_crop(extent, size=256), parsing_view(box)
    assert extent.left < 200 < extent.right
    assert (extent.left, extent.right, extent.chin) == pytest.approx((120, 280, box.y1))  # as FaceBox says
    assert box.y0 < extent.line < extent.chin
    assert view.width == view.height == pytest.approx(PARSING_EXPAND * crop.side, abs=3)
    assert view.x + view.width / 2 == pytest.approx(crop.x + crop.width / 2, abs=1)


def moving(count: int) -> tuple[list[FaceBox], list[FaceExtent]]:
    """A face that walks to the right and down, and what would be measured of it without any error."""
    boxes = [FaceBox(50 + 2 * k, 40 + k, 250 + 2 * k, 240 + k, 1.0) for k in range(count)]
    return boxes, [assumed_extent(FaceBox(b.x0 + 3, b.y0 + 8, b.x1 + 5, b.y1 + 9, 1)) for b in boxes]


def steady(measured: list[FaceExtent | None], boxes: list[FaceBox]) -> np.ndarray:
    return rows(steady_extents(measured, boxes, sigma=2.1))


def test_steady_extents_follow_the_face_without_lag() -> None:
    boxes, true = moving(40)
    np.testing.assert_allclose(steady([*true], boxes), rows(true), atol=1e-6)


def test_noise_is_smoothed_and_outliers_are_not_believed() -> None:
    boxes, true = moving(60)
    noise = np.random.default_rng(4).normal(0, 1.5, (60, 6))
    noisy = [FaceExtent(*row) for row in (rows(true) + noise).tolist()]
    error = steady([*noisy], boxes) - rows(true)
    assert error.std() < 0.65 * noise.std()
    wild = [*noisy[:20], *(FaceExtent(0, 300, 10, 500, 5, 5) for _ in range(5)), *noisy[25:]]
    assert np.abs(steady([*wild], boxes) - rows(true)).max() < 4


def test_frames_that_were_not_measured_are_filled_in() -> None:
    boxes, true = moving(30)
    gaps: list[FaceExtent | None] = [*true]
    gaps[0:4] = [None] * 4
    gaps[10:18] = [None] * 8
    np.testing.assert_allclose(steady(gaps, boxes), rows(true), atol=1e-6)


def test_without_any_measure_the_box_tells() -> None:
    boxes, _ = moving(5)
    expected = rows([assumed_extent(box) for box in boxes])
    np.testing.assert_allclose(steady([None] * 5, boxes), expected)
    assert steady_extents([], [], sigma=2) == []


@pytest.mark.parametrize("shape", ["raw", "jaw", "neck"])
def test_masks_do_not_depend_on_which_part_of_the_frame_was_parsed(shape: str) -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256)
    options = ParsedMaskOptions(shape=shape)  # type: ignore[arg-type]
    square = square_around(crop, 1.5)
    wide = CropPlacement(square.x - 30, square.y - 40, square.width + 70, square.height + 70)
    views = []
    for view in (square, wide):
        columns = np.clip(np.floor(view.x + (np.arange(512) + 0.5) * view.width / 512), 0, 511).astype(int)
        lines = np.clip(np.floor(view.y + (np.arange(512) + 0.5) * view.height / 512), 0, 511).astype(int)
        views.append(parsed_mask(labels[lines[:, None], columns], view, crop, options))
    exact, resampled = views
    assert (exact.x, exact.y, exact.alpha.shape) == (resampled.x, resampled.y, resampled.alpha.shape)
    assert exact.alpha.max() == 1
    difference = np.abs(exact.alpha - resampled.alpha)
    assert difference.mean() < 0.01
    assert difference.max() < 0.25


def test_masks_leave_the_upper_half_alone_and_end_with_the_crop() -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256, extra_margin=10)
    mask = parsed_mask(labels, WHOLE, crop)
    assert mask.x == crop.x
    assert mask.alpha.shape[1] == crop.width
    assert mask.y + mask.alpha.shape[0] == crop.y + crop.height
    blur = 0.05 * 1.5 * crop.side
    assert mask.y >= crop.y + crop.height / 2 - blur / 2 - 2
    nothing = parsed_mask(np.zeros_like(labels), WHOLE, crop)
    assert not nothing.alpha.any()


def test_a_mask_with_no_room_keeps_the_source() -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256)
    mask = parsed_mask(labels, WHOLE, crop, ParsedMaskOptions(upper=1.0))
    assert not mask.alpha.any()


def test_an_unchanged_rectangular_crop_changes_no_byte() -> None:
    frame = np.random.default_rng(6).integers(0, 256, (400, 512, 3), dtype=np.uint8)
    before = frame.copy()
    labels = draw(250)
    crop = halved_crop(found(labels), size=None)
    mask = parsed_mask(labels, WHOLE, crop)
    composite(frame, crop.extract(frame).copy(), crop, mask)
    np.testing.assert_array_equal(frame, before)
    composite(frame, np.zeros((64, 64, 3), np.uint8), crop, mask)
    changed = np.flatnonzero((frame != before).any(axis=(1, 2)))
    assert crop.y + crop.height / 2 - 30 <= changed.min() <= changed.max() < crop.y + crop.height
