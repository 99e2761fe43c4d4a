"""Where, and how strongly, a generated face replaces its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetalk.arrays import Float32Array
from musetalk.faces.geometry import Placement
from musetalk.faces.types import FaceBox
from musetalk.settings import DrawnShape, MaskSettings

# The painted part of a face, as fractions of its bbox: cheek to cheek, from under the eyes to below the chin.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.0, 1.0, 0.42, 1.38
_HALVED_TOP = 0.45  # of a halved crop's height; the half itself is where it begins to be repainted


@dataclass(frozen=True, slots=True)
class FaceMask:
    """A soft mask over a rectangle of the frame.

    Attributes:
        x, y: The rectangle's upper left corner, in pixels of the frame; may lie beyond its edges.
        alpha: float32 [h, w]: 0 keeps the source, 1 takes the generated face. Not to be written to.
    """

    x: int
    y: int
    alpha: Float32Array


def face_mask(box: FaceBox, settings: MaskSettings) -> FaceMask:
    """The mask of a face from its `box` alone, in pixels of the frame: for shapes that need labels, too, an ellipse."""
    shape: DrawnShape = "box" if settings.shape == "box" else "ellipse"
    x0, x1 = round(box.x0 + _LEFT * box.width), round(box.x0 + _RIGHT * box.width)
    y0, y1 = round(box.y0 + _TOP * box.height), round(box.y0 + _BOTTOM * box.height)
    feather = max(1.0, settings.feather * box.width)
    alpha = _soft_shape(max(1, x1 - x0), max(1, y1 - y0), shape, round(feather, 1))
    return FaceMask(x0, y0, alpha)


def crop_mask(crop: Placement, settings: MaskSettings) -> FaceMask:
    """The mask of a crop that is halved at the nose, without its labels: from cheek to cheek, and down to the chin."""
    shape: DrawnShape = "box" if settings.shape == "box" else "ellipse"
    first = round(_HALVED_TOP * crop.height)
    feather = max(1.0, settings.feather * crop.width)
    alpha = _soft_shape(crop.width, max(1, crop.height - first), shape, round(feather, 1))
    return FaceMask(crop.x, crop.y + first, alpha)


def shown_mask(crop: Placement, shown: Float32Array) -> FaceMask:
    """The mask of a crop that shows as a generator says, over no more of the frame than that.

    Args:
        crop: The crop.
        shown: float32 [h, w] over the crop, of any size: 0 keeps the source, 1 takes the generated face.
    """
    alpha = crop.spread(shown)
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return FaceMask(crop.x, crop.y, np.zeros((1, 1), np.float32))
    trimmed = np.ascontiguousarray(alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    trimmed.setflags(write=False)
    return FaceMask(crop.x + int(columns[0]), crop.y + int(rows[0]), trimmed)


def both_masks(one: FaceMask, other: FaceMask) -> FaceMask:
    """The mask that shows where, and as strongly as, both do."""
    tops, bottoms = (one.y, other.y), (one.y + one.alpha.shape[0], other.y + other.alpha.shape[0])
    lefts, rights = (one.x, other.x), (one.x + one.alpha.shape[1], other.x + other.alpha.shape[1])
    x0, y0, x1, y1 = max(lefts), max(tops), min(rights), min(bottoms)
    if x0 >= x1 or y0 >= y1:
        return FaceMask(one.x, one.y, np.zeros((1, 1), np.float32))
    parts = (mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] for mask in (one, other))
    alpha = np.minimum(*parts)
    alpha.setflags(write=False)
    return FaceMask(x0, y0, alpha)


@lru_cache(maxsize=64)
def _soft_shape(width: int, height: int, shape: DrawnShape, feather: float) -> Float32Array:
    """A shape that fills a rectangle and fades to 0 at its rim over `feather` pixels (smoothstep)."""
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    if shape == "box":
        depth = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    else:
        u, v = (x - width / 2) / (width / 2), (y - height / 2) / (height / 2)
        depth = (1 - np.hypot(u, v)) * min(width, height) / 2
    t = np.clip(depth / feather, 0, 1)
    alpha: Float32Array = (t * t * (3 - 2 * t)).astype(np.float32)
    alpha.setflags(write=False)
    return alpha
