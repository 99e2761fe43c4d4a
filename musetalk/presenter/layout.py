"""Where the presenter, the words and the slides stand, for each layout and shape of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

LayoutName: TypeAlias = Literal["full", "split", "slides"]
Aspect: TypeAlias = Literal["16:9", "9:16", "1:1"]
Size: TypeAlias = tuple[int, int]  # (width, height) in pixels

SAFE = 0.05  # of the picture's sides, in which no word stands: the graphics safe area of EBU R 95
_GAP = 0.03  # of the shorter side, between what stands beside each other
_CAPTIONS = 0.15  # of the shorter side: height of two lines of captions with their plate
_SHOWN = 0.4  # of the presenter's picture at least, where it fills a box of another shape; else it stands in it whole
_ABOVE = 0.1  # of what is cut off above and below: heads stand high


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in whole pixels.

    Attributes:
        x: Its left side.
        y: Its top.
        width: At least 1.
        height: At least 1.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand in a picture.

    Attributes:
        canvas: The picture's size.
        presenter: The video.
        panel: Title and bullets.
        slide: Slides.
        captions: Captions.
        beside_slide: The video while a slide is shown; None: it stays where it is, or is hidden by it.
        covered: Whether title and bullets stand over the video, so that they need a plate.
    """

    canvas: Size
    presenter: Box
    panel: Box
    slide: Box
    captions: Box
    beside_slide: Box
    covered: bool


def canvas_size(aspect: Aspect, shorter: int) -> Size:
    """Return the size of a picture whose shorter side has so many pixels; both are even."""
    across, down = map(int, aspect.split(":"))
    longer = 2 * round(shorter * max(across, down) / min(across, down) / 2)
    return (longer, shorter) if across >= down else (shorter, longer)


def place(layout: LayoutName, aspect: Aspect, shorter: int, *, captions: bool) -> Places:
    """Return where things stand.

    Args:
        layout: The presenter alone (`full`), beside the words (`split`), or small over slides (`slides`).
        aspect: Shape of the picture.
        shorter: Pixels of its shorter side.
        captions: Whether captions are written into it: they get a strip of their own.
    """
    width, height = canvas = canvas_size(aspect, shorter)
    gap = round(_GAP * shorter)
    whole = Box(0, 0, width, height)
    safe = _safe(canvas)
    captioned = caption_strip(canvas)
    strip = captioned.height if captions else 0
    free = Box(safe.x, safe.y, safe.width, safe.height - (strip + gap if strip else 0))
    small = round((0.3 if width >= height else 0.36) * shorter)
    corner = Box(safe.right - small, free.bottom - small, small, small)
    if layout == "full":
        third = Box(free.x, free.bottom - round(0.4 * free.height), free.width, round(0.4 * free.height))
        return Places(canvas, whole, third, whole, captioned, corner, covered=True)
    if layout == "split" and height > width:
        half = round(0.46 * height)
        below = Box(free.x, half + gap, free.width, free.bottom - half - gap)
        upper = Box(0, 0, width, half)
        return Places(canvas, upper, below, below, captioned, upper, covered=False)
    if layout == "split":
        side = round((0.44 if width > height else 0.42) * width)
        left = Box(0, 0, side, height if not strip else free.bottom + gap // 2)
        right = Box(side + gap, free.y, free.right - side - gap, free.height)
        return Places(canvas, left, right, right, captioned, left, covered=False)
    beside = Box(free.x, free.y, max(1, free.width - small - gap), free.height)
    above = Box(free.x, free.y, free.width, max(1, free.height - small - gap))
    panel = beside if width > height else above
    return Places(canvas, corner, panel, panel, captioned, corner, covered=False)


def caption_strip(canvas: Size) -> Box:
    """Return where captions stand in a picture, at its bottom."""
    safe, height = _safe(canvas), max(1, round(_CAPTIONS * min(canvas)))
    return Box(safe.x, safe.bottom - height, safe.width, height)


def fill(source: Size, box: Box) -> tuple[Box, Box]:
    """Return which part of a picture is shown in a box, and where.

    It fills the box, cut at the sides, or rather below than above, where heads are; one of quite another shape stands
    in the middle of it, whole.

    Args:
        source: The picture's size.
        box: Where it stands.

    Returns:
        The part, in the picture's pixels; and its place, in the canvas's.
    """
    width, height = source
    scale = max(box.width / width, box.height / height)
    across, down = min(width, round(box.width / scale)), min(height, round(box.height / scale))
    if across * down >= _SHOWN * width * height:
        return Box((width - across) // 2, round((height - down) * _ABOVE), across, down), box
    return Box(0, 0, width, height), contain(source, box)


def contain(source: Size, box: Box) -> Box:
    """Return where a picture stands in the middle of a box, as large as it fits."""
    scale = min(box.width / source[0], box.height / source[1])
    across, down = max(1, round(source[0] * scale)), max(1, round(source[1] * scale))
    return Box(box.x + (box.width - across) // 2, box.y + (box.height - down) // 2, across, down)


def _safe(canvas: Size) -> Box:
    """Return where words may stand in a picture."""
    across, down = (round(SAFE * side) for side in canvas)
    return Box(across, down, canvas[0] - 2 * across, canvas[1] - 2 * down)
