"""Masks: where, and how strongly, a generated face replaces its source; drawn shapes and their soft edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.types import FaceBox
from musetalk.settings import DrawnShape, MaskSettings
from musetalk.utils.arrays import Float32Array
from musetalk.utils.easing import smoothstep

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

    def moved(self, dx: int, dy: int) -> FaceMask:
        """Return the same mask over a frame whose pixels lie so much further right and down."""
        return FaceMask(self.x + dx, self.y + dy, self.alpha)


def face_mask(box: FaceBox, settings: MaskSettings, crop: CropTransform | None = None) -> FaceMask:
    """The mask of a face from its `box` alone, in pixels of the frame: for shapes that need labels, too, an ellipse.

    Args:
        box: The face.
        settings: What it looks like.
        crop: What it must not leave, if anything.
    """
    usual = (
        round(box.x0 + _LEFT * box.width),
        round(box.y0 + _TOP * box.height),
        round(box.x0 + _RIGHT * box.width),
        round(box.y0 + _BOTTOM * box.height),
    )
    return _drawn(usual, crop, settings, width=box.width, height=box.height)


def crop_mask(crop: CropTransform, settings: MaskSettings) -> FaceMask:
    """The mask of a crop that is halved at the nose, without its labels: from cheek to cheek, and down to the chin."""
    first = round(_HALVED_TOP * crop.height)
    usual = (crop.x, crop.y + first, crop.x + crop.width, crop.y + crop.height)
    return _drawn(usual, crop, settings, width=crop.width, height=crop.height)


def visible_mask(crop: CropTransform, shown: Float32Array) -> FaceMask:
    """Return the mask of a crop that shows as a generator says, over no more of the frame than that.

    Args:
        crop: The crop.
        shown: float32 [h, w] over the crop, of any size: 0 keeps the source, 1 takes the generated face.
    """
    return trimmed(FaceMask(crop.x, crop.y, crop.warp_mask(shown)))


def trimmed(mask: FaceMask) -> FaceMask:
    """The same mask over no more of the frame than it shows."""
    rows, columns = (np.flatnonzero(mask.alpha.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return FaceMask(mask.x, mask.y, np.zeros((1, 1), np.float32))
    alpha = np.ascontiguousarray(mask.alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    alpha.setflags(write=False)
    return FaceMask(mask.x + int(columns[0]), mask.y + int(rows[0]), alpha)


def soft_square(side: int) -> Float32Array:
    """Return all of a square crop, fading to 0 at its boundary over a sixteenth of its side: float32 [side, side]."""
    return _soft_shape(side, side, "box", round(side / 16, 1))


def intersect_masks(one: FaceMask, other: FaceMask) -> FaceMask:
    """Return the mask that shows where, and as strongly as, both do."""
    tops, bottoms = (one.y, other.y), (one.y + one.alpha.shape[0], other.y + other.alpha.shape[0])
    lefts, rights = (one.x, other.x), (one.x + one.alpha.shape[1], other.x + other.alpha.shape[1])
    x0, y0, x1, y1 = max(lefts), max(tops), min(rights), min(bottoms)
    if x0 >= x1 or y0 >= y1:
        return FaceMask(one.x, one.y, np.zeros((1, 1), np.float32))
    parts = (mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] for mask in (one, other))
    alpha = np.minimum(*parts)
    alpha.setflags(write=False)
    return FaceMask(x0, y0, alpha)


def scale_alpha(mask: FaceMask, share: float) -> FaceMask:
    """Return the mask that shows a share of what another does, from 0 (nothing) to 1 (the same mask)."""
    if share == 1:
        return mask
    alpha = np.multiply(mask.alpha, np.float32(share))
    alpha.setflags(write=False)
    return FaceMask(mask.x, mask.y, alpha)


def _drawn(
    usual: tuple[int, int, int, int],
    limits: CropTransform | None,
    settings: MaskSettings,
    *,
    width: float,
    height: float,
) -> FaceMask:
    """Draw an ellipse or a box.

    Args:
        usual: What it fills without the wishes of the settings: x0, y0, x1, y1 in pixels of the frame.
        limits: What it is drawn into, so that it fades before the crop ends.
        settings: What it looks like.
        width: Of the face, in pixels.
        height: Of the face, in pixels.
    """
    x0, y0, x1, y1 = usual
    grown = (1 - 2 * settings.ellipse_padding_factor) * settings.mouth_scale_factor / 2
    across, down = grown * (x1 - x0), grown * (y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + settings.mouth_vertical_offset * height
    left, right, top, bottom = round(x - across), round(x + across), round(y - down), round(y + down)
    if limits is not None:
        left, right = max(left, limits.x), min(right, limits.x + limits.width)
        top, bottom = max(top, limits.y), min(bottom, limits.y + limits.height)
    shape: DrawnShape = "box" if settings.shape == "box" else "ellipse"
    feather = round(max(1.0, settings.feather * width), 1)
    return FaceMask(left, top, _soft_shape(max(1, right - left), max(1, bottom - top), shape, feather))


@lru_cache(maxsize=64)
def _soft_shape(width: int, height: int, shape: DrawnShape, feather: float) -> Float32Array:
    """Return a shape that fills a rectangle and fades to 0 at its boundary over `feather` pixels (smoothstep)."""
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5
    x = np.arange(width, dtype=np.float32)[None, :] + 0.5
    if shape == "box":
        depth = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    else:
        u, v = (x - width / 2) / (width / 2), (y - height / 2) / (height / 2)
        depth = (1 - np.hypot(u, v)) * min(width, height) / 2
    alpha = smoothstep(depth / feather)
    alpha.setflags(write=False)
    return alpha
