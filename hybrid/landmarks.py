"""The three points that LatentSync turns a face upright by, found in its labels, and made steady.

Upstream takes them from 106 landmarks: each brow's is the mean of five along its upper edge from end to end; the
nose's that of the lower bridge, both wings and the tip, which is about the tip. Face parsing has no landmarks, so the
places are told from the labels' shapes. How they lie to each other was measured on one frontal face whose landmarks
are published; the mean face of the 68-point scheme (see `musetalk.faces.parsing.face_extent`) agrees within 3 % where
it has the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.landmarks.point_smoothing import smooth_points as steady
from musetalk.faces.parsing.label_points import (
    BROWS,
    EYES,
    LEAST_PIXELS,
    axes_along,
    lower_end,
    lower_nose,
    own_face,
    places_of,
    two_sides,
)
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array, UInt8Array

Point: TypeAlias = tuple[float, float]

_BROW_DEPTH = 1 / 3  # of a brow's thickness below its upper edge: the mean of the five landmarks
_BROWS_OVER_EYES = 0.42  # of the way from the eyes to the nose's base
_BROWS_APART = 1.145  # in distances of the eyes
_SHAPES = (0.4, 2.2)  # believed distances of the brows, in heights of theirs over the nose's base; 1.0 is typical

_LEFT_BROW, _RIGHT_BROW, _NOSE = slice(17, 22), slice(22, 27), slice(27, 36)  # of 68 landmarks, as upstream takes them
# Of a typical upright face in its box (see `TYPICAL_PROPORTIONS` in `musetalk.faces.parsing.face_extent`, from which
# they follow).
_TYPICAL = np.array([[0.305, 0.274], [0.695, 0.274], [0.5, 0.592]])


@dataclass(frozen=True, slots=True)
class FacePoints:
    """Three points of a face as (x, y), in pixels of the frame (the first pixel's middle is at 0.5).

    Attributes:
        left: The brow further left in the picture.
        right: The other brow.
        nose: About the nose's tip.
    """

    left: Point
    right: Point
    nose: Point

    @classmethod
    def of(cls, array: Float64Array) -> FacePoints:
        """Return the points in float64 [3, 2], as `array` returns them."""
        left, right, nose = ((float(x), float(y)) for x, y in array)
        return cls(left, right, nose)

    def array(self) -> Float64Array:
        """float64 [3, 2]: left, right, nose."""
        return np.array([self.left, self.right, self.nose], dtype=np.float64)


def assumed_points(box: FaceBox) -> FacePoints:
    """Return the points of a typical upright face, for where no labels tell better."""
    return FacePoints.of(_TYPICAL * (box.width, box.height) + (box.x0, box.y0))


def points_from_labels(labels: UInt8Array, seen: BoxCropTransform) -> FacePoints | None:
    """Find a face's points in its labels.

    Which brow is which is told by its place, not by its label. Where a brow is missing, the eyes tell.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.

    Returns:
        The points, or None where the labels show no nose, or neither two brows nor two eyes.
    """
    own = own_face(labels)
    nose = places_of(own == FaceLabel.NOSE, seen)
    if len(nose) < LEAST_PIXELS:
        return None
    step = max(seen.width / labels.shape[1], seen.height / labels.shape[0])
    for marks, from_eyes in ((BROWS, False), (EYES, True)):
        sides = two_sides(places_of(np.isin(own, marks), seen))
        if sides is None:
            continue
        found = _triangle(*sides, nose, step, from_eyes=from_eyes)
        if found is not None:
            return found
    return None


def smooth_points(measured: Sequence[FacePoints | None], boxes: Sequence[FaceBox], *, sigma: float) -> list[FacePoints]:
    """Smooth the points of one face over consecutive frames, without lag.

    See `musetalk.faces.landmarks.point_smoothing.smooth_points`.

    Args:
        measured: Per frame what its labels tell, or None.
        boxes: Per frame the face's smoothed box.
        sigma: Of the smoothing in time, in frames, as the tracker's.

    Returns:
        Per frame its points; where no frame was measured, the box's typical ones.
    """
    found = steady([None if each is None else each.array() for each in measured], boxes, sigma=sigma)
    return [assumed_points(box) for box in boxes] if found is None else [FacePoints.of(each) for each in found]


def points_of_landmarks(landmarks: Float64Array) -> FacePoints:
    """The points in 68 landmarks, float64 [68, 2]: means of each brow's and of the nose's, as upstream takes them."""
    return FacePoints.of(np.stack([landmarks[part].mean(axis=0) for part in (_LEFT_BROW, _RIGHT_BROW, _NOSE)]))


def _triangle(
    left: Float64Array, right: Float64Array, nose: Float64Array, step: float, *, from_eyes: bool
) -> FacePoints | None:
    """Return the points in a face whose brows, or eyes, are given; None where they cannot belong to one face.

    Args:
        left: Places of the brow, or eye, further left: float64 [n, 2].
        right: The same of the other.
        nose: Places of the nose: float64 [n, 2].
        step: Distance of neighbouring places.
        from_eyes: Whether they are eyes.
    """
    axes = axes_along(left, right)
    left, right, nose = left @ axes.T, right @ axes.T, nose @ axes.T
    base = lower_end(nose, step)
    ends = np.stack([side.mean(axis=0) if from_eyes else _brow_point(side, step) for side in (left, right)])
    if from_eyes:
        middle = ends.mean(axis=0)
        ends = middle + (ends - middle) * _BROWS_APART - (0, _BROWS_OVER_EYES * (base - middle[1]))
    height = base - float(ends[:, 1].mean())
    shape = float(ends[1, 0] - ends[0, 0]) / max(height, 1e-6)
    if height < 4 * step or not _SHAPES[0] <= shape <= _SHAPES[1]:
        return None
    return FacePoints.of(np.stack([*ends, lower_nose(nose, base, height)]) @ axes)


def _brow_point(brow: Float64Array, step: float) -> Float64Array:
    """Return the middle of a brow, a little below its upper edge, as (along, down): float64 [2]."""
    columns, which = np.unique(np.floor(brow[:, 0] / step), return_inverse=True)
    upper, lower = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    np.minimum.at(upper, which, brow[:, 1])
    np.maximum.at(lower, which, brow[:, 1])
    down = upper - step / 2 + _BROW_DEPTH * (lower - upper + step)
    return np.array([(columns.mean() + 0.5) * step, down.mean()])
