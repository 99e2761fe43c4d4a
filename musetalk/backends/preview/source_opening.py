"""How far a source's own mouth stands open, column by column: what has to be covered before its lips meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

_Floats = npt.NDArray[np.floating]

_SIDE = 0.95  # half widths: beyond it the corners' shadow is no opening
_BESIDE = 0.12  # units from the parting within which a lip ends nothing: the parting may run just beside the teeth
_SURE = 4.0  # how much what speaks for a lip counts as one that ends the opening
_LIP = 0.35  # what is lost by what lies beyond one
_SHARPNESS = 300.0  # of the choice among candidate edges, by the units of opening that one gains
_LEAST = 0.008  # units, on average over the mouth, that are to be gained
_THIN, _OPEN = 0.12, 0.18  # units in the middle: what is but the dark line of closed lips, and what is an opening


@dataclass(frozen=True, slots=True)
class SourceOpening:
    """The opening between a source's lips, measured from the parting, in units.

    Each edge is (1 - u^2) times a polynomial of u, which counts half widths from the middle: nothing at the corners.

    Attributes:
        above: Coefficients of how far it reaches above the parting, constant first.
        below: The same below it.
    """

    above: tuple[float, ...] = (0.0,)
    below: tuple[float, ...] = (0.0,)

    def heights(self, u: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return how far it reaches above and below the parting at places along the mouth, in units; 0 and more."""
        inner = np.clip(1 - u * u, 0, 1)
        above, below = (np.polynomial.polynomial.polyval(u, edge) for edge in (self.above, self.below))
        return np.asarray(np.maximum(above * inner, 0), np.float32), np.asarray(
            np.maximum(below * inner, 0), np.float32
        )


def measure_opening_of(between: Float32Array, depth: _Floats, u: _Floats, rows_per_unit: float) -> SourceOpening:
    """Find the edges that hold the most of what lies between lips and the least of the lips.

    Args:
        between: float32 [rows, columns], what speaks for each place being between lips: up to 1, below 0 for lips.
        depth: [rows, columns], below the parting, in units.
        u: [columns], in half widths.
        rows_per_unit: Rows in a unit.
    """
    columns = np.flatnonzero(np.abs(u) < _SIDE)[::2]
    between, depth, u = between[:, columns], depth[:, columns], u[columns]
    lips = np.where(np.abs(depth) < _BESIDE, 0, np.clip(-_SURE * cv2.blur(between, (1, 3)), 0, 1))
    below = _best_edge(_gains(between, lips, depth, rows_per_unit), u, rows_per_unit)
    above = _best_edge(_gains(between[::-1], lips[::-1], -depth[::-1], rows_per_unit), u, rows_per_unit)
    share = min(max((above[0] + below[0] - _THIN) / (_OPEN - _THIN), 0.0), 1.0)
    if share == 0:
        return SourceOpening()
    return SourceOpening(tuple(share * value for value in above), tuple(share * value for value in below))


def _gains(between: Float32Array, lips: _Floats, away: _Floats, rows_per_unit: float) -> _Floats:
    """Return what an edge gains so many rows away from the parting: [rows, columns], units; nothing behind a lip."""
    free = 1 - np.maximum.accumulate(np.where(away > 0, lips, 0), axis=0)
    each = np.where(between > 0, between * free - _LIP * (1 - free), between)
    gains = np.cumsum(np.where(away > 0, each, 0), axis=0) / rows_per_unit
    # Every column begins at its parting.
    start = -away[0] * rows_per_unit
    rows = np.clip(start[None] + np.arange(len(away))[:, None], 0, len(away) - 1).astype(np.intp)
    return np.asarray(np.take_along_axis(gains, rows, axis=0))


def _best_edge(gains: _Floats, u: _Floats, rows_per_unit: float) -> tuple[float, ...]:
    """Return the coefficients of the edge up to which most is gained: the mean of the best, so that it moves evenly."""
    edges, heights = _candidate_edges(np.ascontiguousarray(u, np.float64).tobytes())
    rows = np.minimum(np.rint(heights * rows_per_unit).astype(np.intp), len(gains) - 1)
    score = gains[rows, np.arange(gains.shape[1])[None]].mean(axis=1)
    best = float(score.max())
    if best < _LEAST:
        return (0.0, 0.0, 0.0)
    near = score > best - 10 / _SHARPNESS
    weights = np.exp(_SHARPNESS * (score[near] - best))
    return tuple(float(value) for value in weights @ edges[near] / weights.sum())


@lru_cache(maxsize=4)
def _candidate_edges(places: bytes) -> tuple[_Floats, _Floats]:
    """Return coefficients of candidate edges [K, 3], and their heights at places along the mouth [K, C], in units."""
    u = np.frombuffer(places)
    sizes, tilts, bends = np.arange(0, 1.01, 0.04), np.arange(-0.24, 0.25, 0.12), np.arange(-0.6, 1.21, 0.3)
    grid = np.stack(np.meshgrid(sizes, tilts, bends, indexing="ij"), axis=-1).reshape(-1, 3)
    grid[:, 1] *= np.minimum(3 * grid[:, 0], 1)
    grid[:, 2] *= np.minimum(grid[:, 0], 1)
    basis = (1 - u * u)[:, None] * np.stack([np.ones_like(u), u, u * u], axis=1)
    return grid, np.maximum(grid @ basis.T, 0)
