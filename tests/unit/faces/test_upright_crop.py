"""Square crops turned upright: there and back, at every scale and angle."""

from __future__ import annotations

from math import cos, degrees, radians, sin

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask, visible_mask
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform
from musetalk.faces.crops.upright_crop import UprightCropTransform
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.utils.arrays import UInt8Array

MIDDLE = (310.4, 236.7)  # of the crops below in their frame


def placed(
    side: float, turn: float = 0.0, size: int = 256, middle: tuple[float, float] = MIDDLE
) -> UprightCropTransform:
    """A crop of `size` pixels that shows a square of `side` pixels of the frame, turned by `turn` degrees."""
    scale = size / side
    a, b = scale * cos(radians(turn)), -scale * sin(radians(turn))
    (x, y), half = (middle[0] - 0.5, middle[1] - 0.5), size / 2 - 0.5
    return UprightCropTransform(a, b, half - a * x + b * y, half - b * x - a * y, size)


def smooth_picture(height: int = 480, width: int = 640) -> UInt8Array:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + k) + np.cos(y / (29 + 5 * k)) for k in range(3)]
    return np.asarray((np.stack(waves, axis=-1) * 60 + 128).astype(np.uint8))


def noisy_picture(height: int = 480, width: int = 640) -> UInt8Array:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def shown(transform: UprightCropTransform, rim: int = 3) -> FaceMask:
    """A mask over all of the crop but its rim."""
    inner = np.zeros((transform.size, transform.size), np.float32)
    inner[rim:-rim, rim:-rim] = 1
    return visible_mask(transform, inner)


@settings(max_examples=20, deadline=None)
@given(x=st.integers(-40, 90), y=st.integers(-40, 70), size=st.integers(16, 90))
def test_an_upright_crop_at_its_own_scale_is_a_slice(x: int, y: int, size: int) -> None:
    frame = noisy_picture(100, 120)
    transform: CropTransform = UprightCropTransform(1.0, 0.0, -x, -y, size)
    assert (transform.x, transform.y, transform.width, transform.height) == (x, y, size, size)
    crop = transform.crop(frame)
    assert np.array_equal(crop, BoxCropTransform(x, y, size, size).crop(frame))
    assert np.array_equal(transform.warp_back(crop), crop)
    assert np.array_equal(transform.warp_mask(np.ones((size, size), np.float32)), np.ones((size, size), np.float32))


@pytest.mark.parametrize("turn", [0, -17, 40])
@pytest.mark.parametrize("side", [90, 200, 256, 300, 400])
def test_there_and_back_is_the_frame(side: float, turn: float) -> None:
    frame = smooth_picture()
    transform = placed(side, turn)
    changed = frame.copy()
    composite(changed, transform.crop(frame), transform, shown(transform, 9))
    off = cv2.absdiff(changed, frame)
    assert off.max() <= 2
    assert off.mean() < 0.5


@pytest.mark.parametrize("made", [128, 256, 512, 700])
@pytest.mark.parametrize("side", [90.0, 300.0])
def test_pictures_of_any_size_come_back_to_their_place(made: int, side: float) -> None:
    frame = smooth_picture()
    transform = placed(side, 12)
    grown = cv2.resize(transform.crop(frame), (made, made), interpolation=cv2.INTER_AREA)
    changed = frame.copy()
    composite(changed, np.asarray(grown, np.uint8), transform, shown(transform, 9))
    assert cv2.absdiff(changed, frame).max() <= 6
    assert cv2.absdiff(changed, frame).mean() < 0.5


@pytest.mark.parametrize("side", [700.0, 1500.0])
def test_shrinking_averages(side: float) -> None:
    """Noise of sigma 73.9 becomes the mean of as many pixels as there are under one of the crop's."""
    frame = noisy_picture(1200, 1200)
    seen = placed(side, 20, 128, (600.0, 600.0)).crop(frame)[30:-30, 30:-30].astype(float)
    assert seen.mean() == pytest.approx(127.5, abs=1.5)
    assert seen.std() < 1.15 * 73.9 / (side / 128)
    back = placed(128, 20, 256).warp_back(noisy_picture(1024, 1024)).astype(float)[60:120, 60:120]
    assert back.std() < 1.15 * 73.9 / 8


@pytest.mark.parametrize("side", [60.0, 256.0, 400.0])
def test_points_are_found_where_the_picture_shows_them(side: float) -> None:
    transform, (x, y) = placed(side, 25), (MIDDLE[0] + side / 6, MIDDLE[1] - side / 5)
    spot = np.zeros((480, 640, 3), np.uint8)
    place = (round((x - 0.5) * 16), round((y - 0.5) * 16))
    cv2.circle(spot, place, round(side), (255, 255, 255), -1, shift=4)
    crop = transform.crop(spot)[..., 0].astype(float)
    middle = [float((crop * (grid + 0.5)).sum() / crop.sum()) for grid in np.mgrid[:256, :256][::-1]]
    assert middle == pytest.approx(transform.point_in_crop(x, y), abs=0.3)
    mask = transform.warp_mask(np.asarray(crop / 255, np.float32))
    rows, columns = np.mgrid[: transform.height, : transform.width]
    found = [float((mask * (grid + 0.5)).sum() / mask.sum()) for grid in (columns, rows)]
    assert (found[0] + transform.x, found[1] + transform.y) == pytest.approx((x, y), abs=0.3)


def test_beyond_the_frame_its_edge_repeats() -> None:
    frame = smooth_picture()
    crop = placed(200, 0, 200, (0.0, 240.0)).crop(frame)
    assert np.array_equal(crop[:, :100], np.repeat(crop[:, 100:101], 100, axis=1))


def test_a_mask_ends_with_its_crop() -> None:
    transform = placed(200, 30)
    mask = transform.warp_mask(np.ones((64, 64), np.float32))
    assert mask.shape == (transform.height, transform.width)
    assert mask[0, 0] == mask[-1, -1] == mask[0, -1] == mask[-1, 0] == 0
    assert mask.max() == 1
    assert float(mask.sum()) == pytest.approx(200**2, rel=0.02)


def test_a_face_stands_upright_in_its_crop() -> None:
    sample = FaceSample(4, FaceBox(230, 150, 390, 310, 0.7), MouthShape(290.0, 280.0, 30.0, radians(25)))
    transform = placed(320, 25)
    seen = transform.to_crop(sample)
    assert (seen.track, seen.box.score) == (4, 0.7)
    assert degrees(seen.mouth.angle) == pytest.approx(0, abs=1e-6)
    assert seen.mouth.half_width == pytest.approx(30 * 256 / 320)
    assert seen.box.width == pytest.approx(160 * 256 / 320)
    assert (seen.mouth.cx, seen.mouth.cy) == pytest.approx(transform.point_in_crop(290, 280))


def test_rows_above_the_first_one_are_not_looked_at() -> None:
    transform = placed(180, 15)
    part = (290, 250, 340, 300)
    first = transform.first_row(*part)
    assert 0 < first < 256
    made = noisy_picture(256, 256)
    other = made.copy()
    other[:first] = 255 - other[:first]
    inside = np.s_[part[1] - transform.y : part[3] - transform.y, part[0] - transform.x : part[2] - transform.x]
    assert np.array_equal(transform.warp_back(made)[inside], transform.warp_back(other)[inside])


def test_masks_can_be_kept_by_it() -> None:
    one, other = placed(200, 3), placed(200, 3)
    assert one is not other
    assert {one: 1}[other] == 1
    assert one.side == 200
    assert one.size == 256
