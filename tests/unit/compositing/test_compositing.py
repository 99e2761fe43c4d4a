from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.backends.preview.generator import preview_reach
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import face_mask
from musetalk.faces.crops.crop import BoxCropTransform, place_crops
from musetalk.faces.tracking.mouth import mouth_prior
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.settings import MaskSettings

RNG = np.random.default_rng(5)
SHAPES = ["ellipse", "box"]


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def sample(x0: float, y0: float, size: float) -> FaceSample:
    box = FaceBox(x0, y0, x0 + size, y0 + size, 1.0)
    return FaceSample(0, box, MouthShape(x0 + size / 2, y0 + 0.8 * size, size / 5, 0.0))


@pytest.mark.parametrize("shape", SHAPES)
@given(x=st.integers(-60, 140), y=st.integers(-60, 110), size=st.integers(12, 90))
def test_an_unchanged_crop_changes_no_byte(shape: str, x: int, y: int, size: int) -> None:
    frame = noise(120, 160)
    before = frame.copy()
    face = sample(x, y, size)
    [transform] = place_crops([face], None)
    composite(frame, transform.crop(frame), transform, face_mask(face.box, MaskSettings(shape=shape)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_outside_the_mask_keep_their_bytes(shape: str) -> None:
    frame = noise(200, 200)
    before = frame.copy()
    face = sample(60, 50, 80)
    [transform] = place_crops([face], None)
    mask = face_mask(face.box, MaskSettings(shape=shape))  # type: ignore[arg-type]
    composite(frame, np.full((transform.size, transform.size, 3), 255, np.uint8), transform, mask)
    covered = np.zeros((200, 200), bool)
    rows, columns = mask.alpha.shape
    covered[mask.y : mask.y + rows, mask.x : mask.x + columns] = mask.alpha > 0
    np.testing.assert_array_equal(frame[~covered], before[~covered])
    middle = frame[mask.y + rows // 2, mask.x + columns // 2]
    assert middle.min() == 255


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [40, 200])
def test_the_edge_is_as_soft_as_the_face_is_large(shape: str, size: int) -> None:
    mask = face_mask(FaceBox(0, 0, size, size, 1), MaskSettings(shape=shape, feather=0.12))  # type: ignore[arg-type]
    row = mask.alpha[mask.alpha.shape[0] // 2]
    assert row[0] < 0.1
    assert row.max() == 1
    ramp = int((row[: len(row) // 2] < 0.999).sum())
    assert ramp == pytest.approx(0.12 * size, rel=0.35, abs=2)
    assert np.abs(np.diff(row)).max() < 3 / (0.12 * size)


def test_a_crop_beyond_the_edge_repeats_it_and_is_put_back_in_place() -> None:
    frame = noise(100, 100)
    transform = BoxCropTransform(-20, 70, 50, 50)
    crop = transform.crop(frame)
    assert crop.shape == (50, 50, 3)
    np.testing.assert_array_equal(crop[:30, 20:], frame[70:, :30])
    np.testing.assert_array_equal(crop[10, :20], np.broadcast_to(frame[80, 0], (20, 3)))
    np.testing.assert_array_equal(crop[30:, 25], np.broadcast_to(frame[99, 5], (20, 3)))


def test_a_crop_far_outside_is_still_a_crop() -> None:
    frame = noise(40, 40)
    assert BoxCropTransform(-30, -30, 90, 90).crop(frame).shape == (90, 90, 3)


def test_crops_of_a_sized_generator_are_that_size_and_faces_scale_along() -> None:
    face = sample(30, 20, 60)
    [transform] = place_crops([face], 256)
    assert transform.crop(noise(200, 200)).shape == (256, 256, 3)
    inside = transform.to_crop(face)
    scale = 256 / transform.side
    assert inside.box.width == pytest.approx(60 * scale)
    assert inside.mouth.half_width == pytest.approx(face.mouth.half_width * scale)
    assert inside.mouth.cx == pytest.approx((face.mouth.cx - transform.x) * scale)


def test_native_crops_of_a_clip_share_one_size_and_are_never_resampled() -> None:
    transforms = place_crops([sample(10, 10, 50), sample(12, 11, 57)], None)
    assert transforms[0].side == transforms[1].side == transforms[0].size


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("drop", [-0.04, 0.0, 0.04])
@pytest.mark.parametrize("size", [60, 300])
def test_the_mask_covers_all_that_the_preview_moves(shape: str, drop: float, size: int) -> None:
    box = FaceBox(50, 40, 50 + size, 40 + size, 1.0)
    usual = mouth_prior(box)
    face = FaceSample(0, box, MouthShape(usual.cx, usual.cy + drop * size, usual.half_width, 0.05))
    mask = face_mask(box, MaskSettings(shape=shape))  # type: ignore[arg-type]
    reach = preview_reach(face)
    rows, columns = np.indices(mask.alpha.shape) + 0.5
    x, y = columns + mask.x - reach.cx, rows + mask.y - reach.cy
    cos, sin = np.cos(reach.angle), np.sin(reach.angle)
    inside = (
        np.hypot((x * cos + y * sin) / reach.along, (y * cos - x * sin) / reach.across) < 0.95
    )  # still at its boundary
    assert inside.any()
    assert mask.alpha[inside].min() > 0.97
