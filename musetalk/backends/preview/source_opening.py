"""How far a source's own mouth stands open, column by column: what has to be covered before its lips meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

_TALLEST = 0.75  # units above the parting that teeth and hollow can fill; beyond it lies the nose's shadow
_DEEPEST = 0.45  # below it: where the parting was found above the lower end of what shows
_BRIDGED = 0.1  # units without teeth or hollow that do not end them: gaps between teeth, the rim of a lip
_LEAST_CONTENT = 0.45  # of a stretch that is teeth or hollow; of less, it is the dark line of closed lips
_LINE = 3.0  # how much a dark line counts, by its depth
_MIDDLE = 0.7  # of a dark line's depth
_SIDE = 0.9  # half widths: beyond it the corners' shadow is no opening
_NOISE = 0.03  # units


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


def measure_opening_of(
    teeth: Float32Array,
    hollow: Float32Array,
    valley: Float32Array,
    depth: npt.NDArray[np.floating],
    u: npt.NDArray[np.floating],
    rows_per_unit: float,
) -> SourceOpening:
    """Follow teeth and hollow from the parting up and down to where lips begin.

    Args:
        teeth: float32 [rows, columns], how much each place is teeth.
        hollow: The same of the hollow.
        valley: The same of a dark line.
        depth: [rows, columns], below the parting, in units.
        u: [columns], in half widths.
        rows_per_unit: Rows of the maps in a unit.
    """
    size = max(1, round(_BRIDGED * rows_per_unit)) | 1
    content = np.maximum(teeth, np.clip(2 * hollow - 1, 0, 1))  # what is half as dark are lips in shadow
    # Of a dark line the middle: beyond it the lip begins that throws the shadow.
    line = np.where(valley >= _MIDDLE * cv2.dilate(valley, np.ones((7, 1), np.uint8)), valley, 0)
    filled = np.maximum(content, np.clip(_LINE * line, 0, 1))
    filled = np.asarray(cv2.morphologyEx(filled, cv2.MORPH_CLOSE, np.ones((size, 5), np.uint8)), np.float32)
    columns = np.abs(u) < _SIDE
    above = _reach(filled, content, -depth, _TALLEST, rows_per_unit)[columns]
    below = _reach(filled, content, depth, _DEEPEST, rows_per_unit)[columns]
    return SourceOpening(_fit(above, u[columns]), _fit(below, u[columns]))


def _reach(
    filled: Float32Array,
    content: Float32Array,
    away: npt.NDArray[np.floating],
    most: float,
    rows_per_unit: float,
) -> npt.NDArray[np.floating]:
    """Return how far each column is filled without a break, from the parting on: [columns], units.

    Args:
        filled: float32 [rows, columns], what does not end it.
        content: What it must largely be made of.
        away: [rows, columns], how far each place is from the parting in the direction that is followed, in units.
        most: How far is looked, in units.
        rows_per_unit: Rows in a unit.
    """
    downwards = away[0, 0] < away[-1, 0]
    order = slice(None) if downwards else slice(None, None, -1)
    filled, content, away = filled[order], content[order], away[order]
    first = away < _BRIDGED  # it may begin a little later: where the parting runs just beside the teeth
    unbroken = np.minimum.accumulate(np.where(first, 1.0, np.clip(2 * filled - 0.3, 0, 1)), axis=0)
    within = (away > 0) & (away < most)
    run = (unbroken * within * np.where(first, np.clip(2 * filled, 0, 1), 1)).sum(axis=0) / rows_per_unit
    made = (content * unbroken * within).sum(axis=0) / rows_per_unit
    return np.asarray(np.minimum(run, made / _LEAST_CONTENT))


@lru_cache(maxsize=4)
def _fitter(places: bytes) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    u = np.frombuffer(places)
    basis = (1 - u * u)[:, None] * np.stack([np.ones_like(u), u, u * u], axis=1)
    return np.linalg.solve(basis.T @ basis + np.diag([0.0, 0.6, 0.6]), basis.T), basis


def _fit(heights: npt.NDArray[np.floating], u: npt.NDArray[np.floating]) -> tuple[float, ...]:
    """Return the coefficients of the smooth edge nearest to measured heights; columns far off count less."""
    solve, basis = _fitter(np.ascontiguousarray(u, np.float64).tobytes())
    edge = solve @ heights
    smooth = basis @ edge
    edge = solve @ np.clip(heights, 0.8 * smooth, 1.1 * smooth + _NOISE)
    return tuple(float(value) for value in edge) if heights.max() > _NOISE else (0.0,)
