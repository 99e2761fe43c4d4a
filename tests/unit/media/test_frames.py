"""Frames of every layout: to RGB and back, and what painting leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from musetalk.media.frames import LUMA_WEIGHTS, PLANAR, Frame, FrameLayout, frame_of, mixed

FORMATS = sorted(PLANAR)
SIZES = ((64, 48), (63, 47))


def random_frame(layout: FrameLayout, seed: int = 0) -> Frame:
    """Smooth and within what RGB holds, so that nothing is cut off."""
    generator, frame = np.random.default_rng(seed), Frame(layout)
    step = 1 << (layout.bits - 8)
    for plane, (low, high) in zip(frame.planes, ((90, 150), (115, 141), (115, 141)), strict=True):
        plane[...] = generator.integers(low * step, high * step, plane.shape)
    return frame


def exact_rgb(frame: Frame) -> np.ndarray:
    """Levels by the definition (ITU-R BT.709, H.273), chroma taken from samples that lie between pixels: float64."""
    layout = frame.layout
    red, blue = LUMA_WEIGHTS[layout.matrix]
    step, most = 1 << (layout.bits - 8), (1 << layout.bits) - 1
    luma, *chroma = (plane.astype(np.float64) for plane in frame.planes)
    if layout.full_range:
        luma, chroma = luma / most, [(plane - 128 * step) / most for plane in chroma]
    else:
        luma, chroma = (luma - 16 * step) / (219 * step), [(plane - 128 * step) / (224 * step) for plane in chroma]
    across, down = layout.subsampling
    for axis, count in ((0, down), (1, across)):
        if count == 2:
            pixels = np.arange(luma.shape[axis])
            nearest = pixels // 2
            other = np.clip(nearest + np.where(pixels % 2, 1, -1), 0, chroma[0].shape[axis] - 1)
            chroma = [0.75 * plane.take(nearest, axis) + 0.25 * plane.take(other, axis) for plane in chroma]
    r, b = luma + 2 * (1 - red) * chroma[1], luma + 2 * (1 - blue) * chroma[0]
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], axis=2) * 255, 0, 255)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize(("matrix", "full_range"), [("bt709", False), ("smpte170m", True), ("bt2020nc", False)])
def test_colors_are_those_of_the_definition(
    pixel_format: str, size: tuple[int, int], matrix: str, full_range: bool
) -> None:
    frame = random_frame(FrameLayout(*size, pixel_format, matrix, full_range))
    assert np.abs(frame.rgb() - exact_rgb(frame)).max() <= 0.51


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_pixel_has_one_color_whatever_is_read_around_it(pixel_format: str) -> None:
    frame = random_frame(FrameLayout(63, 47, pixel_format))
    whole = frame.rgb()
    for x0, y0, x1, y1 in ((0, 0, 1, 1), (7, 5, 30, 28), (40, 20, 63, 47), (62, 46, 63, 47), (0, 46, 63, 47)):
        np.testing.assert_array_equal(frame.read(x0, y0, x1, y1), whole[y0:y1, x0:x1])


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_what_is_painted_as_it_was_stays_as_it_was(pixel_format: str) -> None:
    """Also where every pixel is painted: interpolated chroma goes back to the samples it was made of."""
    frame = random_frame(FrameLayout(64, 48, pixel_format))
    painted = frame.copy()
    part = painted.part(9, 7, 41, 33)
    part.cover(0, 0, np.ones(part.rgb.shape[:2], np.float32))
    painted.paint(part)
    assert painted.data.tobytes() == frame.data.tobytes()
    flicker = part.rgb.copy()
    part.rgb[::2] ^= 1  # so that all of it counts as painted
    part.rgb[1::2] ^= 1
    painted.paint(part)
    assert np.abs(flicker.astype(int) - part.rgb).max() == 1
    step = 1 << (frame.layout.bits - 8)
    for plane, before in zip(painted.planes, frame.planes, strict=True):
        assert np.abs(plane.astype(int) - before).max() <= 4 * step


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_only_samples_under_what_was_painted_change(pixel_format: str, size: tuple[int, int]) -> None:
    frame = random_frame(FrameLayout(*size, pixel_format))
    painted = frame.copy()
    part = painted.part(10, 8, size[0], 40)
    x, y = 15 - part.x, 11 - part.y
    part.rgb[y : y + 9, x : x + 12] = (200, 40, 90)
    part.cover(x, y, np.ones((9, 12), np.float32))
    painted.paint(part)
    across, down = frame.layout.subsampling
    for number, (plane, before) in enumerate(zip(painted.planes, frame.planes, strict=True)):
        wide, high = (across, down) if number else (1, 1)
        under = np.zeros(plane.shape, bool)
        under[11 // high : -(-20 // high), 15 // wide : -(-27 // wide)] = True
        np.testing.assert_array_equal(plane[~under], before[~under])
        assert (plane[under] != before[under]).mean() > 0.9
    assert np.abs(painted.rgb()[14:17, 19:23].astype(int) - (200, 40, 90)).max() <= 2


def test_what_rgb_cannot_hold_stays_as_far_as_the_source_shines_through() -> None:
    """A highlight above white: covered, it is gone; half covered, half of what is beyond white is left."""
    frame = Frame(FrameLayout(16, 16, "yuv420p"))
    for plane, level in zip(frame.planes, (250, 128, 128), strict=True):
        plane[...] = level
    for share, expected in ((1.0, 126.0), (0.5, 126 + 7.5)):
        painted = frame.copy()
        part = painted.part(0, 0, 16, 16)
        part.rgb[...] = 128
        part.cover(0, 0, np.full((16, 16), share, np.float32))
        painted.paint(part)
        assert np.abs(painted.planes[0] - expected).max() <= 0.6


def test_covering_twice_covers_more() -> None:
    part = Frame(FrameLayout(8, 8, "yuv444p"), np.full(192, 128, np.uint8)).part(0, 0, 8, 8)
    part.cover(2, 2, np.full((4, 4), 0.5, np.float32))
    part.cover(4, 4, np.full((4, 4), 0.5, np.float32))
    assert (part.coverage[3, 3], part.coverage[5, 5], part.coverage[7, 7], part.coverage[0, 0]) == (0.5, 0.75, 0.5, 0)


def test_rgb_is_painted_in_place() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    frame = frame_of(picture)
    assert np.shares_memory(frame.rgb(), picture)
    part = frame.part(2, 3, 5, 6)
    part.rgb[...] = 7
    frame.paint(part)
    assert (picture[3:6, 2:5] == 7).all()


@pytest.mark.parametrize("pixel_format", ["rgb24", *FORMATS])
def test_mixing_changes_nothing_where_both_agree(pixel_format: str) -> None:
    layout = FrameLayout(20, 10, pixel_format)
    one, other = Frame(layout, np.full(layout.frame_bytes, 3, np.uint8)), Frame(layout)
    other.data[...] = one.data
    other.planes[0][2, 3] = 100
    halfway = mixed(one, other, 0.25)
    assert halfway.planes[0][2, 4].max() == one.planes[0][2, 4].max()
    changed = int(np.max(one.planes[0][2, 3]))
    assert int(np.max(halfway.planes[0][2, 3])) == pytest.approx(0.75 * changed + 25, abs=0.6)
