"""Where a frame may not have changed, as RGB: its chroma is shared by pixels, and interpolated."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.utils.arrays import BoolArray


def unpainted(covered: BoolArray) -> BoolArray:
    """Pixels, of a frame in 4:2:0, whose color no painting of the covered ones, bool [H, W], can have changed."""
    rows, columns = (side + side % 2 for side in covered.shape)
    padded = np.zeros((rows, columns), np.uint8)
    padded[: covered.shape[0], : covered.shape[1]] = covered
    shared = padded.reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3))
    reached = cv2.dilate(shared, np.ones((3, 3), np.uint8))  # from a sample to its neighbours
    whole = np.repeat(np.repeat(reached, 2, axis=0), 2, axis=1)
    return np.asarray(whole[: covered.shape[0], : covered.shape[1]] == 0)
