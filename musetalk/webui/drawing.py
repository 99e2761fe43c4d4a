"""Pictures of a previewed frame: where the faces are, which of them speaks, where the mask ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from musetalk.arrays import UInt8Array
from musetalk.faces.types import FaceBox
from musetalk.frame_preview import FramePreview

_Points: TypeAlias = npt.NDArray[np.floating]
_Colour: TypeAlias = tuple[int, int, int]

# RGB: light lines in a dark casing, so that they show on anything.
_CASING: _Colour = (16, 20, 26)
_FOUND: _Colour = (236, 240, 244)
_CHOSEN: _Colour = (255, 196, 61)
_OUTLINE: _Colour = (120, 232, 255)

_LINE = 1 / 500  # width of a thin line, of the picture's longer side
_THICK = 2.5  # thin lines
_CORNER = 0.2  # length of a corner mark, of the box's shorter side
_DASH, _GAP = 5.0, 4.0  # of the outline, in line widths
_TAG = 14.0  # height of a number's tag, in line widths
_FRACTION_BITS = 4  # cv2 draws at sixteenths of a pixel


def draw_faces(preview: FramePreview, *, max_side: int = 1280) -> UInt8Array:
    """Draw what was found into the source's frame.

    Every face found has a thin box and its number, from left to right; the chosen ones have marked corners, and a
    dashed line where source and generated face are mixed half and half.

    Args:
        preview: The frame and its faces.
        max_side: Most pixels on the longer side; smaller frames keep their size.

    Returns:
        uint8 RGB [h, w, 3].
    """
    picture = _fitted(preview.frame, max_side)
    pen = _Pen(picture, max(1.5, max(picture.shape[:2]) * _LINE))
    scale = np.array([picture.shape[1] / preview.frame.shape[1], picture.shape[0] / preview.frame.shape[0]])
    chosen = {face.box for face in preview.chosen}
    for outline in preview.outlines:
        pen.dashed(outline * scale, _OUTLINE)
    for box in preview.boxes:
        corners = _corners(box) * scale
        frame = np.concatenate([corners, corners[:1]])
        if box in chosen:
            pen.lines([frame], _CHOSEN, also=_corner_marks(corners))
        else:
            pen.lines([frame], _FOUND)
    for number, box in enumerate(preview.boxes, 1):
        pen.tag(str(number), _corners(box)[0] * scale, _CHOSEN if box in chosen else _FOUND)
    return picture


def show_result(preview: FramePreview, *, max_side: int = 1280) -> UInt8Array:
    """Scale the result as `draw_faces` scales the frame: uint8 RGB [h, w, 3]; without a voice, the frame itself."""
    return _fitted(preview.frame if preview.result is None else preview.result, max_side)


def to_source_point(
    x: float, y: float, picture_size: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[float, float]:
    """Tell which point of the source a pixel of a drawn picture shows.

    Args:
        x: The pixel's column.
        y: Its row.
        picture_size: (width, height) of the picture.
        frame_size: (width, height) of the source's frame.

    Returns:
        (x, y) in source pixels, of the pixel's middle, held inside the frame.
    """
    (width, height), (across, down) = picture_size, frame_size
    return (
        min(max((x + 0.5) * across / width, 0.0), float(across)),
        min(max((y + 0.5) * down / height, 0.0), float(down)),
    )


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws cased lines of one thickness into a picture.

    Attributes:
        picture: uint8 RGB [h, w, 3], written to.
        width: Of a thin line, in pixels.
    """

    picture: UInt8Array
    width: float

    def lines(self, thin: list[_Points], colour: _Colour, also: Sequence[_Points] = ()) -> None:
        """Draw polylines, those of `also` thick, and all of their casing before any of them."""
        edge = max(1, round(self.width * 0.7))
        for paint, more in ((_CASING, 2 * edge), (colour, 0)):
            for lines, widths in ((thin, 1.0), (also, _THICK)):
                points = [np.round((line - 0.5) * 2**_FRACTION_BITS).astype(np.int32) for line in lines]
                size = max(1, round(self.width * widths)) + more
                cv2.polylines(self.picture, points, False, paint, size, cv2.LINE_AA, _FRACTION_BITS)

    def dashed(self, outline: _Points, colour: _Colour) -> None:
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
        self.lines(dashes, colour)

    def tag(self, text: str, corner: _Points, colour: _Colour) -> None:
        """Write a short text on a plate above a box's upper left corner, or inside where there is no room."""
        height = max(11.0, _TAG * self.width)
        font = ImageFont.load_default(height * 0.8)
        width = max(height, font.getlength(text) + height * 0.5)
        rows, columns = self.picture.shape[:2]
        x = min(max(0.0, float(corner[0]) - self.width), columns - width)
        y = float(corner[1]) - height - 2 * self.width
        y = y if y >= 0 else min(max(0.0, float(corner[1]) + 2 * self.width), rows - height)
        page = Image.fromarray(self.picture)
        draw = ImageDraw.Draw(page)
        plate = (x, y, x + width, y + height)
        draw.rounded_rectangle(plate, height / 5, fill=colour, outline=_CASING, width=max(1, round(self.width * 0.75)))
        draw.text((x + width / 2, y + height / 2), text, fill=_CASING, font=font, anchor="mm")
        self.picture[...] = np.asarray(page)


def _fitted(frame: UInt8Array, max_side: int) -> UInt8Array:
    """A copy of a frame, shrunk so that its longer side has at most `max_side` pixels."""
    height, width = frame.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale == 1:
        return frame.copy()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _corners(box: FaceBox) -> _Points:
    """The corners of a box, from the upper left one around: float [4, 2] as (x, y)."""
    return np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])


def _corner_marks(corners: _Points) -> list[_Points]:
    """An angle at each corner of a box: float [3, 2] each."""
    length = _CORNER * float(np.abs(corners[2] - corners[0]).min())
    marks = []
    for index, corner in enumerate(corners):
        arms = [corners[index - 1] - corner, corners[(index + 1) % 4] - corner]
        before, after = (corner + arm / max(float(np.hypot(*arm)), 1e-6) * length for arm in arms)
        marks.append(np.stack([before, corner, after]))
    return marks
