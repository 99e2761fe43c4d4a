"""What the lines in the previewed frame mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from musetalk.webui.drawing.overlays import CHOSEN, CROP, FOUND, OUTLINE, Overlay, OverlayBase
from musetalk.webui.drawing.pen import Color


def lines_legend(sketch: OverlayBase, overlays: Collection[Overlay]) -> str:
    """Return the meaning of the lines that are drawn, as an HTML list; empty where none are.

    Args:
        sketch: The frame.
        overlays: What is drawn into it.
    """
    items = "".join(
        f'<li><span class="mt-key"{_key(*key)}></span>{name}</li>' for name, key in _lines(sketch, overlays)
    )
    return f'<ul class="mt-legend" aria-label="Lines in the picture">{items}</ul>' if items else ""


def _lines(sketch: OverlayBase, overlays: Collection[Overlay]) -> Iterable[tuple[str, tuple[Color, str, int]]]:
    """Of each kind of line that is drawn: what it means, its color, its style and its thickness."""
    if "faces" in overlays:
        if sketch.chosen:
            yield "the face that will speak", (CHOSEN, "solid", 3)
        if any(box not in sketch.chosen for box in sketch.boxes):
            yield "another face: click it to choose it", (FOUND, "solid", 2)
        if sketch.outlines:
            yield "edge of what is painted: half source, half new mouth", (OUTLINE, "dashed", 2)
    if "crop" in overlays:
        if sketch.crops:
            yield "what the backend is shown", (CROP, "solid", 2)
        if any(line is not None for line in sketch.lines):
            yield "the line that halves it; bbox_shift moves it", (CROP, "solid", 2)


def _key(color: Color, style: str, thickness: int) -> str:
    return f' style="border-top:{thickness}px {style} rgb{color}"'
