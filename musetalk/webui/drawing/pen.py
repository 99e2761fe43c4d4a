"""Lines and tags that are visible on any picture: light, with a dark outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from musetalk.utils.arrays import UInt8Array

Points: TypeAlias = npt.NDArray[np.floating]  # [N, 2] as (x, y), in pixels; the first pixel's middle is at 0.5
Color: TypeAlias = tuple[int, int, int]  # RGB

_CASING: Color = (16, 20, 26)
_THICK = 2.5  # thin lines
_DASH, _GAP = 5.0, 4.0  # of a dashed line, in line widths
_TAG = 14.0  # height of a number's tag, in line widths
_FRACTION_BITS = 4  # cv2 draws at sixteenths of a pixel


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws cased lines of one thickness into a picture.

    Attributes:
        picture: uint8 RGB [h, w, 3], written to.
        width: Of a thin line, in pixels.
    """

    picture: UInt8Array
    width: float

    def lines(self, thin: list[Points], color: Color, also: Sequence[Points] = ()) -> None:
        """Draw polylines, those of `also` thick, and all of their casing before any of them."""
        edge = max(1, round(self.width * 0.7))
        for paint, more in ((_CASING, 2 * edge), (color, 0)):
            for lines, widths in ((thin, 1.0), (also, _THICK)):
                points = [np.round((line - 0.5) * 2**_FRACTION_BITS).astype(np.int32) for line in lines]
                size = max(1, round(self.width * widths)) + more
                cv2.polylines(self.picture, points, False, paint, size, cv2.LINE_AA, _FRACTION_BITS)

    def dashed(self, outline: Points, color: Color) -> None:
        """Draw a closed line in dashes of one length."""
        if len(outline) < 3:
            return
        line = np.concatenate([outline, outline[:1]])
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        count = max(4, round(along[-1] / ((_DASH + _GAP) * self.width)))
        step = along[-1] / count
        dash = np.linspace(0, step * _DASH / (_DASH + _GAP), 6)
        places = (index * step + dash for index in range(count))
        dashes = [np.stack([np.interp(place, along, column) for column in line.T], axis=1) for place in places]
        self.lines(dashes, color)

    def tag(self, text: str, corner: Points, color: Color) -> None:
        """Write a short text on a plate above a box's upper left corner, or inside where there is no room."""
        x, y, width, height = plate_of(text, corner, self.width, (self.picture.shape[1], self.picture.shape[0]))
        font = _font(height)
        page = Image.fromarray(self.picture)
        draw = ImageDraw.Draw(page)
        plate = (x, y, x + width, y + height)
        draw.rounded_rectangle(plate, height / 5, fill=color, outline=_CASING, width=max(1, round(self.width * 0.75)))
        draw.text((x + width / 2, y + height / 2), text, fill=_CASING, font=font, anchor="mm")
        self.picture[...] = np.asarray(page)


def plate_of(text: str, corner: Points, line: float, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return where `Pen.tag` lays the plate of a text.

    Args:
        text: The text.
        corner: The box's upper left corner, float [2] as (x, y).
        line: Width of a thin line, in pixels.
        size: (width, height) of the picture.

    Returns:
        (x, y, width, height) in pixels of the picture.
    """
    height = max(11.0, _TAG * line)
    width = max(height, _font(height).getlength(text) + height * 0.5)
    x = min(max(0.0, float(corner[0]) - line), size[0] - width)
    y = float(corner[1]) - height - 2 * line
    return x, y if y >= 0 else min(max(0.0, float(corner[1]) + 2 * line), size[1] - height), width, height


def _font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return what plates of that height are written in."""
    return ImageFont.load_default(height * 0.8)
