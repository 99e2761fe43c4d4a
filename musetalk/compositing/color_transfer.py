"""Color transfer: matches the colors of a generated face to its surroundings.

Light adds and scales, so both are compared in linear light: a gain and an offset per channel. A third term, by the root
of the light, holds what shifts grey levels, as a network's cast may. All three are drawn towards "no change" by as much
as the evidence leaves open.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array, Float64Array, UInt8Array
from musetalk.utils.robust import SIGMA_BY_MAD

LEVELS = 256


_LEAST_PAIRS = 16
_MOST_PAIRS = 800  # more say nothing more
# How far gain, offset (of full light) and root are expected to lie from 1, 0, 0.
_EXPECTED = np.array([0.2, 0.003, 0.05])
_INDEPENDENT = 0.15  # of the pairs: neighbours err alike
_ROUNDS = 6
_NOISE = 0.6  # levels; pairs agree no better than this, if only for rounding
_TUKEY = 4.685  # Huber and Ronchetti, Robust Statistics: 95 % efficient for normal errors
_LARGEST = 48.0  # levels; the largest correction
_USABLE = (3, 252)  # levels; beyond them values may have been cut


def no_correction() -> Float32Array:
    """Return the correction that changes nothing: float32 [3, 256]."""
    return np.zeros((3, LEVELS), np.float32)


def fit_correction(source: UInt8Array, generated: UInt8Array) -> Float32Array:
    """Find what brings generated colors to the source's.

    Args:
        source: uint8 RGB [n, 3], colors at the mask's boundary.
        generated: uint8 RGB [n, 3], the generated face's at the same places. Many of them may be wrong.

    Returns:
        float32 [3, 256]: by channel, what is to be added to each grey level, in levels; 0 where pairs are too few.
    """
    if len(source) < _LEAST_PAIRS or np.array_equal(source, generated):
        return no_correction()
    step = -(-len(source) // _MOST_PAIRS)
    target, found = source[::step].T, generated[::step].T  # [3, n]
    usable = (np.minimum(target, found) >= _USABLE[0]) & (np.maximum(target, found) <= _USABLE[1])
    terms = _terms()
    # Errors count in levels, as they are seen: of light, a level is a little in the dark and much in the bright.
    steepness = _steepness()[target]
    factors = _robust_fit(terms[found] / steepness[..., None], _light()[target] / steepness, usable)
    wanted = factors @ terms.T  # [3, 256], linear light
    # Brighter must stay brighter; and no correction is larger than a cast can be.
    levels = np.maximum.accumulate(_level(wanted), axis=1)
    return np.clip(levels - np.arange(LEVELS), -_LARGEST, _LARGEST).astype(np.float32)


def correct(face: UInt8Array, correction: Float32Array) -> UInt8Array:
    """Correct the colors of a picture, uint8 RGB [h, w, 3]; the same array where nothing changes by half a level."""
    table = correction_table(correction)
    if np.array_equal(table, np.broadcast_to(np.arange(LEVELS), table.shape)):
        return face
    return np.asarray(cv2.LUT(face, np.ascontiguousarray(table.T)[None]), dtype=np.uint8)


def green_of(picture: UInt8Array, correction: Float32Array | None = None) -> UInt8Array:
    """Return the green of a picture, uint8 RGB [h, w, 3], corrected: uint8 [h, w]."""
    green = np.asarray(cv2.extractChannel(picture, 1), dtype=np.uint8)
    if correction is None or not correction.any():
        return green
    return np.asarray(cv2.LUT(green, correction_table(correction)[1]), dtype=np.uint8)


def correction_table(correction: Float32Array) -> UInt8Array:
    """By channel, what each grey level becomes: uint8 [3, 256]."""
    table: UInt8Array = np.clip(np.rint(np.arange(LEVELS) + correction), 0, LEVELS - 1).astype(np.uint8)
    return table


def _robust_fit(terms: Float64Array, target: Float64Array, usable: npt.NDArray[np.bool_]) -> Float64Array:
    """Fit factors of terms [3, n, 3] to targets [3, n], channel by channel: float64 [3, 3].

    Iteratively reweighted least squares with Tukey's biweight and a normal prior. It begins at the offset that most
    pairs agree on, so that a part of them that is quite wrong never counts.
    """
    usual = np.array([1.0, 0.0, 0.0])
    errors = target - terms @ usual
    errors = errors - _median(errors, usable)[:, None]
    factors = np.tile(usual, (3, 1))
    for _ in range(_ROUNDS):
        scale = np.maximum(SIGMA_BY_MAD * _median(np.abs(errors), usable), _NOISE)
        weights = usable * np.square(np.clip(1 - np.square(errors / (_TUKEY * scale[:, None])), 0, None))
        weights *= (_INDEPENDENT / np.square(scale))[:, None]
        weighted = (terms * weights[..., None]).transpose(0, 2, 1)
        moments = weighted @ terms + np.diag(_EXPECTED**-2)
        factors = np.linalg.solve(moments, weighted @ target[..., None] + (usual * _EXPECTED**-2)[:, None])[..., 0]
        errors = target - (terms @ factors[..., None])[..., 0]
    return np.asarray(factors)


def _median(values: Float64Array, usable: npt.NDArray[np.bool_]) -> Float64Array:
    """Medians of the usable values in each row; 0 where there is none."""
    return np.array([np.median(row[good]) if good.any() else 0.0 for row, good in zip(values, usable, strict=True)])


@lru_cache(maxsize=1)
def _light() -> Float64Array:
    """Linear light of each grey level, 0 to 1 (IEC 61966-2-1, sRGB)."""
    value = np.arange(LEVELS) / (LEVELS - 1)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _level(light: Float64Array) -> Float64Array:
    """Return the grey level, 0 to 255, of linear light; what is out of range is cut."""
    light = np.clip(light, 0, 1)
    value = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray((LEVELS - 1) * value)


@lru_cache(maxsize=1)
def _steepness() -> Float64Array:
    """Return how much light one level more is, at each grey level."""
    return np.asarray(np.gradient(_light()))


@lru_cache(maxsize=1)
def _terms() -> Float64Array:
    """Return what a corrected light is made of, by grey level: float64 [256, 3], light itself, a constant, its root."""
    return np.stack([_light(), np.ones(LEVELS), np.sqrt(_light())], axis=1)
