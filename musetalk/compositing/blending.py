"""Blending: pastes a generated face back into its frame; the only place where pixels are mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from musetalk.compositing.boundary import Borders
from musetalk.compositing.masks import FaceMask
from musetalk.compositing.poisson import on_the_boundary_of
from musetalk.faces.crops.crop import CropTransform
from musetalk.utils.arrays import Float32Array, UInt8Array

BlendMethod: TypeAlias = Literal["alpha", "poisson"]


@dataclass(frozen=True, slots=True)
class Patch:
    """The pixels to blend over a frame: only where the mask shows them inside the frame.

    Attributes:
        x, y: Its upper left corner, in pixels of the frame.
        face: uint8 RGB [h, w, 3], the generated face, brought back to pixels of the frame. Not to be written to.
        alpha: float32 [h, w]: 0 keeps the source, 1 takes the face. Not to be written to.
        borders: Which of its sides are the frame's own: the mask ends there because the frame does.
        share: How much of all that is mixed in, 0 to 1: less than 1 while it is cross-faded with the source. Where the
            face meets the source is told by alpha alone.
    """

    x: int
    y: int
    face: UInt8Array
    alpha: Float32Array
    borders: Borders
    share: float = 1.0

    @property
    def weight(self) -> Float32Array:
        """How much of it is mixed in, pixel by pixel: float32 [h, w]."""
        return self.alpha if self.share == 1 else self.alpha * np.float32(self.share)

    def of(self, frame: UInt8Array) -> UInt8Array:
        """Return the part of the frame that it covers: uint8 RGB [h, w, 3], a view."""
        rows, columns = self.alpha.shape
        return frame[self.y : self.y + rows, self.x : self.x + columns]


def make_patch(
    frame: UInt8Array, generated: UInt8Array, transform: CropTransform, mask: FaceMask, share: float = 1.0
) -> Patch | None:
    """Bring a generated crop back to its frame, as far as its mask shows it there.

    Args:
        frame: uint8 RGB [H, W, 3].
        generated: uint8 RGB [S, S, 3], what `transform.extract` cut, at that size or another.
        transform: Where the crop lies in the frame.
        mask: Where it shows.
        share: How much of it is mixed in.

    Returns:
        The patch; None where nothing shows inside the frame.
    """
    height, width = frame.shape[:2]
    rows, columns = mask.alpha.shape
    x0, x1 = max(0, mask.x, transform.x), min(width, mask.x + columns, transform.x + transform.width)
    y0, y1 = max(0, mask.y, transform.y), min(height, mask.y + rows, transform.y + transform.height)
    if x0 >= x1 or y0 >= y1:
        return None
    alpha = mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x]
    down, across = (np.flatnonzero(cv2.reduce(alpha, axis, cv2.REDUCE_MAX)) for axis in (1, 0))
    if not len(down):
        return None
    alpha = alpha[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    x0, y0 = x0 + int(across[0]), y0 + int(down[0])
    x1, y1 = x0 + alpha.shape[1], y0 + alpha.shape[0]
    face = transform.warp_back(generated)[y0 - transform.y : y1 - transform.y, x0 - transform.x : x1 - transform.x]
    borders = Borders(top=y0 == 0, bottom=y1 == height, left=x0 == 0, right=x1 == width)
    return Patch(x0, y0, face, alpha, borders, share)


def blend(frame: UInt8Array, patch: Patch, method: BlendMethod = "alpha") -> None:
    """Mix a patch into its frame, in place.

    Pixels where alpha is 0 keep their bytes, and so do those where both agree.

    Args:
        frame: uint8 RGB [H, W, 3], written to.
        patch: What is laid over it.
        method: "alpha" mixes the face as it is. "poisson" first makes it meet the frame at the mask's boundary (see
            `on_the_boundary_of`).
    """
    under = patch.of(frame)
    if method == "poisson":
        patch = replace(patch, face=on_the_boundary_of(under, patch.face, patch.alpha, patch.borders))
    alpha = patch.weight
    mixed = cv2.blendLinear(patch.face, under, alpha, 1 - alpha)
    # blendLinear works in float32 and rounds: exact at alpha 0 and 1 and for equal pixels, within half a level else.
    under[...] = np.asarray(mixed, dtype=np.uint8)


def composite(frame: UInt8Array, generated: UInt8Array, transform: CropTransform, mask: FaceMask) -> None:
    """Mix a generated crop into its frame, in place, as it is: `make_patch`, then `blend`."""
    patch = make_patch(frame, generated, transform, mask)
    if patch is not None:
        blend(frame, patch)
