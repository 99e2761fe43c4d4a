"""The boundary of a mask, where source and generated face should show the same: in square blocks of pixels.

Means of blocks are what is compared: they do not mind that edges lie a pixel apart, or that one is grainier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array, Int64Array, UInt8Array

_ACROSS = 40  # blocks along the patch's longer side, at least
_LARGEST = 16  # pixels
_SHOWN = 0.02  # of a block, on average: where less shows, a step would not be seen
_HALF_SHOWN = 0.7  # where more shows, the face is the generator's own

_Mask: TypeAlias = npt.NDArray[np.bool_]
_Picture: TypeAlias = npt.NDArray[np.uint8 | np.float32]


@dataclass(frozen=True, slots=True)
class Borders:
    """Which sides of a patch are its frame's: what lies beyond is never seen, and no boundary."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True)
class Boundary:
    """The blocks of a mask's boundary.

    Attributes:
        block: Side of a block, in pixels.
        rows, columns: int64 [n], where in the grid of blocks they lie; the grid begins at the patch's corner.
    """

    block: int
    rows: Int64Array
    columns: Int64Array


def block_size(shape: tuple[int, ...]) -> int:
    """Return the side of blocks that suits a patch [h, w, ...]: a power of two."""
    block = 1
    while block < _LARGEST and max(shape[:2]) >= 2 * block * _ACROSS:
        block *= 2
    return block


def block_means(picture: _Picture, block: int) -> _Picture:
    """Means of a picture's blocks, [h // block, w // block, ...] of its own type; what is left over is not looked at.

    Raises:
        ValueError: It has no whole block.
    """
    rows, columns = picture.shape[0] // block, picture.shape[1] // block
    if not rows or not columns:
        raise ValueError(f"a picture of {picture.shape[1]} x {picture.shape[0]} has no block of {block} pixels")
    means: _Picture = picture[: rows * block, : columns * block]
    while block > 1:  # halving is several times as quick as one step
        block //= 2
        means = np.asarray(cv2.resize(means, (columns * block, rows * block), interpolation=cv2.INTER_AREA))
    return means


def shown_blocks(alpha: Float32Array, block: int) -> tuple[_Mask, Float32Array]:
    """Return which blocks the mask shows to their last pixel, bool [rows, columns], and how strongly, float32."""
    anywhere = (alpha > 0).view(np.uint8) * np.uint8(255)
    return block_means(anywhere, block) == 255, np.asarray(block_means(alpha, block), dtype=np.float32)


def outermost(shown: _Mask, borders: Borders) -> _Mask:
    """Of the blocks that are shown those that have one beside them that is not, or the patch's edge."""
    sides = ((borders.top, borders.bottom), (borders.left, borders.right))
    padded = shown.astype(np.uint8)
    for axis, (first, last) in enumerate(sides):
        widths = [(0, 0), (0, 0)]
        widths[axis] = (1, 1)
        values = [(0, 0), (0, 0)]
        values[axis] = (int(first), int(last))
        padded = np.pad(padded, widths, constant_values=values)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)[1:-1, 1:-1]
    return np.asarray(shown & (inner == 0))


def find_boundary(alpha: Float32Array, borders: Borders) -> Boundary | None:
    """Return the boundary of a mask: where it shows weakly, or ends.

    Args:
        alpha: float32 [h, w].
        borders: Which sides of it are the frame's.

    Returns:
        The boundary; None where it has none, or too small a patch.
    """
    block = block_size(alpha.shape)
    if min(alpha.shape) < block:
        return None
    shown, strength = shown_blocks(alpha, block)
    found = shown & (strength >= _SHOWN) & ((strength <= _HALF_SHOWN) | outermost(shown, borders))
    rows, columns = np.nonzero(found)
    return Boundary(block, rows, columns) if len(rows) else None


def boundary_means(picture: UInt8Array, boundary: Boundary) -> UInt8Array:
    """Means of a picture's blocks at the boundary: uint8 [n, 3]."""
    return np.asarray(block_means(picture, boundary.block)[boundary.rows, boundary.columns], dtype=np.uint8)
