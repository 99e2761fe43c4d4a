"""Putting a generated face back into its frame: the one place where pixels are mixed."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.arrays import UInt8Array
from musetalk.compositing.masks import FaceMask
from musetalk.faces.geometry import Placement


def composite(frame: UInt8Array, generated: UInt8Array, placement: Placement, mask: FaceMask) -> None:
    """Mix a generated crop into its frame, in place.

    Pixels where the mask is 0 keep their bytes, and so do those where both agree.

    Args:
        frame: uint8 RGB [H, W, 3], written to.
        generated: uint8 RGB [S, S, 3], what `placement.extract` cut, at that size or another.
        placement: Where the crop lies in the frame.
        mask: Where it shows.
    """
    height, width = frame.shape[:2]
    rows, columns = mask.alpha.shape
    x0, x1 = max(0, mask.x, placement.x), min(width, mask.x + columns, placement.x + placement.width)
    y0, y1 = max(0, mask.y, placement.y), min(height, mask.y + rows, placement.y + placement.height)
    if x0 >= x1 or y0 >= y1:
        return
    face = placement.restore(generated)
    over = face[y0 - placement.y : y1 - placement.y, x0 - placement.x : x1 - placement.x]
    alpha = mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x]
    under = frame[y0:y1, x0:x1]
    mixed = cv2.blendLinear(over, under, alpha, 1 - alpha)
    # blendLinear works in float32 and rounds: exact at alpha 0 and 1 and for equal pixels, within half a level else.
    under[...] = np.asarray(mixed, dtype=np.uint8)
