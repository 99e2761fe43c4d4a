"""What of a strip of pixels around a mouth is teeth, tongue or hollow, and what is the lips around them, by color."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

_Floats = npt.NDArray[np.floating]

# Brightness is told as the logarithm of its ratio to the skin's, redness as that of red to green, less the skin's.
_NEAR = 0.5  # units, within which lips are looked for above and below teeth
_NOSE = -0.55, -0.45  # units from the mouth's axis: above the first lies the nose, below the second none of it
_DARK, _BLACK = -0.9, -1.3
_BRIGHT = -0.9  # lips that the typical one is taken from
_SHADED = 0.45, 0.65  # darker than the lips on both sides: from where on it may be, and is, no lip in shadow
_LINE = 0.25, 0.4  # the same of a narrow one, against what is next to it
_PALE, _PALER = 0.7, 0.4  # of the redness of the lips around, what may be teeth, and what surely is
_RED = 0.25, 0.375  # of the reddest around the mouth, what may be a lip, and what surely is
_LEAST_RED = 0.06
_LIP = -0.35  # what speaks for a lip where a place is as red as those around it


def find_between_lips(
    strip: Float32Array, skin: Float32Array, valley: Float32Array, depth: _Floats, u: _Floats, v: _Floats
) -> Float32Array:
    """Return what speaks for a place being between lips, 1, or one of them, below 0: float32 [rows, columns].

    Args:
        strip: float32 RGB [rows, columns, 3], level.
        skin: Its skin's color, float32 RGB [3].
        valley: float32 [rows, columns], how much each place is a dark line.
        depth: [rows, columns], below the parting, in units.
        u: [columns], in half widths from the middle.
        v: [rows], in units from the mouth's axis.
    """
    rows = int(_NEAR / float(v[1] - v[0]))
    absolute, redness, light = _tones(strip, skin)
    # Lips that are painted are as dark as a hollow, but far redder, unless that is quite black.
    painted = _rising(absolute, 1.0, 1.25) * _rising(light, -2.0, -1.7)
    hollow = np.maximum(_rising(-light, -_DARK, -_BLACK), _in_shadow(redness, light, valley, u, rows)) * (1 - painted)
    lips = redness * (1 - 0.7 * hollow) * _rising(v, *_NOSE)[:, None]
    most = max(float(np.percentile(lips[:, np.abs(u) < 0.7], 95)), 0.05)
    around = np.maximum(lips, most * hollow * (v > -0.5)[:, None])
    rim = np.minimum(highest_near(around, rows, above=True), highest_near(around, rows, above=False))
    teeth = _paleness(redness, rim, most, depth)
    return _with_tongue(teeth + (1 - teeth) * hollow, redness / most, depth)


def highest_near(values: Float32Array, rows: int, *, above: bool) -> Float32Array:
    """Return the highest value in so many rows above (or below) each place, its own among them."""
    anchor = (0, rows - 1 if above else 0)
    return np.asarray(cv2.dilate(np.asarray(values, np.float32), np.ones((rows, 1), np.uint8), anchor=anchor))


def _tones(strip: Float32Array, skin: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return the redness, the same against the skin's, and the brightness against the skin's."""
    red, green, blue = cv2.split(np.log(strip + 8))
    tones = np.log(skin + 8)
    light = 0.3 * (red - tones[0]) + 0.59 * (green - tones[1]) + 0.11 * (blue - tones[2])
    return red - green, red - green - (tones[0] - tones[1]), np.asarray(light, np.float32)


def _in_shadow(redness: Float32Array, light: Float32Array, valley: Float32Array, u: _Floats, rows: int) -> Float32Array:
    """Return what is darker than the lips above and below it: tongue, and openings that are not quite dark."""
    middle = np.abs(u) < 0.7
    lit = redness[:, middle][light[:, middle] > _BRIGHT]
    typical = float(np.percentile(lit, 90)) if lit.size else 0.0
    lips = np.where(redness > 0.6 * typical, light, -9)
    beside = np.minimum(highest_near(lips, rows, above=True), highest_near(lips, rows, above=False))
    # Of a dark line the middle: beyond it the lip begins that throws the shadow.
    line = np.where(valley >= 0.7 * cv2.dilate(valley, np.ones((7, 1), np.uint8)), valley, 0)
    return np.maximum(_rising(beside - light, *_SHADED), _rising(line, *_LINE))


def _paleness(redness: Float32Array, rim: Float32Array, most: float, depth: _Floats) -> Float32Array:
    """Return how much each place is teeth between lips, 1, or a lip, or skin beside them, below 0."""
    pale = np.clip((_PALE - redness / np.maximum(rim, 0.05)) / (_PALE - _PALER), _LIP, 1)
    least = max(_LEAST_RED, _RED[0] * most)
    sure = _rising(rim, least, least * _RED[1] / _RED[0])
    # Above, skin between lip and nose is paler, too, but less so. Below, a lip is that shines or is pale inside.
    below = _rising(-redness / most, -0.55, -0.45) * _rising(rim - redness, 0.08, 0.12)
    sure *= np.where(depth < 0, _rising(rim - redness, 0.12, 0.18), below)
    return np.asarray(np.where(rim < least, -1, np.where(pale > 0, pale * sure, pale)), np.float32)


def _with_tongue(found: Float32Array, redness: Float32Array, depth: _Floats) -> Float32Array:
    """Let nothing speak for lips where teeth or hollow are above and below: tongues are nearly as red as they are."""
    sure = np.clip(2 * cv2.blur(found, (3, 3)), 0, 1)
    enclosed = np.minimum(np.maximum.accumulate(sure, axis=0), np.maximum.accumulate(sure[::-1], axis=0)[::-1])
    enclosed = enclosed * _rising(np.where(depth > 0, 1.1, 0.9) - redness, 0, 0.2)  # no tongue is above upper teeth
    return np.asarray(np.where(found < 0, found * (1 - enclosed), found), np.float32)


def _rising(values: _Floats, none: float, all_: float) -> Float32Array:
    return np.asarray(np.clip((values - none) / (all_ - none), 0, 1), np.float32)
