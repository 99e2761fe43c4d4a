"""What the preview backend reads from a crop: where the lips part, and the colors around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.backends.preview.between_lips import find_between_lips, highest_near
from musetalk.backends.preview.source_opening import SourceOpening, measure_opening_of
from musetalk.faces.types import FaceSample, MouthShape
from musetalk.utils.arrays import Float32Array, UInt8Array

_IntArray: TypeAlias = npt.NDArray[np.intp]

# A frontal mouth at rest is this wide in a Haar face box (half width over box width, as `mouth_prior` has it).
_TYPICAL_HALF_WIDTH = 0.155

# The strip: the surroundings of the mouth, turned level. Columns in half widths, rows in units (see `mouth_unit`).
_STRIP_SIDE, _STRIP_TOP, _STRIP_BOTTOM = 1.5, -0.75, 1.05
_COLUMNS, _ROWS = 49, 58
_U = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * 2 * _STRIP_SIDE - _STRIP_SIDE
_V = (np.arange(_ROWS) + 0.5) / _ROWS * (_STRIP_BOTTOM - _STRIP_TOP) + _STRIP_TOP
_ROWS_PER_UNIT = _ROWS / (_STRIP_BOTTOM - _STRIP_TOP)
_HALF_UNIT = int(0.5 * _ROWS_PER_UNIT)

_SHARPNESS = 24.0  # of the choice among candidate lines: high takes the best, low averages the better ones


@dataclass(frozen=True, slots=True)
class Lips:
    """Where the lips part, and what light falls on them. Colors are float32 RGB [3], 0 to 255.

    The parting is the upper edge of the lower lip: the closed line, or, where the mouth stands open, the lower end of
    the teeth or of the hollow.

    Attributes:
        parting: Coefficients of the polynomial, constant first, that gives the parting's place below the mouth's axis,
            in units, from the place along it, in half widths; meant for -1 to 1.
        open: How far the source's own mouth stands open, in units.
        teeth: How much of that is teeth, 0 to 1.
        dark: The darkest color in the mouth.
        lip: Of the lower lip.
        left, right: Of the cheek on the picture's left and right.
        opening: Where the source's own lips stand apart; nowhere, if nobody asked for it.
    """

    parting: tuple[float, ...]
    open: float
    teeth: float
    dark: Float32Array
    lip: Float32Array
    left: Float32Array
    right: Float32Array
    opening: SourceOpening


def mouth_unit(face: FaceSample) -> float:
    """Return the length, in pixels, in which distances around the mouth are counted: near half a mouth at rest.

    Half of it follows the box, for smiling widens a mouth but not a face.
    """
    return float(face.mouth.half_width + _TYPICAL_HALF_WIDTH * face.box.width) / 2


def read_lips(crop: UInt8Array, face: FaceSample, *, whole: bool = False) -> Lips:
    """Read the lips from a crop.

    Args:
        crop: uint8 RGB [H, W, 3].
        face: The face, in pixels of the crop.
        whole: Whether the source's own opening is wanted, too.
    """
    strip = _level_strip(crop, face.mouth, mouth_unit(face))
    cheeks = _cheeks(strip)
    skin = np.asarray(np.mean(cheeks, axis=0), np.float32)
    teeth, hollow, valley = _mouth_maps(strip, skin)
    evidence = _parting_evidence(teeth, hollow, valley)
    parting = _refine(evidence, teeth, _best_line(evidence))
    depth = _V[:, None] - np.polynomial.polynomial.polyval(np.clip(_U, -1, 1), parting)[None]
    middle = np.abs(_U) < 0.5
    above = ((depth < 0) & (depth > -0.7) & middle[None]).astype(np.float32)
    share = float((teeth * above).sum())
    gaping = share + float((np.clip(hollow - teeth, 0, 1) * above).sum())
    opening = SourceOpening()
    if whole:
        between = find_between_lips(strip, skin, valley, depth, _U, _V)
        opening = measure_opening_of(between, depth, _U, _ROWS_PER_UNIT)
    lower_lip = (depth > 0.08) & (depth < 0.3) & (np.abs(_U) < 0.4)[None]
    return Lips(
        parting=parting,
        open=max(0.0, gaping / _ROWS_PER_UNIT / int(np.count_nonzero(middle)) - 0.06),
        teeth=share / max(gaping, 1e-3),
        dark=_darkest(strip),
        lip=np.asarray(strip[lower_lip].mean(axis=0), np.float32),
        left=cheeks[0],
        right=cheeks[1],
        opening=opening,
    )


def _level_strip(crop: UInt8Array, mouth: MouthShape, unit: float) -> Float32Array:
    """Resample the surroundings of the mouth to float32 RGB [_ROWS, _COLUMNS, 3], the mouth's axis level."""
    step_u = mouth.half_width * 2 * _STRIP_SIDE / _COLUMNS
    step_v = unit / _ROWS_PER_UNIT
    cos, sin = math.cos(mouth.angle), math.sin(mouth.angle)
    u, v = float(_U[0]) * mouth.half_width, float(_V[0]) * unit
    matrix = np.array(
        [
            [cos * step_u, -sin * step_v, mouth.cx - 0.5 + cos * u - sin * v],
            [sin * step_u, cos * step_v, mouth.cy - 0.5 + sin * u + cos * v],
        ]
    )
    strip = cv2.warpAffine(
        crop,
        matrix,
        (_COLUMNS, _ROWS),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.GaussianBlur(strip.astype(np.float32), (0, 0), 1.0), np.float32)


def _cheeks(strip: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return the colors beside and above the left and the right corner (where beards are thinnest)."""
    rows = slice(int(0.1 * _ROWS_PER_UNIT), int(0.7 * _ROWS_PER_UNIT))
    sides = (strip[rows, :6], strip[rows, -6:])
    left, right = (np.median(side.reshape(-1, 3), axis=0).astype(np.float32) for side in sides)
    return left, right


def _mouth_maps(strip: Float32Array, skin: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return how much each strip pixel is teeth (0 to 1), hollow (0 to 1), or a dark line (log second difference)."""
    red, green, blue = cv2.split(np.log(strip + 8))
    brightness = 0.3 * red + 0.59 * green + 0.11 * blue
    tones = np.log(skin + 8)
    skin_brightness = float(0.3 * tones[0] + 0.59 * tones[1] + 0.11 * tones[2])
    # Teeth are hardly redder than skin, much less than the lips above and below them, and not dark.
    redness = red - green - float(tones[0] - tones[1])
    rim = np.minimum(highest_near(redness, _HALF_UNIT, above=True), highest_near(redness, _HALF_UNIT, above=False))
    dip = np.clip((rim - redness - 0.12) / 0.1, 0, 1) * np.clip(2.1 - 5 * redness / np.maximum(rim, 0.05), 0, 1)
    teeth = dip * np.clip((brightness - skin_brightness + 1.0) / 0.3, 0, 1)
    hollow = np.clip((skin_brightness - 0.9 - brightness) / 0.4, 0, 1)
    valley = np.zeros_like(brightness)
    smooth = cv2.GaussianBlur(brightness, (0, 0), sigmaX=2.0, sigmaY=1.0)
    reach = 4
    rise = np.minimum(smooth[2 * reach :], smooth[: -2 * reach]) - smooth[reach:-reach]
    valley[reach:-reach] = np.clip(rise, 0, 0.5)
    inside = (np.abs(_U) < 1.05).astype(np.float32)[None]
    return teeth * inside, hollow * inside, valley * inside


def _parting_evidence(teeth: Float32Array, hollow: Float32Array, valley: Float32Array) -> Float32Array:
    """Return how much speaks for the parting at each strip pixel; float32 [_ROWS, _COLUMNS]."""
    # A line above teeth is the upper lip's edge, not the parting.
    below = np.minimum(np.cumsum(teeth[::-1], axis=0)[::-1] / (0.1 * _ROWS_PER_UNIT), 1)
    ends = np.zeros_like(teeth)
    # One row late: a rim of teeth left on the lower lip shows, a little lip left on the teeth does not.
    ends[3:-1] = np.clip(teeth[:-4] - teeth[4:], 0, 1) * 0.8 + np.clip(hollow[:-4] - hollow[4:], 0, 1) * 0.3
    evidence = 2.5 * valley * (1 - 0.9 * below) + ends * (1 - 0.5 * below)
    return np.asarray(cv2.GaussianBlur(evidence, (0, 0), sigmaX=1.0, sigmaY=1.2), np.float32)


@lru_cache(maxsize=1)
def _candidate_lines() -> tuple[Float32Array, _IntArray, Float32Array]:
    """Return candidates for the parting.

    Returns:
        Offset, tilt and bend of each line [K, 3], the strip pixels it runs through [K, C], how unlikely it is [K].
    """
    offsets, tilts, bends = np.arange(-0.45, 0.75, 0.03), np.arange(-0.12, 0.13, 0.06), np.arange(-0.7, 0.31, 0.1)
    grid = np.stack(np.meshgrid(offsets, tilts, bends, indexing="ij"), axis=-1).reshape(-1, 3)
    corner = grid[:, 0] + grid[:, 2]
    grid = grid[np.abs(corner) < 0.45]
    u = _U[np.abs(_U) < 0.95]
    v = grid[:, :1] + grid[:, 1:2] * u + grid[:, 2:] * u**2
    rows = np.clip(np.rint((v - _STRIP_TOP) * _ROWS_PER_UNIT - 0.5).astype(np.intp), 0, _ROWS - 1)
    pixels = rows * _COLUMNS + np.flatnonzero(np.abs(_U) < 0.95)
    corner = grid[:, 0] + grid[:, 2]
    doubt = 0.1 * grid[:, 0] ** 2 + 0.15 * corner**2 + 0.4 * grid[:, 1] ** 2 + 0.05 * grid[:, 2] ** 2
    return grid.astype(np.float32), pixels, doubt.astype(np.float32)


def _best_line(evidence: Float32Array) -> npt.NDArray[np.floating]:
    """Return the parting (offset, tilt, bend), in units: the mean of the best candidates, so that it is sub-pixel."""
    lines, pixels, doubt = _candidate_lines()
    score = evidence.reshape(-1)[pixels].mean(axis=1)
    score = score / (float(score.max()) + 0.02) - doubt
    weights = np.exp(_SHARPNESS * (score - score.max()))
    return np.asarray(weights @ lines / weights.sum())


@lru_cache(maxsize=1)
def _corrector() -> npt.NDArray[np.floating]:
    """Return the matrix [5, C] that fits a polynomial of fourth degree to the columns between the corners.

    Small weights on the coefficients keep single columns from bending it.
    """
    powers = np.vander(_U[np.abs(_U) < 0.95], 5, increasing=True)
    return np.asarray(np.linalg.solve(powers.T @ powers + 0.3 * np.eye(5), powers.T))


def _refine(evidence: Float32Array, teeth: Float32Array, line: npt.NDArray[np.floating]) -> tuple[float, ...]:
    """Bend a line towards the evidence near it, and below any teeth that it runs through."""
    columns = np.abs(_U) < 0.95
    u = _U[columns]
    distance = _V[:, None] - (line[0] + line[1] * u + line[2] * u * u)[None]
    near = evidence[:, columns] * np.exp(-np.square(distance / 0.1))
    shift = (near * distance).sum(axis=0) / (near.sum(axis=0) + 0.1)
    below = ((distance > 0) & (distance < 0.3)).astype(np.float32) * teeth[:, columns]
    shift = np.maximum(shift, np.minimum(below.sum(axis=0) / _ROWS_PER_UNIT, 0.25))
    change = _corrector() @ shift
    change[:3] += line
    return tuple(float(value) for value in change)


def _darkest(strip: Float32Array) -> Float32Array:
    """Return the mean color of the darkest twentieth of the mouth."""
    mouth = strip[np.abs(_V) < 0.5][:, np.abs(_U) < 1].reshape(-1, 3)
    brightness = mouth.sum(axis=1)
    count = max(1, len(mouth) // 20)
    return np.asarray(mouth[np.argpartition(brightness, count)[:count]].mean(axis=0), np.float32)
