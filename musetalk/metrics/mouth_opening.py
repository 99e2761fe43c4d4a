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

# Of the skin's brightness: at or below the first nothing but the hollow of a mouth is that dark, above the second
# even painted lips are brighter.
_SURELY_DARK, _NOT_DARK = 0.3, 0.42


def measure_opening(frame: UInt8Array, mouth: MouthShape) -> float:
    """Measure how far a mouth stands open in the middle.

    Runs down the middle of the mouth and counts what is dark against the cheeks, what lies between two dark places,
    and what is paler than the lips around it: teeth, also those of a smile with closed jaws. Dark beards are not told
    from an open mouth.

    Args:
        frame: uint8 RGB [H, W, 3].
        mouth: The mouth, in pixels of the frame.

    Returns:
        The height of the opening as a fraction of the mouth's width; near 0 where it is closed.
    """
    skin = float(np.median(_brightness(_sample(frame, mouth, *_CHEEKS))))
    columns = _sample(frame, mouth, _COLUMNS, _ROWS)
    dark = np.clip((_NOT_DARK - _brightness(columns) / max(skin, 1.0)) / (_NOT_DARK - _SURELY_DARK), 0, 1)
    enclosed = np.minimum(np.maximum.accumulate(dark, axis=0), np.maximum.accumulate(dark[::-1], axis=0)[::-1])
    logs = np.log(columns + 8)
    redness = np.asarray(cv2.GaussianBlur(logs[..., 0] - logs[..., 1], (0, 0), sigmaX=1.0, sigmaY=2.0), np.float32)
    rim = np.minimum(_highest(redness, above=True), _highest(redness, above=False))
    teeth = np.clip((rim - redness - 0.12) / 0.1, 0, 1)
    return float(np.maximum(enclosed, teeth).mean()) * float(_ROWS[-1] - _ROWS[0]) / 2


def _highest(values: Float32Array, *, above: bool) -> Float32Array:
    """Return the highest value on the stretch above (or below) each row that teeth can fill."""
    anchor = (0, _TEETH - 1 if above else 0)
    return np.asarray(cv2.dilate(values, np.ones((_TEETH, 1), np.uint8), anchor=anchor), np.float32)


def _brightness(colors: Float32Array) -> Float32Array:
    return np.asarray(colors @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _sample(frame: UInt8Array, mouth: MouthShape, along: _Floats, down: _Floats) -> Float32Array:
    """Sample a grid of half widths, turned with the mouth: float32 RGB [down, along, 3]."""
    cos, sin = math.cos(mouth.angle) * mouth.half_width, math.sin(mouth.angle) * mouth.half_width
    x = (mouth.cx - 0.5 + along[None] * cos - down[:, None] * sin).astype(np.float32)
    y = (mouth.cy - 0.5 + along[None] * sin + down[:, None] * cos).astype(np.float32)
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
