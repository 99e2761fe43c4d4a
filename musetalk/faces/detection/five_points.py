"""Box, tilt and mouth of a face from five points."""

from __future__ import annotations

from math import atan2, hypot, pi

from musetalk.faces.types import FaceBox, FivePoints, MouthShape
from musetalk.utils.arrays import Float64Array

# In a `FaceBox`, as fractions of its side: means of ten faces (photographs, a painting, drawings) that Haar cascades
# and MTCNN both found. They scatter by 0.02.
_EYES_DOWN = 0.387
_EYES_APART = 0.389
_EYES_TO_MOUTH = 0.386
_MIDDLE = (0.5 - _EYES_DOWN) / _EYES_TO_MOUTH  # of the way from the eyes to the mouth: the middle of the box
_TIGHT_WIDTH, _TIGHT_HEIGHT = 0.827, 1.083  # of a box from cheek to cheek and from forehead to chin


def square_of(points: Float64Array, tight: tuple[float, float], score: float) -> FaceBox:
    """Draw the square that `FaceBox` speaks of.

    It lies around a point between eyes and mouth; its side is the mean of what four lengths ask for, so that an open
    mouth, a nod and a turn of the head each change little of it.

    Args:
        points: float64 [5, 2], in the order of `FivePoints`, in pixels.
        tight: (width, height) of the face as detectors that learned from WIDER FACE draw it: from cheek to cheek, and
            from forehead to chin.
        score: Of the box.
    """
    (left_x, left_y), (right_x, right_y), _, (x0, y0), (x1, y1) = points.tolist()
    eyes_x, eyes_y = (left_x + right_x) / 2, (left_y + right_y) / 2
    down_x, down_y = (x0 + x1) / 2 - eyes_x, (y0 + y1) / 2 - eyes_y
    sides = (
        hypot(down_x, down_y) / _EYES_TO_MOUTH,
        hypot(right_x - left_x, right_y - left_y) / _EYES_APART,
        tight[0] / _TIGHT_WIDTH,
        tight[1] / _TIGHT_HEIGHT,
    )
    half = sum(sides) / len(sides) / 2
    x, y = eyes_x + _MIDDLE * down_x, eyes_y + _MIDDLE * down_y
    return FaceBox(x - half, y - half, x + half, y + half, score, FivePoints.of(points))


def tilt_of(points: FivePoints) -> float:
    """How far a face is tilted, in radians, clockwise on the screen: between what its eyes and its middle line say."""
    (left_x, left_y), (right_x, right_y) = points.left_eye, points.right_eye
    (x0, y0), (x1, y1) = points.left_mouth, points.right_mouth
    across_x, across_y = right_x - left_x, right_y - left_y
    down_x, down_y = (x0 + x1 - left_x - right_x) / 2, (y0 + y1 - left_y - right_y) / 2
    by_eyes, by_middle = atan2(across_y, across_x), atan2(down_y, down_x) - pi / 2
    return by_eyes + _wrapped(by_middle - by_eyes) / 2


def mouth_of(points: FivePoints) -> MouthShape:
    """Return the mouth between its corners."""
    (x0, y0), (x1, y1) = points.left_mouth, points.right_mouth
    return MouthShape((x0 + x1) / 2, (y0 + y1) / 2, hypot(x1 - x0, y1 - y0) / 2, atan2(y1 - y0, x1 - x0))


def _wrapped(angle: float) -> float:
    """The same angle from -pi to pi."""
    return (angle + pi) % (2 * pi) - pi
