"""Smoothing of a face's extent over a shot; missing values are filled in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musetalk.faces.proportions import BoxProportions, FaceExtent, assumed_extent
from musetalk.faces.smoothing import smooth
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array, Int64Array

_NOISE = 0.01  # how far measured heights and cheeks scatter, as a fraction of the box
_UNSURE = 0.05  # weight of a frame that was not measured
_STRAY = 0.15  # fractions of the box from the shot's median: line and chin that lie further off are not believed


def smooth_extents(
    measured: Sequence[FaceExtent | None],
    boxes: Sequence[FaceBox],
    *,
    sigma: float,
) -> list[FaceExtent]:
    """Smooth the extents of one face over consecutive frames, without lag.

    Works in fractions of the boxes, which are smooth already and carry the head's motion. Frames whose line or chin
    lies far from the shot's median count as not measured; those are filled in between their neighbours. Single frames
    that stand out are pulled back by `smooth`.

    Args:
        measured: Per frame what its labels tell, or None.
        boxes: Per frame the face's smoothed box.
        sigma: Of the smoothing in time, in frames, as the tracker's.

    Returns:
        Per frame an extent; where no frame was measured, the box's typical one.
    """
    if not boxes:
        return []
    rows = {
        index: _relative(found, box)
        for index, (found, box) in enumerate(zip(measured, boxes, strict=True))
        if found is not None
    }
    if not rows:
        return [assumed_extent(box) for box in boxes]
    known, values = _believed(np.array(list(rows)), np.stack(list(rows.values())))
    frames = np.arange(len(boxes))
    filled = np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
    weights = np.where(np.isin(frames, known), 1.0, _UNSURE)
    calm = smooth(filled, weights, np.ones(len(boxes)), sigma, _NOISE)
    return [BoxProportions(*row).extent_in(box) for row, box in zip(calm.tolist(), boxes, strict=True)]


def _believed(frames: Int64Array, rows: Float64Array) -> tuple[Int64Array, Float64Array]:
    """Return the frames whose line and chin lie where they usually do, and their rows; at least half of them."""
    heights = rows[:, 2:4]
    strays = np.abs(heights - np.median(heights, axis=0)).max(axis=1)
    believed = strays <= max(_STRAY, float(np.median(strays)))
    return frames[believed], rows[believed]


def _relative(extent: FaceExtent, box: FaceBox) -> Float64Array:
    """(left, right, line, chin, above, below) in fractions of the box: float64 [6]."""
    x = (np.array([extent.left, extent.right]) - box.x0) / box.width
    y = (np.array([extent.line, extent.chin]) - box.y0) / box.height
    return np.concatenate([x, y, np.array([extent.above, extent.below]) / box.height])
