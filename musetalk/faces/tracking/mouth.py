"""Where the mouth lies in a face: found by color and shading, or assumed from the face's proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.types import FaceBox, MouthShape
from musetalk.utils.arrays import Float32Array, UInt8Array

_FloatArray: TypeAlias = npt.NDArray[np.floating]

# Proportions inside a box of OpenCV's frontal Haar cascade, as fractions of its sides: what this project measured
# on photographs, a painting and drawings. The search covers what turned, tilted and smiling heads add to them.
_TYPICAL_X, _TYPICAL_Y, _TYPICAL_HALF_WIDTH = 0.5, 0.78, 0.155
_SPREAD_X, _SPREAD_Y = 0.09, 0.075  # standard deviations of the place
_SEARCH_X, _SEARCH_Y = (0.15, 0.85), (0.58, 1.02)  # first and last fraction searched
_HALF_WIDTHS = (0.07, 0.29)  # narrowest and widest believed
_STEEPEST = 0.45  # radians; a Haar frontal face is never turned further

_PIXELS_PER_BOX = 120  # the search runs at this scale whatever the face's size
_COLUMNS = round((_SEARCH_X[1] - _SEARCH_X[0]) * _PIXELS_PER_BOX)
_ROWS = round((_SEARCH_Y[1] - _SEARCH_Y[0]) * _PIXELS_PER_BOX)

_LINE_WINDOW = 17  # search pixels along which the dark line must hold, near half a mouth
_FAINTEST_LINE = 0.035  # second difference of log luminance, averaged along the line
_FAINTEST_RATIO = 1.9  # of the line to the mean of the same measure over the search
_REDNESS_WEIGHT = 0.35  # of redness beside the dark line when the place is chosen
_LINE_FULL, _REDNESS_FULL = 0.05, 0.25  # what counts as a clear line and as clearly red lips
_CORNER = 0.2  # of the strength in the middle: where the mouth ends
_ROUNDS = 3  # of the fit
_REACH = 5.0  # search pixels (standard deviation) above and below the line that the fit looks at
_SMEARED = 2.0  # search pixels by which the smoothing along the line lengthens each end at that strength


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Float32 [rows, columns] of the search each: how much a pixel looks like the line, and like lips."""

    line: Float32Array
    redness: Float32Array


def mouth_prior(box: FaceBox) -> MouthShape:
    """Return the typical place of the mouth in a frontal face.

    Args:
        box: A box as OpenCV's frontal Haar cascade draws it.

    Returns:
        The mouth, level, in the same pixels as the box.
    """
    return MouthShape(
        cx=box.x0 + _TYPICAL_X * box.width,
        cy=box.y0 + _TYPICAL_Y * box.height,
        half_width=_TYPICAL_HALF_WIDTH * box.width,
        angle=0.0,
    )


def locate_mouth(frame: UInt8Array, box: FaceBox) -> MouthShape | None:
    """Find the line between the lips: a dark, level valley with redder skin around it.

    Looks at this frame alone. Where the mouth is open, the middle of the opening counts as the line.

    Args:
        frame: uint8 RGB [H, W, 3].
        box: The face, in pixels of the frame; may reach beyond it.

    Returns:
        The mouth in pixels of the frame (sub-pixel; like the box's, its coordinates put the first pixel's middle at
        0.5), or None where nothing looks enough like one.
    """
    if min(box.width, box.height) < 16:
        return None
    evidence = _measure(_search_patch(frame, box))
    seed = _find_line(evidence)
    if seed is None:
        return None
    return _to_frame(_fit(evidence, *seed), box)


def _search_patch(frame: UInt8Array, box: FaceBox) -> Float32Array:
    """Resample the searched part of the box to float32 RGB [_ROWS, _COLUMNS, 3], slightly blurred."""
    step_x, step_y = box.width / _PIXELS_PER_BOX, box.height / _PIXELS_PER_BOX
    left = box.x0 + _SEARCH_X[0] * box.width + step_x / 2 - 0.5
    top = box.y0 + _SEARCH_Y[0] * box.height + step_y / 2 - 0.5
    if max(step_x, step_y) > 1.5:  # several source pixels per search pixel: average them, or the line may be missed
        frame, left, top = _shrunk_part(frame, left, top, step_x, step_y)
        step_x = step_y = 1.0
    matrix = np.array([[step_x, 0, left], [0, step_y, top]])
    patch = cv2.warpAffine(
        frame, matrix, (_COLUMNS, _ROWS), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.GaussianBlur(patch.astype(np.float32), (0, 0), 1.2), np.float32)


def _shrunk_part(
    frame: UInt8Array, left: float, top: float, step_x: float, step_y: float
) -> tuple[UInt8Array, float, float]:
    """Return the part of a frame around the search, area-averaged to search pixels, and the search's place in it."""
    height, width = frame.shape[:2]
    x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
    x1 = min(width, math.ceil(left + (_COLUMNS + 1) * step_x) + 1)
    y1 = min(height, math.ceil(top + (_ROWS + 1) * step_y) + 1)
    if x1 - x0 < 2 * step_x or y1 - y0 < 2 * step_y:
        return frame[:1, :1], 0.0, 0.0
    size = (max(1, round((x1 - x0) / step_x)), max(1, round((y1 - y0) / step_y)))
    part = cv2.resize(frame[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    scale_x, scale_y = size[0] / (x1 - x0), size[1] / (y1 - y0)
    return np.asarray(part, np.uint8), (left + 0.5 - x0) * scale_x - 0.5, (top + 0.5 - y0) * scale_y - 0.5


@lru_cache(maxsize=1)
def _place_weights() -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Return how likely a mouth is at each search pixel (peak 1), and where that is worth a look."""
    x = _SEARCH_X[0] + (np.arange(_COLUMNS) + 0.5) / _PIXELS_PER_BOX
    y = _SEARCH_Y[0] + (np.arange(_ROWS) + 0.5) / _PIXELS_PER_BOX
    along = np.exp(-0.5 * ((x - _TYPICAL_X) / _SPREAD_X) ** 2)
    down = np.exp(-0.5 * ((y - _TYPICAL_Y) / _SPREAD_Y) ** 2)
    weights = (down[:, None] * along[None]).astype(np.float32)
    return weights, weights > 0.1


def _measure(patch: Float32Array) -> _Evidence:
    """Measure the dark valleys and the redness of a search patch.

    Both work on logarithms, so that neither the light's strength nor its slow change across the face counts.
    """
    _, likely = _place_weights()
    red, green, blue = cv2.split(patch)
    brightness = np.log(0.299 * red + 0.587 * green + 0.114 * blue + 8)
    ratio = np.log((red + 8) / (green + 8))
    typical = np.median(brightness[likely])
    # Hair and background are dark and of any color; their redness says nothing of lips.
    skin_like = np.clip((brightness - typical + 1.6) / 0.6, 0, 1)
    redness = np.clip(cv2.GaussianBlur(ratio, (0, 0), 1.5) - np.median(ratio[likely]) - 0.02, 0, 0.35) * skin_like
    smooth = cv2.GaussianBlur(np.maximum(brightness, typical - 1.2), (0, 0), sigmaX=3.5, sigmaY=1.8)
    line = np.zeros_like(smooth)
    line[2:-2] = np.clip(3 * np.minimum(smooth[4:] - smooth[2:-2], smooth[:-4] - smooth[2:-2]), 0, None)
    return _Evidence(line.astype(np.float32), redness.astype(np.float32))


def _find_line(evidence: _Evidence) -> tuple[int, int] | None:
    """Return the search pixel (column, row) of the best line, or None if none stands out."""
    weights, likely = _place_weights()
    line = cv2.blur(evidence.line, (_LINE_WINDOW, 1))
    body = cv2.blur(evidence.redness, (25, 11))
    score = (line + _REDNESS_WEIGHT * body) * weights
    row, column = divmod(int(np.argmax(score)), _COLUMNS)
    strength = float(line[row, column])
    if strength < _FAINTEST_LINE or strength < _FAINTEST_RATIO * float(line[likely].mean()):
        return None
    return column, row


def _end(mass: _FloatArray, start: int, step: int, threshold: float) -> float:
    """Return the column where the mouth fades below a threshold, interpolated."""
    x = start
    while 0 <= x + step < _COLUMNS and mass[x + step] >= threshold:
        x += step
    if not 0 <= x + step < _COLUMNS:
        return float(x)
    drop = float(mass[x] - mass[x + step])
    return float(x + step * (float(mass[x]) - threshold) / drop) if drop > 0 else float(x)


def _fit(evidence: _Evidence, column: int, row: int) -> MouthShape:
    """Fit a mouth around a search pixel; in search pixels.

    Each round weighs line and redness near the line found so far, takes the columns where enough of both is left as
    the mouth's extent, and lays the next line through their middles. An open mouth has a valley above its teeth and one
    below; weighing both makes the answer glide with the picture instead of jumping from one to the other.
    """
    activity = np.minimum(evidence.line / _LINE_FULL, 1.5) + np.minimum(evidence.redness / _REDNESS_FULL, 0.6)
    middle, center, slope, half_width = float(column), float(row), 0.0, 0.0
    x, y = np.arange(_COLUMNS), np.arange(_ROWS)[:, None]
    for _ in range(_ROUNDS):
        offsets = y - (center + slope * (x - middle))[None]
        near = activity * np.exp(-0.5 * (offsets / _REACH) ** 2)
        mass = near.sum(axis=0)
        column = min(max(round(middle), 0), _COLUMNS - 1)
        threshold = _CORNER * float(np.median(mass[max(0, column - 8) : column + 9]))
        left, right = _end(mass, column, -1, threshold), _end(mass, column, 1, threshold)
        inside = (x >= left) & (x <= right)
        if np.count_nonzero(inside) < 5:
            return MouthShape(middle, center, 0.0, 0.0)
        shift = (near * offsets).sum(axis=0)[inside] / np.maximum(mass[inside], 1e-9)
        weights = mass[inside]
        tilt, lift = np.polyfit(x[inside] - (left + right) / 2, shift, 1, w=np.sqrt(weights))
        center += float(lift) + slope * ((left + right) / 2 - middle)
        middle, slope = (left + right) / 2, slope + float(tilt)
        half_width = ((right - left) / 2 - _SMEARED) * math.hypot(1.0, slope)
    center += _between_lips(evidence.redness, middle, center, slope, half_width)
    return MouthShape(middle, center, half_width, math.atan(slope))


def _between_lips(redness: Float32Array, middle: float, center: float, slope: float, half_width: float) -> float:
    """Return how far below the fitted line the middle of all red lies: 0 in closed lips, more where teeth part them."""
    x = np.arange(max(0, round(middle - half_width / 2)), min(_COLUMNS, round(middle + half_width / 2) + 1))
    offsets = np.arange(_ROWS)[:, None] - (center + slope * (x - middle))[None]
    near = redness[:, x] * np.exp(-0.5 * (offsets / (2 * _REACH)) ** 2)
    faint = 0.02 * near.size / _ROWS * 4 * _REACH  # lips hardly redder than skin say little
    # Red above the line is a nose's shadow; of two parted lips the upper, shaded one was followed.
    return max(0.0, float((near * offsets).sum() / (float(near.sum()) + faint)))


def _to_frame(found: MouthShape, box: FaceBox) -> MouthShape | None:
    """Turn search pixels into frame pixels; None for shapes that no mouth has."""
    share = found.half_width / _PIXELS_PER_BOX
    if not _HALF_WIDTHS[0] <= share <= _HALF_WIDTHS[1] or abs(found.angle) > _STEEPEST:
        return None
    x = _SEARCH_X[0] + (found.cx + 0.5) / _PIXELS_PER_BOX
    y = _SEARCH_Y[0] + (found.cy + 0.5) / _PIXELS_PER_BOX
    if abs(x - _TYPICAL_X) > 3 * _SPREAD_X or abs(y - _TYPICAL_Y) > 2.5 * _SPREAD_Y:
        return None
    return MouthShape(box.x0 + x * box.width, box.y0 + y * box.height, share * box.width, found.angle)
