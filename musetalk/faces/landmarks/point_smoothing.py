"""Smoothing of a face's points over a shot; missing ones are filled in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musetalk.faces.smoothing import smooth
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array

_NOISE = 0.01  # how far measured points scatter, as a fraction of the box
_UNSURE = 0.05  # weight of a frame that was not measured
_STRAY = 0.2  # fractions of the box from the shot's median: points that lie further off are not believed


def smooth_points(
    measured: Sequence[Float64Array | None], boxes: Sequence[FaceBox], *, sigma: float
) -> list[Float64Array] | None:
    """Smooth the points of one face over consecutive frames, without lag.

    Works in fractions of the boxes, which are smooth already and carry the head's motion: frames whose points lie far
    from the shot's median count as not measured; those are filled in between their neighbours.

    Args:
        measured: Per frame float64 [k, 2] in pixels of the frame, or None.
        boxes: Per frame the face's smoothed box.
        sigma: Of the smoothing in time, in frames, as the tracker's.

    Returns:
        Per frame float64 [k, 2]; None where no frame was measured.
    """
    rows = {
        index: ((found - (box.x0, box.y0)) / (box.width, box.height)).reshape(-1)
        for index, (found, box) in enumerate(zip(measured, boxes, strict=True))
        if found is not None
    }
    if not rows:
        return None
    known, values = np.array(list(rows)), np.stack(list(rows.values()))
    strays = np.abs(values - np.median(values, axis=0)).max(axis=1)
    believed = strays <= max(_STRAY, float(np.median(strays)))
    known, values = known[believed], values[believed]
    frames = np.arange(len(boxes))
    filled = np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
    weights = np.where(np.isin(frames, known), 1.0, _UNSURE)
    calm = smooth(filled, weights, np.ones(len(boxes)), sigma, _NOISE)
    return [
        row.reshape(-1, 2) * (box.width, box.height) + (box.x0, box.y0) for row, box in zip(calm, boxes, strict=True)
    ]
