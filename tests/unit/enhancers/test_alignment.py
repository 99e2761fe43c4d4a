"""Where an enhancer sees a face."""

from __future__ import annotations

from dataclasses import replace
from math import atan2, cos, degrees, hypot, radians, sin, tan

import cv2
import numpy as np
import pytest

from musetalk.enhancers.alignment import face_view, whole_face
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from tests.helpers.drawn import BOX, MOUTH, drawn_face, drawn_sample

SIZES = [256, 512]
FACE = drawn_sample()
EYES = [(122.0, 125.0), (198.0, 125.0)]  # of the drawn face, whose eyes are a little high and wide


def turned(x: float, y: float, turn: float, scale: float) -> tuple[float, float]:
    """A place of the drawn face after it was turned around the middle of its box, and scaled."""
    dx, dy = x - 160, y - 150
    along, down = cos(turn) * dx - sin(turn) * dy, sin(turn) * dx + cos(turn) * dy
    return (160 + along) * scale, (150 + down) * scale


def turned_face(turn: float, scale: float) -> FaceSample:
    corners = [edge * scale for edge in (BOX.x0, BOX.y0, BOX.x1, BOX.y1)]
    mouth = MouthShape(*turned(MOUTH.cx, MOUTH.cy, turn, scale), MOUTH.half_width * scale, turn)
    return FaceSample(0, FaceBox(*corners, 1.0), mouth)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.5, 3.0])
@pytest.mark.parametrize("tilt", [-25, 0, 10])
def test_eyes_and_mouth_come_to_the_templates_places(size: int, scale: float, tilt: float) -> None:
    turn = radians(tilt)
    view = face_view(turned_face(turn, scale), size)
    assert view.size == size
    unit = size / 512
    wanted = [(193, 240), (319, 240)]
    for eye, place in zip(EYES, wanted, strict=True):
        assert view.point_in_crop(*turned(*eye, turn, scale)) == pytest.approx([p * unit for p in place], abs=8 * unit)
    mouth = view.point_in_crop(*turned(MOUTH.cx, MOUTH.cy, turn, scale))
    assert mouth == pytest.approx([257 * unit, 371 * unit], abs=8 * unit)


def test_the_crop_shows_them_there() -> None:
    crop = face_view(FACE, 512).crop(drawn_face())
    for x in (193, 319):
        pupil = crop[215:265, x - 30 : x + 30].astype(float).sum(axis=-1)
        rows, columns = np.nonzero(pupil < 240)
        assert (columns.mean() - 30 + x, rows.mean() + 215) == pytest.approx((x, 240), abs=8)
    red = crop[300:450, 150:370].astype(float)
    rows, columns = np.nonzero(red[..., 0] - red[..., 1] > 66)
    assert (columns.mean() + 150, rows.mean() + 300) == pytest.approx((257, 371), abs=8)


def test_a_mouth_that_speaks_does_not_zoom() -> None:
    still, wide = (face_view(drawn_sample(replace(MOUTH, half_width=half)), 512) for half in (20.0, 45.0))
    assert still == wide
    opened = face_view(drawn_sample(replace(MOUTH, cy=MOUTH.cy + 6)), 512)
    assert hypot(opened.a, opened.b) == hypot(still.a, still.b)
    assert abs(opened.ty - still.ty) <= 3.01 * still.a


def test_a_squeezed_frame_is_turned_not_squeezed() -> None:
    box = FaceBox(100, 100, 180, 220, 1.0)
    view = face_view(FaceSample(0, box, MouthShape(140 - 34 * tan(0.1), 194, 14, 0.1)), 256)
    assert degrees(atan2(view.b, view.a)) == pytest.approx(degrees(-0.1))
    assert view.side == pytest.approx(152, abs=2)


def test_a_crooked_mouth_turns_the_crop_by_half_as_much() -> None:
    smile, wrong = (face_view(drawn_sample(replace(MOUTH, angle=angle)), 256) for angle in (0.2, -1.0))
    assert atan2(smile.b, smile.a) == pytest.approx(-0.1)
    assert abs(atan2(wrong.b, wrong.a)) < 0.9


@pytest.mark.parametrize("size", [64, *SIZES])
def test_a_whole_face_lies_well_within_its_crop(size: int) -> None:
    mask = whole_face(size)
    assert (mask.shape, mask.dtype) == ((size, size), np.float32)
    rim = size // 24
    inner = np.zeros_like(mask, bool)
    inner[rim:-rim, rim:-rim] = True
    assert not mask[~inner].any()
    assert (mask.min(), mask.max()) == (0, 1)
    for x, y in [(193, 240), (319, 240), (257, 314), (201, 371), (313, 371), (256, 430), (256, 120)]:
        assert mask[y * size // 512, x * size // 512] == 1
    assert max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) < 2 / (0.04 * size)
    assert whole_face(size) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = 1


def test_a_whole_face_holds_the_drawn_one() -> None:
    """From cheek to cheek, and from the brows to the chin."""
    drawn = np.zeros((320, 320), np.float32)
    cv2.ellipse(drawn, (160, 162), (78, 86), 0, 0, 360, 1.0, -1)
    seen = face_view(FACE, 512).crop(np.repeat(np.uint8(255) * drawn[..., None].astype(np.uint8), 3, axis=-1))
    assert whole_face(512)[seen[..., 0] > 250].min() > 0.9
