"""Elements of a talk as pixels, drawn once each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from musetalk.errors import PATH, MediaError, ScriptError
from musetalk.presenter.elements import Element
from musetalk.presenter.layout import Box, contain
from musetalk.presenter.type_setting import draw_text
from musetalk.utils.arrays import Float32Array, UInt8Array

BACKGROUND = (18, 22, 29)  # RGB, behind what fills nothing
_PLATE, _PLATE_SHOWS = (12, 15, 20), 0.8
_INK = {"title": (255, 255, 255), "bullet": (232, 236, 242), "caption": (255, 255, 255), "slide": (0, 0, 0)}
_ACCENT = (92, 146, 255)  # marks of bullets
MOST_PIXELS = 50_000_000  # of a slide


@dataclass(frozen=True, slots=True)
class Layer:
    """Pixels that are laid over a picture.

    Attributes:
        box: Where.
        colors: RGB [h, w, 3]: float32, 0 to 255; uint8 where nothing shows through.
        alpha: float32 [h, w, 1], 0 to 1: how much they show; None: nothing shows through.
    """

    box: Box
    colors: Float32Array | UInt8Array
    alpha: Float32Array | None

    def over(self, picture: UInt8Array, shows: float = 1.0) -> None:
        """Lay it over a picture, uint8 RGB [H, W, 3], in place.

        Args:
            picture: The picture.
            shows: How much of it is seen, 0 to 1.
        """
        box = self.box
        under = picture[box.y : box.bottom, box.x : box.right]
        if self.alpha is None:
            under[...] = self.colors
            return
        under[...] = np.rint(under + self.alpha * np.float32(shows) * (self.colors - under))


def draw_element(element: Element) -> Layer:
    """Return an element's pixels.

    Raises:
        ScriptError: Its slide cannot be read.
    """
    if element.picture is not None:
        return _draw_slide(element.picture, element.box, element.script_line)
    box = element.box
    colors = np.empty((box.height, box.width, 3), np.float32)
    colors[...] = _PLATE
    alpha = np.full((box.height, box.width, 1), _PLATE_SHOWS if element.plate else 0.0, np.float32)
    for number, line in enumerate(element.lines):
        ink, color = draw_text(line.text)[..., None], _INK[element.kind]
        if element.kind == "bullet" and number == 0:
            color = _ACCENT
        left, top = line.x - box.x, line.y - box.y
        ink = ink[max(0, -top) : box.height - top, max(0, -left) : box.width - left]
        rows, columns = slice(max(0, top), max(0, top) + ink.shape[0]), slice(max(0, left), max(0, left) + ink.shape[1])
        shown = np.maximum(alpha[rows, columns], ink)
        plain = np.asarray(color, np.float32)
        colors[rows, columns] += ink / np.maximum(shown, 1e-6) * (plain - colors[rows, columns])
        alpha[rows, columns] = shown
    return Layer(box, colors, alpha)


def read_slide(path: Path, line: int | None = None) -> UInt8Array:
    """Return a picture, uint8 sRGB [H, W, 3], upright; transparent parts show the background.

    Args:
        path: Of the picture.
        line: Of the script that shows it.

    Raises:
        ScriptError: It is none, or too large to be opened safely.
    """
    from musetalk.media.pictures.decoding import opened, read_image  # noqa: PLC0415 - of Pillow much, for slides alone

    where = "there is " if line is None else f"line {line} of the script shows "
    try:
        with opened(path) as picture:  # the header alone
            if picture.width * picture.height > MOST_PIXELS:
                problem = f"{where}{PATH}, a picture of {picture.width}x{picture.height} pixels, which is too large"
                raise ScriptError(problem, f"make it smaller: {MOST_PIXELS:,} pixels at most", path=path, line=line)
        return read_image(path, BACKGROUND)
    except MediaError as error:
        raise ScriptError(
            f"{where}{PATH}, which is no picture that can be read", error.remedy, path=path, line=line
        ) from error


def _draw_slide(path: Path, box: Box, line: int | None = None) -> Layer:
    picture = read_slide(path, line)
    place = contain((picture.shape[1], picture.shape[0]), box)
    smaller = place.width < picture.shape[1]
    scaled = cv2.resize(
        picture, (place.width, place.height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )
    colors = np.empty((box.height, box.width, 3), np.uint8)
    colors[...] = BACKGROUND
    colors[place.y - box.y : place.bottom - box.y, place.x - box.x : place.right - box.x] = scaled
    return Layer(box, colors, None)
