"""Crops that the line halves, and the masks of their lower halves."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.compositing.blending import composite
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.faces.crops.crop import BoxCropTransform, square_around
from musetalk.faces.parsing.face_extent import PARSING_EXPAND, halved_crop, parsing_view, shift_range
from musetalk.faces.proportions import FaceExtent, assumed_extent
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from tests.helpers.drawn_labels import WHOLE, draw, found

EXTENT = FaceExtent(left=100.2, right=299.8, line=240.0, chin=350.0, above=20.4, below=21.9)


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


def test_crops_are_cut_with_upstream_s_filter_and_can_be_put_back_with_its() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (480, 400, 3), dtype=np.uint8)
    crop = halved_crop(EXTENT, size=256)
    cut = cv2.resize(frame[130:350, 100:300], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(crop.crop(frame), cut)
    np.testing.assert_array_equal(replace(crop, back="upstream").warp_back(cut), cv2.resize(cut, (200, 220)))


def test_a_crop_that_leaves_the_frame_keeps_its_proportions() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (300, 250, 3), dtype=np.uint8)
    crop = halved_crop(EXTENT, size=256)
    padded = np.pad(frame, ((0, 50), (0, 50), (0, 0)), mode="edge")
    cut = cv2.resize(padded[130:350, 100:300], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(crop.crop(frame), cut)


def test_faces_scale_with_a_crop_that_is_not_square() -> None:
    crop = BoxCropTransform(10, 20, 128, 256, 256)
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


@pytest.mark.parametrize("shape", ["raw", "jaw", "neck"])
def test_masks_do_not_depend_on_which_part_of_the_frame_was_parsed(shape: str) -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256)
    options = ParsedMaskOptions(shape=shape)  # type: ignore[arg-type]
    square = square_around(crop, 1.5)
    wide = BoxCropTransform(square.x - 30, square.y - 40, square.width + 70, square.height + 70)
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
    composite(frame, crop.crop(frame).copy(), crop, mask)
    np.testing.assert_array_equal(frame, before)
    composite(frame, np.zeros((64, 64, 3), np.uint8), crop, mask)
    changed = np.flatnonzero((frame != before).any(axis=(1, 2)))
    assert crop.y + crop.height / 2 - 30 <= changed.min() <= changed.max() < crop.y + crop.height
