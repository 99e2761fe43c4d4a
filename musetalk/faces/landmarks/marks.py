"""A face's extent and five points, from landmarks or from labels."""

from __future__ import annotations

import numpy as np

from musetalk.faces.proportions import FaceExtent
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array

# Numbers of the 68-point scheme.
_BRIDGE = (28, 29, 30)  # of the nose: a landmark above MuseTalk's line, the one on it, and the tip
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)  # in the picture
_MOUTH_CORNERS = [48, 54]

_DEPTHS = (0.2, 0.95)  # believed distances from the line to the chin, in sides of the box; 0.48 is typical
_WIDTHS = (0.45, 1.3)  # believed widths; 0.8 is typical
_OFF = 0.35  # sides of the box by which the middle of all landmarks may miss where it usually lies


def landmarks_believed(landmarks: Float64Array, box: FaceBox) -> bool:
    """Return whether landmarks, float64 [68, 2] in pixels of the frame, may be those of the face in a box."""
    extent, side = extent_of_landmarks(landmarks), (box.width + box.height) / 2
    if not np.isfinite(landmarks).all() or side <= 0:
        return False
    depth, width = (extent.chin - extent.line) / side, (extent.right - extent.left) / side
    missed = np.abs(landmarks.mean(axis=0) - np.array(box.center) - (0, 0.1 * side)).max() / side
    return _DEPTHS[0] < depth < _DEPTHS[1] and _WIDTHS[0] < width < _WIDTHS[1] and bool(missed < _OFF)


def extent_of_landmarks(landmarks: Float64Array) -> FaceExtent:
    """Return how far a face reaches, as upstream MuseTalk reads it from its own 68 landmarks.

    Args:
        landmarks: float64 [68, 2], in pixels of the frame.
    """
    (left, _), (right, chin) = landmarks.min(axis=0), landmarks.max(axis=0)
    above, line, below = (float(landmarks[number, 1]) for number in _BRIDGE)
    return FaceExtent(float(left), float(right), line, float(chin), max(0.0, line - above), max(0.0, below - line))


def five_of_landmarks(landmarks: Float64Array) -> Float64Array:
    """Return the five points that enhancers are aligned by: float64 [5, 2], in the order of `FivePoints`."""
    eyes = [landmarks[eye].mean(axis=0) for eye in (_LEFT_EYE, _RIGHT_EYE)]
    return np.stack([*eyes, landmarks[_BRIDGE[2]], *landmarks[_MOUTH_CORNERS]])
