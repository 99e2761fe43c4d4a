"""Positions of a face's parts, from its labels."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.utils.arrays import Float64Array, UInt8Array

_Mask: TypeAlias = npt.NDArray[np.bool_]

BROWS = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)
EYES = (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)
LIPS = (FaceLabel.MOUTH, FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)
LEAST_PIXELS = 12  # of one brow, eye or nose in the labels: fewer are specks

_FACE = (FaceLabel.SKIN, FaceLabel.NOSE, FaceLabel.GLASSES, *BROWS, *EYES, *LIPS)
_NOSE_END = 0.15  # of its greatest width: what is narrower is no longer nose
_LOWER_NOSE = 0.36  # of the way from the nose's base up to the brows
_TIP = 0.737  # of the way from the eyes to the nose's base, in the mean face (see `musetalk.faces.parsing.face_extent`)
_CORNER = 0.08  # of the lips' pixels, those furthest out: their middle height is a corner's
_ENDS = (0.003, 0.997)  # of the lips' pixels, from end to end: stray ones lie beyond
_SHAPES = (0.4, 2.2)  # believed distances of the eyes, in distances from eyes to mouth; 1.0 is typical


def own_face(labels: UInt8Array) -> UInt8Array:
    """Return the labels, uint8 [h, w], of the one face with the most nose; everything else background."""
    count, parts = cv2.connectedComponents(np.isin(labels, _FACE).astype(np.uint8), connectivity=4)
    noses = np.bincount(parts[labels == FaceLabel.NOSE], minlength=count)
    return np.where(parts == int(noses.argmax()), labels, np.uint8(FaceLabel.BACKGROUND))


def places_of(mask: _Mask, seen: BoxCropTransform) -> Float64Array:
    """Return the middles of a mask's pixels as (x, y) in pixels of the frame: float64 [n, 2]."""
    rows, columns = np.nonzero(mask)
    x = seen.x + (columns + 0.5) * (seen.width / mask.shape[1])
    return np.stack([x, seen.y + (rows + 0.5) * (seen.height / mask.shape[0])], axis=1)


def two_sides(places: Float64Array) -> tuple[Float64Array, Float64Array] | None:
    """Divide places into what lies left and right, where they are furthest apart (Otsu 1979); None without two."""
    if len(places) < 2 * LEAST_PIXELS:
        return None
    around = places - places.mean(axis=0)
    along = np.linalg.eigh(around.T @ around)[1][:, -1]  # two brows, two eyes lie in a row
    way = around @ (along if along[0] >= 0 else -along)
    levels = np.asarray((way - way.min()) / max(float(np.ptp(way)), 1e-6) * 255, dtype=np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    left, right = places[levels <= limit], places[levels > limit]
    if min(len(left), len(right)) < LEAST_PIXELS:
        return None
    return left, right


def axes_along(left: Float64Array, right: Float64Array) -> Float64Array:
    """Unit vectors from the middle of one side to that of the other, and down from there: rows of float64 [2, 2]."""
    across = right.mean(axis=0) - left.mean(axis=0)
    along = across / max(float(np.hypot(*across)), 1e-6)
    return np.array([along, (-along[1], along[0])])


def lower_end(nose: Float64Array, step: float) -> float:
    """Return how far down a nose's places, (along, down), reach, but for a tip of few pixels.

    Neighbours are `step` apart.
    """
    rows, counts = np.unique(np.floor(nose[:, 1] / step), return_counts=True)
    return float((rows[counts >= _NOSE_END * counts.max()][-1] + 1) * step)


def lower_nose(nose: Float64Array, base: float, height: float) -> Float64Array:
    """The middle of the lower part of a nose, whose base is so far down and so far below the brows: float64 [2]."""
    return np.asarray(nose[nose[:, 1] > base - _LOWER_NOSE * height].mean(axis=0), np.float64)


def five_of_labels(labels: UInt8Array, seen: BoxCropTransform) -> Float64Array | None:
    """Find the five points that enhancers are aligned by in a face's labels.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.

    Returns:
        float64 [5, 2], in the order of `FivePoints`, in pixels of the frame; None where an eye, the nose or the lips do
        not show.
    """
    own = own_face(labels)
    eyes = two_sides(places_of(np.isin(own, EYES), seen))
    nose, lips = places_of(own == FaceLabel.NOSE, seen), places_of(np.isin(own, LIPS), seen)
    if eyes is None or min(len(nose), len(lips)) < LEAST_PIXELS:
        return None
    axes = axes_along(*eyes)
    step = max(seen.width / labels.shape[1], seen.height / labels.shape[0])
    (left, right), nose, lips = (side.mean(axis=0) @ axes.T for side in eyes), nose @ axes.T, lips @ axes.T
    middle, base = (left + right) / 2, lower_end(nose, step)
    corners = _corners(lips)
    drop = float(corners[:, 1].mean() - middle[1])
    if drop <= 0 or base <= middle[1] or not _SHAPES[0] <= (right[0] - left[0]) / drop <= _SHAPES[1]:
        return None
    tip = (lower_nose(nose, base, base - middle[1])[0], middle[1] + _TIP * (base - middle[1]))
    return np.asarray(np.stack([left, right, tip, *corners]) @ axes, np.float64)


def _corners(lips: Float64Array) -> Float64Array:
    """Both ends of the lips' places, (along, down): float64 [2, 2]."""
    order = lips[np.argsort(lips[:, 0])]
    count = max(1, round(_CORNER * len(order)))
    ends = np.quantile(order[:, 0], _ENDS)
    return np.array([(ends[0], order[:count, 1].mean()), (ends[1], order[-count:, 1].mean())])
