"""Arithmetic on the boxes that the networks of MTCNN hand on to each other."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array, Float64Array

_MOST = 256  # boxes that are handed on: noise and foliage have thousands, faces are among the best
_WEIGHED = 1024  # boxes that are weighed against each other


def moved(squares: Float64Array, offsets: Float32Array) -> Float64Array:
    """Squares, float64 [n, 4], whose edges are moved by fractions of their sides, [n, 4]."""
    return np.asarray(squares + offsets * np.tile(squares[:, 2:] - squares[:, :2], 2), np.float64)


def squares_around(boxes: Float64Array) -> Float64Array:
    """Return the squares around the middles of boxes, float64 [n, 4], as large as their longer sides."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)


def best_of(boxes: Float64Array, scores: npt.NDArray[np.floating], overlap: float) -> Float64Array:
    """Of boxes that overlap keep the best.

    Args:
        boxes: float64 [n, 4] as (x0, y0, x1, y1).
        scores: float [n].
        overlap: Intersection over union above which two are one.

    Returns:
        float64 [k, 5]: the boxes and their scores, best first, and not more than are worth a closer look.
    """
    scored = np.column_stack([boxes, scores]).astype(np.float64)
    left = scored[np.lexsort((boxes[:, 0], boxes[:, 1], -scores))][:_WEIGHED]
    rects = np.concatenate([left[:, :2], left[:, 2:4] - left[:, :2]], axis=1)  # x, y, width, height
    kept = cv2.dnn.NMSBoxes(rects.tolist(), left[:, 4].tolist(), 0.0, overlap)
    return np.asarray(left[np.asarray(kept, np.intp).reshape(-1)[:_MOST]], np.float64)
