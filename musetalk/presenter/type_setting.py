"""Texts set into boxes: letters as large as asked for, or smaller, in lines that fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw

from musetalk.utils.arrays import Float32Array
from musetalk.utils.text import Font, font_for, unwritable

LEADING = 1.3  # of the letters' height, from line to line
_BASELINE = 0.76  # of a line's height, below its top
_SHRINKING = 0.92  # from one try to the next
_CUT = "…"
_SHORT = 200  # letters that are measured at once


@dataclass(frozen=True, slots=True)
class SetText:
    """A text in lines.

    Attributes:
        lines: In order.
        letters: Height of the letters in pixels.
        width: Of the longest line.
        height: Of all lines.
        leftwards: Whether it is read from right to left, so that lines stand at the right.
        sample: The text that the font was chosen for.
    """

    lines: tuple[str, ...]
    letters: float
    width: int
    height: int
    leftwards: bool
    sample: str


@lru_cache(maxsize=256)
def set_text(text: str, width: int, height: int, largest: float, least: float) -> SetText:
    """Return a text in lines that fit into a box.

    Args:
        text: Without line breaks; signs that no font here has are left out.
        width: Of the box in pixels.
        height: Of the box.
        largest: Height of the letters in pixels, if they fit.
        least: Where they do not fit even so small, the end of the text is left out, and dots say so.
    """
    if missing := unwritable(text):
        text = " ".join("".join(letter for letter in text if letter not in missing).split())
    letters = min(largest, height / LEADING)
    while True:
        font, fit = font_for(text, letters), max(1, int(height / (LEADING * letters)))
        lines = list(islice(_wrapped(text, font, width), fit + 1))  # the next ones are not seen
        if len(lines) <= fit or letters <= least:
            break
        letters = max(least, letters * _SHRINKING)
    if len(lines) > fit:
        lines = [*lines[: fit - 1], _cut_off(lines[fit - 1], font, width)]
    widest = max((_length(line, font) for line in lines), default=0)
    tall = min(height, round(LEADING * letters * len(lines)))
    return SetText(tuple(lines), letters, min(width, widest), tall, _is_leftwards(text), text)


def draw_text(text: SetText) -> Float32Array:
    """Return how much ink each pixel has, float32 [height, width], 0 to 1; nothing lies outside of it."""
    page = Image.new("L", (max(1, text.width), max(1, text.height)), 0)
    font, pen = font_for(text.sample, text.letters), ImageDraw.Draw(page)
    step = LEADING * text.letters
    for number, line in enumerate(text.lines):
        left, _, right, _ = font.getbbox(line, anchor="ls")
        x = text.width - right if text.leftwards else -min(0.0, left)
        pen.text((x, (number + _BASELINE) * step), line, fill=255, font=font, anchor="ls")
    return np.asarray(page, np.float32) / np.float32(255)


def _wrapped(text: str, font: Font, width: int) -> Iterator[str]:
    line = ""
    for part in _breakable(text):
        longer = line + part
        if _fits(longer.strip(), font, width):
            line = longer
            continue
        if line.strip():
            yield line.strip()
        line = part.lstrip()
        while (fits := _fitting(line, font, width)) < len(line.rstrip()):  # one word that is wider than the box
            yield line[:fits]
            line = line[fits:]
    if line.strip():
        yield line.strip()


def _breakable(text: str) -> Iterator[str]:
    """Yield a text in parts between which a line may end: words, and each letter of scripts without spaces."""
    part = ""
    for letter in text:
        if letter == " " or (part and (_stands_alone(letter) or _stands_alone(part[-1])) and letter.isalnum()):
            yield part
            part = letter
        else:
            part += letter
    yield part


def _stands_alone(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def _fits(text: str, font: Font, width: int) -> bool:
    if len(text) <= _SHORT:
        return _length(text, font) <= width
    return _fitting(text, font, width) == len(text)


def _fitting(text: str, font: Font, width: int) -> int:
    """Return how many letters of a word fit, at least one; however long it is, few more are measured."""
    low, high = 1, 2
    while high < len(text) and _length(text[:high], font) <= width:
        low, high = high, 2 * high
    high = min(high, len(text))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _length(text[:middle], font) <= width else (low, middle - 1)
    return low


def _cut_off(line: str, font: Font, width: int) -> str:
    while line and _length(line.rstrip() + _CUT, font) > width:
        line = line[:-1]
    return line.rstrip() + _CUT


def _length(text: str, font: Font) -> int:
    left, _, right, _ = font.getbbox(text, anchor="ls") if text else (0, 0, 0, 0)
    return int(np.ceil(right - min(0, left)))


def _is_leftwards(text: str) -> bool:
    """Whether the first letter that has a direction goes from right to left."""
    for letter in text:
        direction = unicodedata.bidirectional(letter)
        if direction in {"R", "AL"}:
            return True
        if direction == "L":
            return False
    return False
