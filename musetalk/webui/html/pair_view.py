"""One frame of two results, which the browser takes from their files: its HTML; pair.js brings it to life."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from html import escape
from pathlib import Path

PAIR_JS = Path(__file__).with_name("pair.js").read_text(encoding="utf-8")
_HELP = (
    "Zoom with the buttons, Ctrl and the mouse wheel, two fingers, or a double click; drag to move. Frames, sides and "
    "both pictures keep the zoom. On the picture, the arrow keys step from frame to frame, + and - zoom, 0 shows all, "
    "Shift and an arrow moves, the space bar plays."
)


@dataclass(frozen=True, slots=True)
class Side:
    """What can be shown on a side.

    Attributes:
        name: Of the backend, or what else it is.
        label: The same with whoever painted in its place, where that was all of it.
        address: Of the video.
        size: Of its file, in bytes.
        others: Frames [start, stop) that somebody else painted, and who.
    """

    name: str
    label: str
    address: str
    size: int
    others: tuple[tuple[int, int, str], ...] = ()


def pair_view(sides: Sequence[Side], fps: Fraction, frames: int) -> str:
    """Return two results at one moment, with what chooses and moves them.

    Args:
        sides: Two or more, of the same frames; the first two are shown first.
        fps: Their rate.
        frames: How many the shortest has.

    Returns:
        HTML for a `gr.HTML(js_on_load=PAIR_JS)`. Names in it are escaped.
    """
    data = json.dumps({"fps": float(fps), "frames": frames, "sides": [asdict(side) for side in sides]})
    middle = (frames - 1) // 2
    return (
        f'<section class="mt-pair" aria-label="One frame of two" data-pair="{escape(data)}" data-layout="divided">'
        f'<div class="mt-pair-bar">{_choice("left", sides, 0)}{_layouts()}{_choice("right", sides, 1)}</div>'
        f'<div class="mt-pair-names" aria-hidden="true"><span data-name="left"></span><span data-name="right"></span>'
        f'</div><div class="mt-pair-views" role="group" tabindex="0" aria-label="Both pictures: the arrow keys step">'
        f"{_view('left')}{_view('right')}"
        f'<input type="range" min="0" max="100" value="50" data-divider aria-label="Divider between left and right">'
        f"</div>"
        f'<div id="pair-caption" role="status"><p class="mt-caption"></p></div>'
        f'<p class="mt-error" role="alert" hidden></p>'
        f'<div class="mt-pair-bar" id="pair-frame">{_button("back", "Frame before", "&#8249;")}'
        f'<input type="range" min="0" max="{max(frames - 1, 1)}" value="{middle}" data-frame-slider '
        f'aria-label="Frame">{_button("next", "Next frame", "&#8250;")}{_button("play", "", "Play both")}'
        f'<span class="mt-pair-moment" data-moment></span>'
        f'<span class="mt-pair-zoom" role="group" aria-label="Zoom">{_button("out", "Zoom out", "&#8722;")}'
        f"<output data-zoom>100%</output>{_button('in', 'Zoom in', '+')}{_button('fit', '', 'Show all')}</span></div>"
        f'<p class="mt-note">{_HELP}</p></section>'
    )


def _choice(side: str, sides: Sequence[Side], chosen: int) -> str:
    options = "".join(
        f'<option value="{escape(each.name)}"{" selected" if place == chosen else ""}>{escape(each.label)}</option>'
        for place, each in enumerate(sides)
    )
    return f'<label class="mt-pair-side">On the {side}<select data-side="{side}">{options}</select></label>'


def _layouts() -> str:
    ways = (("divided", "Divided"), ("beside", "Side by side"))
    buttons = "".join(
        f'<button type="button" data-layout-of="{way}" aria-pressed="{str(way == "divided").lower()}">{name}</button>'
        for way, name in ways
    )
    return f'<span class="mt-pair-layouts" role="group" aria-label="How they are shown">{buttons}</span>'


def _view(side: str) -> str:
    canvas = f'<canvas role="img" aria-label="On the {side}" width="16" height="9"></canvas>'
    return f'<div class="mt-pair-view" data-view="{side}">{canvas}</div>'


def _button(action: str, name: str, text: str) -> str:
    label = f' aria-label="{name}" title="{name}"' if name else ""
    return f'<button type="button" data-do="{action}"{label}>{text}</button>'
