"""What five points tell of a face."""

from __future__ import annotations

from fractions import Fraction
from math import radians

import numpy as np
import pytest

from musetalk.faces.detection.five_points import mouth_of, square_of, tilt_of
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceBox, FivePoints
from musetalk.settings import TrackerSettings
from musetalk.utils.arrays import Float64Array, UInt8Array

# In a box of 100 at (0, 0) as every detector draws it, with a tight box that is as usual there.
UPRIGHT = np.array([[30.5, 38.7], [69.5, 38.7], [50, 57], [34, 77.3], [66, 77.3]])
TIGHT = (82.7, 108.3)


def turned(points: Float64Array, degrees: float) -> Float64Array:
    c, s = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - 50) @ np.array([[c, s], [-s, c]]) + 50)


@pytest.mark.parametrize("degrees", [-100, -30, 0, 20, 75])
def test_box_tilt_and_mouth_of_a_turned_face(degrees: float) -> None:
    points = turned(UPRIGHT, degrees)
    box = square_of(points, TIGHT, 0.9)
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0, 0, 100, 100), abs=0.5)
    assert box.score == 0.9
    assert box.points is not None
    assert tilt_of(box.points) == pytest.approx(radians(degrees), abs=0.01)
    mouth = mouth_of(box.points)
    assert (mouth.cx, mouth.cy) == pytest.approx(tuple(points[3:].mean(axis=0)))
    assert (mouth.half_width, mouth.angle) == pytest.approx((16, radians(degrees)), abs=0.01)


def test_a_tilt_of_half_a_turn_is_no_jump() -> None:
    assert abs(tilt_of(FivePoints.of(turned(UPRIGHT, 180)))) == pytest.approx(np.pi, abs=0.01)


def test_an_open_mouth_hardly_changes_the_box() -> None:
    opened = UPRIGHT.copy()
    opened[3:] += (0, 4)
    box = square_of(opened, TIGHT, 1)
    assert box.width == pytest.approx(100, abs=3)
    assert box.center == pytest.approx((50, 50), abs=1.5)


class Pointing:
    """Finds one face with its points in every frame; frames are half as large as the source."""

    fingerprint, max_side = "pointing", 100

    def detect(self, frames: list[UInt8Array]) -> list[list[FaceBox]]:
        return [[square_of(turned(UPRIGHT, 20) / 2, (TIGHT[0] / 2, TIGHT[1] / 2), 1)] for _ in frames]


def test_the_plan_takes_the_mouth_from_the_points() -> None:
    frames = [np.full((60, 60, 3), 128, np.uint8)] * 10
    plan = plan_faces(frames, frame_size=(120, 120), fps=Fraction(25), detector=Pointing(), settings=TrackerSettings())
    wanted = turned(UPRIGHT, 20)[3:].mean(axis=0)
    np.testing.assert_allclose(plan.boxes[:, :4], np.tile([0, 0, 100, 100], (10, 1)), atol=0.5)
    np.testing.assert_allclose(plan.mouths, np.tile([*wanted, 16, radians(20)], (10, 1)), atol=0.05)
