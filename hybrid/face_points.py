"""The three points that LatentSync turns a face upright by, found in its labels, and made steady.

Upstream takes them from 106 landmarks: each brow's is the mean of five along its upper edge from end to end; the
nose's that of the lower bridge, both wings and the tip, which is about the tip. Face parsing has no landmarks, so the
places are told from the labels' shapes. How they lie to each other was measured on one frontal face whose landmarks
are published; the mean face of the 68-point scheme (see `musetalk.faces.extent`) agrees within 3 % where it has the
same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.arrays import UInt8Array
from musetalk.faces.geometry import CropPlacement
from musetalk.faces.parsing_masks import FaceLabel
from musetalk.faces.smoothing import Float64Array, smooth
from musetalk.faces.types import FaceBox

Point: TypeAlias = tuple[float, float]
_Mask: TypeAlias = npt.NDArray[np.bool_]

_BROWS = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)
_EYES = (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)
_LIPS = (FaceLabel.MOUTH, FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)
_FACE = (FaceLabel.SKIN, FaceLabel.NOSE, FaceLabel.GLASSES, *_BROWS, *_EYES, *_LIPS)

_LEAST_PIXELS = 12  # of one brow, eye or nose in the labels: fewer are specks
_BROW_DEPTH = 1 / 3  # of a brow's thickness below its upper edge: the mean of the five landmarks
_LOWER_NOSE = 0.36  # of the way from the nose's base up to the brows: the part whose middle is the mean of the four
_NOSE_END = 0.15  # of its greatest width: what is narrower is no longer nose
_BROWS_OVER_EYES = 0.42  # of the way from the eyes to the nose's base
_BROWS_APART = 1.145  # in distances of the eyes
_SHAPES = (0.4, 2.2)  # believed distances of the brows, in heights of theirs over the nose's base; 1.0 is typical

_NOISE = 0.01  # how far measured points scatter, as a fraction of the box
_UNSURE = 0.05  # weight of a frame that was not measured
_STRAY = 0.2  # fractions of the box from the shot's median: points that lie further off are not believed
# Of a typical upright face in its box (see `TYPICAL_PROPORTIONS` in `musetalk.faces.extent`, from which they follow).
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
        """The points in float64 [3, 2], as `array` returns them."""
        left, right, nose = ((float(x), float(y)) for x, y in array)
        return cls(left, right, nose)

    def array(self) -> Float64Array:
        """float64 [3, 2]: left, right, nose."""
        return np.array([self.left, self.right, self.nose], dtype=np.float64)


def assumed_points(box: FaceBox) -> FacePoints:
    """Return the points of a typical upright face, for where no labels tell better."""
    return FacePoints.of(_TYPICAL * (box.width, box.height) + (box.x0, box.y0))


def points_from_labels(labels: UInt8Array, seen: CropPlacement) -> FacePoints | None:
    """Find a face's points in its labels.

    Which brow is which is told by its place, not by its label. Where a brow is missing, the eyes tell.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.

    Returns:
        The points, or None where the labels show no nose, or neither two brows nor two eyes.
    """
    own = _own_face(labels)
    nose = _places(own == FaceLabel.NOSE, seen)
    if len(nose) < _LEAST_PIXELS:
        return None
    step = max(seen.width / labels.shape[1], seen.height / labels.shape[0])
    for marks, from_eyes in ((_BROWS, False), (_EYES, True)):
        sides = _two_sides(_places(np.isin(own, marks), seen))
        if sides is None:
            continue
        found = _triangle(*sides, nose, step, from_eyes=from_eyes)
        if found is not None:
            return found
    return None


def steady_points(measured: Sequence[FacePoints | None], boxes: Sequence[FaceBox], *, sigma: float) -> list[FacePoints]:
    """Smooth the points of one face over consecutive frames, without lag.

    Works in fractions of the boxes, as `steady_extents` does: frames whose points lie far from the shot's median
    count as not measured; those are filled in between their neighbours.

    Args:
        measured: Per frame what its labels tell, or None.
        boxes: Per frame the face's smoothed box.
        sigma: Of the smoothing in time, in frames, as the tracker's.

    Returns:
        Per frame its points; where no frame was measured, the box's typical ones.
    """
    rows = {
        index: ((found.array() - (box.x0, box.y0)) / (box.width, box.height)).reshape(-1)
        for index, (found, box) in enumerate(zip(measured, boxes, strict=True))
        if found is not None
    }
    if not rows:
        return [assumed_points(box) for box in boxes]
    known, values = np.array(list(rows)), np.stack(list(rows.values()))
    strays = np.abs(values - np.median(values, axis=0)).max(axis=1)
    believed = strays <= max(_STRAY, float(np.median(strays)))
    known, values = known[believed], values[believed]
    frames = np.arange(len(boxes))
    filled = np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
    weights = np.where(np.isin(frames, known), 1.0, _UNSURE)
    calm = smooth(filled, weights, np.ones(len(boxes)), sigma, _NOISE)
    return [
        FacePoints.of(row.reshape(3, 2) * (box.width, box.height) + (box.x0, box.y0))
        for row, box in zip(calm, boxes, strict=True)
    ]


def _own_face(labels: UInt8Array) -> UInt8Array:
    """The labels of the one face with the most nose; everything else background."""
    count, parts = cv2.connectedComponents(np.isin(labels, _FACE).astype(np.uint8), connectivity=4)
    noses = np.bincount(parts[labels == FaceLabel.NOSE], minlength=count)
    return np.where(parts == int(noses.argmax()), labels, np.uint8(FaceLabel.BACKGROUND))


def _places(mask: _Mask, seen: CropPlacement) -> Float64Array:
    """The middles of a mask's pixels as (x, y) in pixels of the frame: float64 [n, 2]."""
    rows, columns = np.nonzero(mask)
    x = seen.x + (columns + 0.5) * (seen.width / mask.shape[1])
    return np.stack([x, seen.y + (rows + 0.5) * (seen.height / mask.shape[0])], axis=1)


def _two_sides(places: Float64Array) -> tuple[Float64Array, Float64Array] | None:
    """Divide places into what lies left and right, where they are furthest apart (Otsu 1979); None without two."""
    if len(places) < 2 * _LEAST_PIXELS:
        return None
    around = places - places.mean(axis=0)
    along = np.linalg.eigh(around.T @ around)[1][:, -1]  # two brows, two eyes lie in a row
    way = around @ (along if along[0] >= 0 else -along)
    levels = np.asarray((way - way.min()) / max(float(np.ptp(way)), 1e-6) * 255, dtype=np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    left, right = places[levels <= limit], places[levels > limit]
    if min(len(left), len(right)) < _LEAST_PIXELS:
        return None
    return left, right


def _triangle(
    left: Float64Array, right: Float64Array, nose: Float64Array, step: float, *, from_eyes: bool
) -> FacePoints | None:
    """The points in a face whose brows, or eyes, are given; None where they cannot belong to one face.

    Args:
        left: Places of the brow, or eye, further left: float64 [n, 2].
        right: The same of the other.
        nose: Places of the nose: float64 [n, 2].
        step: Distance of neighbouring places.
        from_eyes: Whether they are eyes.
    """
    across = right.mean(axis=0) - left.mean(axis=0)
    along = across / max(float(np.hypot(*across)), 1e-6)
    axes = np.array([along, (-along[1], along[0])])  # rows: along the brows, and down from them
    left, right, nose = left @ axes.T, right @ axes.T, nose @ axes.T
    base = _lower_end(nose, step)
    ends = np.stack([side.mean(axis=0) if from_eyes else _brow_point(side, step) for side in (left, right)])
    if from_eyes:
        middle = ends.mean(axis=0)
        ends = middle + (ends - middle) * _BROWS_APART - (0, _BROWS_OVER_EYES * (base - middle[1]))
    height = base - float(ends[:, 1].mean())
    shape = float(ends[1, 0] - ends[0, 0]) / max(height, 1e-6)
    if height < 4 * step or not _SHAPES[0] <= shape <= _SHAPES[1]:
        return None
    tip = nose[nose[:, 1] > base - _LOWER_NOSE * height].mean(axis=0)
    return FacePoints.of(np.stack([*ends, tip]) @ axes)


def _brow_point(brow: Float64Array, step: float) -> Float64Array:
    """The middle of a brow, a little below its upper edge, as (along, down): float64 [2]."""
    columns, which = np.unique(np.floor(brow[:, 0] / step), return_inverse=True)
    upper, lower = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    np.minimum.at(upper, which, brow[:, 1])
    np.maximum.at(lower, which, brow[:, 1])
    down = upper - step / 2 + _BROW_DEPTH * (lower - upper + step)
    return np.array([(columns.mean() + 0.5) * step, down.mean()])


def _lower_end(nose: Float64Array, step: float) -> float:
    """How far down a nose reaches, but for a tip of few pixels."""
    rows, counts = np.unique(np.floor(nose[:, 1] / step), return_counts=True)
    return float((rows[counts >= _NOSE_END * counts.max()][-1] + 1) * step)
