"""How far a mouth stands open, measured in the picture alone: to compare what was rendered with what was said."""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.types import MouthShape
from musetalk.utils.arrays import Float32Array, UInt8Array

_Floats: TypeAlias = npt.NDArray[np.floating]

# In half widths of the mouth, along its axis and downwards from it.
_COLUMNS = np.linspace(-0.3, 0.3, 13)
_ROWS = np.linspace(-0.5, 1.1, 129)  # short of the nostrils and of the shadow under the chin
_CHEEKS = (np.array([-1.4, -1.3, -1.2, 1.2, 1.3, 1.4]), np.linspace(-0.5, 0.1, 13))
MOUTH_REACH = 1.5  # half widths from its middle: no further is looked
_TEETH = 32  # rows: 0.4 half widths, more than teeth ever show

# Brightness is the logarithm of its ratio to the skin's, redness that of red to green, less the skin's.
_NOT_DARK, _SURELY_DARK = -0.87, -1.2  # at or below the second, nothing but the hollow of a mouth is that dark
_SHADED = 0.45, 0.65  # darker than lips on both sides: what may be lips in shadow, and what is behind them
_NOSE = -0.3  # half widths from the mouth's axis
_LIT, _BRIGHT = -1.0, -0.6  # where redness means something; where lips are that have no shadow on them


def measure_opening(frame: UInt8Array, mouth: MouthShape) -> float:
    """Measure how far a mouth stands open in the middle.

    Runs down the middle of the mouth and counts what is dark against the cheeks or against the lips around it, what
    lies between two such places, and what is paler than the lips around it: teeth, also those of a smile with closed
    jaws. Lips painted dark are told by their redness. Dark beards are not told from an open mouth.

    Args:
        frame: uint8 RGB [H, W, 3].
        mouth: The mouth, in pixels of the frame.

    Returns:
        The height of the opening as a fraction of the mouth's width; near 0 where it is closed.
    """
    skin = np.median(_sample(frame, mouth, *_CHEEKS).reshape(-1, 3), axis=0)
    columns = _sample(frame, mouth, _COLUMNS, _ROWS)
    light = np.log((_brightness(columns) + 4) / (float(_brightness(skin)) + 4))
    absolute = _redness(columns)
    redness = cv2.GaussianBlur(absolute - float(_redness(skin)), (0, 0), sigmaX=1.0, sigmaY=2.0)
    bright = redness[light > _BRIGHT]
    typical = float(np.percentile(bright, 95)) if bright.size else 0.0  # of lips

    painted = _rising(absolute, 0.9, 1.1) * _rising(light, -2.0, -1.7)
    beside = _around(np.where(redness > 0.6 * typical, light, -9)) - light
    dark = np.maximum(_rising(-light, -_NOT_DARK, -_SURELY_DARK), _rising(beside, *_SHADED)) * (1 - painted)
    enclosed = np.minimum(np.maximum.accumulate(dark, axis=0), np.maximum.accumulate(dark[::-1], axis=0)[::-1])

    # Teeth are between lips, or between one and the hollow; above lies the nose.
    rim = _around(np.where(light > _LIT, redness, np.where(_ROWS[:, None] > _NOSE, typical, 0)))
    teeth = _rising(rim - redness, 0.12, 0.22) * _rising(-redness / np.maximum(rim, 0.05), -0.55, -0.35)
    teeth *= _rising(rim / max(typical, 0.05), 0.45, 0.6)
    return float(np.maximum(enclosed, teeth).mean()) * float(_ROWS[-1] - _ROWS[0]) / 2


def _around(values: _Floats) -> Float32Array:
    """Return the lower one of the highest values on the stretches above and below each row that teeth can fill."""
    rows, stretch = np.asarray(values, np.float32), np.ones((_TEETH, 1), np.uint8)
    above, below = (cv2.dilate(rows, stretch, anchor=(0, anchor)) for anchor in (_TEETH - 1, 0))
    return np.asarray(np.minimum(above, below), np.float32)


def _rising(values: _Floats, none: float, all_: float) -> Float32Array:
    return np.asarray(np.clip((values - none) / (all_ - none), 0, 1), np.float32)


def _redness(colors: Float32Array) -> Float32Array:
    logs = np.log(colors + 8)
    return np.asarray(logs[..., 0] - logs[..., 1], np.float32)


def _brightness(colors: Float32Array) -> Float32Array:
    return np.asarray(colors @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _sample(frame: UInt8Array, mouth: MouthShape, along: _Floats, down: _Floats) -> Float32Array:
    """Sample a grid of half widths, turned with the mouth: float32 RGB [down, along, 3]."""
    cos, sin = math.cos(mouth.angle) * mouth.half_width, math.sin(mouth.angle) * mouth.half_width
    x = (mouth.cx - 0.5 + along[None] * cos - down[:, None] * sin).astype(np.float32)
    y = (mouth.cy - 0.5 + along[None] * sin + down[:, None] * cos).astype(np.float32)
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
