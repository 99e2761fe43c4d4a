"""A line of text in a corner, readable on any picture."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydantic import field_validator

from musetalk.errors import SettingsError
from musetalk.frame_steps.spec import FrameStepSpec, Size
from musetalk.settings import Settings, setting
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.text import fitted_height, font_for, is_blank, unwritable
from musetalk.utils.units import counted

_MARGIN, _PADDING = 0.6, 0.35  # from the picture's edge, and of the plate around the text, in heights of the text
_WIDEST = 0.9  # of the picture's width
_LEAST = 9.0  # pixels of height: below, no letter can be read
_PLATE, _INK = (16, 20, 26), (240, 240, 240)  # RGB
_SOFT = 4  # plate and letters are drawn so many times as large, for smooth edges of any picture


class LabelOptions(Settings):
    """What is written, and where."""

    text: str = setting(
        "AI generated",
        "what is written: one line, of Latin, Greek or Cyrillic letters",
        values="TEXT",
        min_length=1,
        max_length=80,
    )
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = setting(
        "bottom-right", "the corner of the picture in which it stands"
    )
    height: float = setting(0.035, "height of the letters", unit="of the picture's shorter side", ge=0.01, le=0.3)
    opacity: float = setting(0.75, "how dark the plate behind the letters is; 1: nothing shows through", ge=0.5, le=1)

    @field_validator("text")
    @classmethod
    def _can_be_written(cls, text: str) -> str:
        """Refuse what would come out as empty boxes."""
        if unknown := unwritable(text):
            raise ValueError(f"there are no letters here for {unknown!r}")
        if is_blank(text):
            raise ValueError("there is nothing to write")
        return text


def readable_size(options: LabelOptions, size: Size) -> Size:
    """Return the same size.

    Raises:
        SettingsError: In pictures so large nobody could read the text.
    """
    if (letters := _letters(options, size)) < _LEAST:
        raise SettingsError(
            f"in pictures {size[0]} pixels wide a label of {counted(len(options.text), 'character')} is "
            f"{letters:.1f} pixels high, and nobody can read it",
            "shorten it, or let a step before it make larger pictures",
            names=("frame_steps",),
        )
    return size


@lru_cache(maxsize=8)  # it is asked for each frame
def _letters(options: LabelOptions, size: Size) -> float:
    """Return how high the letters are, in pixels: as asked for, or less where the line would be too long."""
    asked = max(_LEAST, options.height * min(size))
    return fitted_height(options.text, _WIDEST * size[0] - 2 * _PADDING * asked, asked)


@lru_cache(maxsize=8)
def _plate(options: LabelOptions, size: Size) -> tuple[int, int, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the label of frames of a size: x, y, its colors [h, w, 3], and how much they show [h, w, 1]."""
    width, height = size
    letters = _letters(options, size)
    font = font_for(options.text, letters)
    left, top, right, bottom = font.getbbox(options.text)
    room = _PADDING * letters
    box = (min(width, round(right - left + 2 * room)), min(height, round(bottom - top + 2 * room)))
    # Of the ink, not of the line: letters that all stand low or high would lie partly outside of the plate.
    middle = (round((box[0] - left - right) / 2), round((box[1] - top - bottom) / 2))
    page = Image.new("RGB", box, _PLATE)
    ImageDraw.Draw(page).text(middle, options.text, fill=_INK, font=font)
    ink = Image.new("L", box, 0)
    ImageDraw.Draw(ink).text(middle, options.text, fill=255, font=font)
    shape = Image.new("L", (box[0] * _SOFT, box[1] * _SOFT), 0)
    edges = (0, 0, box[0] * _SOFT - 1, box[1] * _SOFT - 1)
    ImageDraw.Draw(shape).rounded_rectangle(edges, _SOFT * letters / 4, fill=255)
    plate = np.asarray(shape.resize(box, Image.Resampling.BOX), np.float32) / 255 * options.opacity
    alpha = np.maximum(plate, np.asarray(ink, np.float32) / 255)
    free = (width - box[0], height - box[1])
    across, down = (min(round(_MARGIN * letters), each) for each in free)
    x = across if options.corner.endswith("left") else free[0] - across
    y = down if options.corner.startswith("top") else free[1] - down
    return x, y, np.asarray(page, np.float32), alpha[..., None]


def label(options: LabelOptions, picture: UInt8Array, _number: int) -> UInt8Array:
    """Return a frame with the text on a dark plate: what lies beneath hardly shows, so that it is read on anything."""
    x, y, colors, alpha = _plate(options, (picture.shape[1], picture.shape[0]))
    labelled = picture.copy()
    under = labelled[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    under[...] = np.rint(under + alpha * (colors - under))
    return labelled


LABEL = FrameStepSpec(
    "label",
    "a line of text in a corner, such as: AI generated",
    load=lambda options, _place: partial(label, options),
    options=LabelOptions,
    done="labelled",
    size=readable_size,
)
