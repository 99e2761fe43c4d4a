"""The outline of a mask, for drawing."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.compositing.masks import FaceMask
from musetalk.utils.arrays import Float32Array


def mask_outline(mask: FaceMask) -> Float32Array:
    """Return the closed line at which a mask is half.

    Returns:
        float32 [N, 2] as (x, y) in pixels of the frame, where the first pixel's middle is at 0.5; empty where the mask
        is nowhere half.
    """
    alpha = np.pad(mask.alpha, 1)
    contours, _ = cv2.findContours((alpha >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2), np.float32)
    points = np.asarray(max(contours, key=len)).reshape(-1, 2)
    # It runs through the middles of the outermost pixels; from there along the slope to the half itself.
    here = (points[:, 1], points[:, 0])
    slopes = np.stack([slope[here] for slope in reversed(np.gradient(alpha))], axis=1)
    steepness = np.maximum(np.square(slopes).sum(axis=1, keepdims=True), 1e-6)
    steps = np.clip(slopes * (0.5 - alpha[here])[:, None] / steepness, -1, 1)
    corner = np.array([mask.x - 1, mask.y - 1]) + 0.5  # -1 for the padding
    return np.asarray(points + steps + corner, dtype=np.float32)
