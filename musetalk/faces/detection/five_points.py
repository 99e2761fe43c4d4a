"""Box, tilt and mouth of a face from five points."""

from __future__ import annotations

from math import atan2, hypot, pi

import numpy as np

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
    (left, right), mouth = points[:2], points[3:].mean(axis=0)
    eyes = (left + right) / 2
    down, across = mouth - eyes, right - left
    sides = (
        hypot(*down) / _EYES_TO_MOUTH,
        hypot(*across) / _EYES_APART,
        tight[0] / _TIGHT_WIDTH,
        tight[1] / _TIGHT_HEIGHT,
    )
    half = float(sum(sides)) / len(sides) / 2
    x, y = (float(value) for value in eyes + _MIDDLE * down)
    return FaceBox(x - half, y - half, x + half, y + half, score, FivePoints.of(points))


def tilt_of(points: FivePoints) -> float:
    """How far a face is tilted, in radians, clockwise on the screen: between what its eyes and its middle line say."""
    rows = points.array()
    eyes, mouth = rows[:2].mean(axis=0), rows[3:].mean(axis=0)
    (across_x, across_y), (down_x, down_y) = rows[1] - rows[0], mouth - eyes
    by_eyes, by_middle = atan2(across_y, across_x), atan2(down_y, down_x) - pi / 2
    return by_eyes + _wrapped(by_middle - by_eyes) / 2


def mouth_of(points: FivePoints) -> MouthShape:
    """Return the mouth between its corners."""
    (x0, y0), (x1, y1) = points.left_mouth, points.right_mouth
    return MouthShape((x0 + x1) / 2, (y0 + y1) / 2, hypot(x1 - x0, y1 - y0) / 2, atan2(y1 - y0, x1 - x0))


def _wrapped(angle: float) -> float:
    """The same angle from -pi to pi."""
    return float(np.remainder(angle + pi, 2 * pi) - pi)
