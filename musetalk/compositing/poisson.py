"""Poisson blending: keeps the generated face's gradients and meets the source at the mask's boundary.

Poisson image editing (Perez, Gangnet and Blake, 2003) asks for the face's gradients and, on the boundary, for the
source's values. That is the face plus a membrane, which on the boundary is the difference of both and harmonic inside.
A membrane is smooth enough to be found on a coarse grid, from means over blocks, which do not flicker as single pixels
of the boundary would.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.compositing.boundary import Borders, block_means, block_size, outermost, shown_blocks
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.robust import SIGMA_BY_MAD

_BOUNDARY = 0.3  # blocks that show no more than this have the source's values
_SWEEPS = 20  # over each grid; one of half its size gives what they begin with
_COARSEST = 4  # shorter sides of a grid are not halved
_ROOM = 2.0  # standard deviations around the usual difference, of which most are
_LEAST_ROOM = 4.0  # levels

_NEIGHBOURS = ((0.0, 0.25, 0.0), (0.25, 0.0, 0.25), (0.0, 0.25, 0.0))


def on_the_boundary_of(source: UInt8Array, face: UInt8Array, alpha: Float32Array, borders: Borders) -> UInt8Array:
    """Shift a face's colors so that they are the source's at the mask's boundary, and smoothly in between inside.

    Args:
        source: uint8 RGB [h, w, 3].
        face: uint8 RGB [h, w, 3].
        alpha: float32 [h, w], the mask.
        borders: Which of its sides are the frame's: no boundary.

    Returns:
        uint8 RGB [h, w, 3]; the same array where there is no boundary or nothing to shift.
    """
    block = block_size(alpha.shape)
    if min(alpha.shape) < block:
        return face
    shown, strength = shown_blocks(alpha, block)
    boundary = shown & ((strength <= _BOUNDARY) | outermost(shown, borders))
    under, over = (np.asarray(block_means(each, block), dtype=np.float32) for each in (source, face))
    if not boundary.any() or np.array_equal(under[boundary], over[boundary]):
        return face
    difference = np.zeros_like(under)
    difference[boundary] = _tamed(under[boundary] - over[boundary])
    return _shifted(face, membrane(difference, boundary), block)


def _tamed(differences: Float32Array) -> Float32Array:
    """Cut what stands out of differences, float32 [n, 3]: edges that do not meet, which would bleed into the face."""
    middle = np.median(differences, axis=0)
    spread = SIGMA_BY_MAD * np.median(np.abs(differences - middle), axis=0)
    room = np.maximum(_LEAST_ROOM, _ROOM * spread)
    return np.asarray(np.clip(differences, middle - room, middle + room), dtype=np.float32)


def membrane(values: Float32Array, known: npt.NDArray[np.bool_]) -> Float32Array:
    """Fill a grid from its known places: elsewhere each value is the mean of its four neighbours, about.

    Args:
        values: float32 [rows, columns, 3]; 0 where they are not known.
        known: bool [rows, columns], at least one.

    Returns:
        float32 [rows, columns, 3], the known values as they were.
    """
    rows, columns = known.shape
    half = (_halved(columns), _halved(rows))
    if half == (columns, rows):
        start = values.sum(axis=(0, 1), keepdims=True) / np.float32(known.sum())
        filled = np.where(known[..., None], values, start)
    else:
        weight = _scaled(known.astype(np.float32), half)
        means = np.divide(_scaled(values, half), np.maximum(weight, 1e-6)[..., None], dtype=np.float32)
        coarse = membrane(means, weight > 0)
        filled = np.where(known[..., None], values, _scaled(coarse, (columns, rows)))
    kernel = np.array(_NEIGHBOURS, np.float32)
    for _ in range(_SWEEPS):
        around = cv2.filter2D(filled, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        filled = np.where(known[..., None], values, around)
    return np.asarray(filled, dtype=np.float32)


def _halved(side: int) -> int:
    return side if side <= _COARSEST else -(-side // 2)


def _scaled(grid: Float32Array, size: tuple[int, int]) -> Float32Array:
    how = cv2.INTER_AREA if size[0] * size[1] < grid.shape[0] * grid.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grid, size, interpolation=how), dtype=np.float32)


def _shifted(face: UInt8Array, shifts: Float32Array, block: int) -> UInt8Array:
    """Add to a face what a grid over its blocks says, in levels."""
    height, width = face.shape[:2]
    rows, columns = shifts.shape[0] * block, shifts.shape[1] * block
    fine = _scaled(shifts, (columns, rows))
    whole = cv2.copyMakeBorder(fine, 0, height - rows, 0, width - columns, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.add(face, whole, dtype=cv2.CV_8U), dtype=np.uint8)
