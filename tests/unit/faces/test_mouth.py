"""Finding the mouth in a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from musetalk.faces.tracking.mouth import locate_mouth, mouth_prior
from musetalk.faces.types import FaceBox, MouthShape
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, MOUTH, SIDE, drawn_face


def assert_near(found: MouthShape | None, wanted: MouthShape, pixels: float = 2.0) -> None:
    assert found is not None
    assert found.cx == pytest.approx(wanted.cx, abs=pixels)
    assert found.cy == pytest.approx(wanted.cy, abs=pixels)
    assert found.half_width == pytest.approx(wanted.half_width, rel=0.25)
    assert found.angle == pytest.approx(wanted.angle, abs=0.06)


@pytest.mark.parametrize(
    "mouth",
    [
        MOUTH,
        replace(MOUTH, cx=152.0, cy=201.0),
        replace(MOUTH, half_width=40.0),
        replace(MOUTH, angle=0.15),
        replace(MOUTH, angle=-0.15),
    ],
)
def test_finds_closed_lips_where_they_were_drawn(mouth: MouthShape) -> None:
    assert_near(locate_mouth(drawn_face(mouth), BOX), mouth)


def test_finds_a_mouth_that_shows_teeth() -> None:
    assert_near(locate_mouth(drawn_face(teeth=8.0), BOX), MOUTH, pixels=4.0)


@pytest.mark.parametrize("step", [0.25, 0.5, 0.75])
def test_follows_movements_below_a_pixel(step: float) -> None:
    first = locate_mouth(drawn_face(), BOX)
    second = locate_mouth(drawn_face(replace(MOUTH, cy=MOUTH.cy + step)), BOX)
    assert first is not None
    assert second is not None
    assert second.cy - first.cy == pytest.approx(step, abs=0.25)


def side_light(face: UInt8Array) -> UInt8Array:
    return (face * np.linspace(1.0, 0.3, SIDE)[None, :, None]).astype(np.uint8)


def grey(face: UInt8Array) -> UInt8Array:
    return np.repeat(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def dark(face: UInt8Array) -> UInt8Array:
    return (face * 0.25).astype(np.uint8)


@pytest.mark.parametrize("seen", [side_light, grey, dark])
def test_light_and_color_do_not_matter(seen: Callable[[UInt8Array], UInt8Array]) -> None:
    assert_near(locate_mouth(seen(drawn_face()), BOX), MOUTH)


@pytest.mark.parametrize("scale", [0.3, 0.6, 1.6, 3.0])
def test_size_does_not_matter(scale: float) -> None:
    face = cv2.resize(drawn_face(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    box = FaceBox(*(scale * side for side in (BOX.x0, BOX.y0, BOX.x1, BOX.y1)), BOX.score)
    wanted = MouthShape(MOUTH.cx * scale, MOUTH.cy * scale, MOUTH.half_width * scale, 0.0)
    assert_near(locate_mouth(np.asarray(face, np.uint8), box), wanted, pixels=2.0 * scale)


def test_sees_the_same_in_a_box_that_lies_a_little_off() -> None:
    shifted = FaceBox(BOX.x0 + 8, BOX.y0 - 8, BOX.x1 + 8, BOX.y1 - 8, BOX.score)
    assert_near(locate_mouth(drawn_face(), shifted), MOUTH)


def test_nothing_is_found_where_there_is_no_mouth() -> None:
    flat = np.full((SIDE, SIDE, 3), 150, np.uint8)
    noisy = np.clip(150 + np.random.default_rng(0).normal(0, 10, flat.shape), 0, 255).astype(np.uint8)
    assert locate_mouth(flat, BOX) is None
    assert locate_mouth(noisy, BOX) is None
    assert locate_mouth(drawn_face(), FaceBox(10.0, 10.0, 20.0, 20.0, 1.0)) is None


@pytest.mark.parametrize("offset", [(-300.0, 0.0), (250.0, 250.0), (0.0, -400.0)])
def test_boxes_beyond_the_frame_are_no_error(offset: tuple[float, float]) -> None:
    x, y = offset
    box = FaceBox(BOX.x0 + x, BOX.y0 + y, BOX.x1 + x, BOX.y1 + y, BOX.score)
    large = FaceBox(box.x0, box.y0, box.x0 + 900, box.y0 + 900, BOX.score)
    assert locate_mouth(drawn_face(), box) is None
    locate_mouth(drawn_face(), large)


def test_the_typical_place_scales_and_moves_with_the_box() -> None:
    prior = mouth_prior(BOX)
    assert BOX.x0 < prior.cx - prior.half_width
    assert prior.cx == pytest.approx(BOX.center[0])
    assert 0.7 < (prior.cy - BOX.y0) / BOX.height < 0.85
    assert prior.angle == 0.0
    twice = mouth_prior(FaceBox(BOX.x0 * 2, BOX.y0 * 2, BOX.x1 * 2, BOX.y1 * 2, 1.0))
    assert (twice.cx, twice.cy, twice.half_width) == pytest.approx((2 * prior.cx, 2 * prior.cy, 2 * prior.half_width))
