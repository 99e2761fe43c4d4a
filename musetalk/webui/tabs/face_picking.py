"""Choosing a face in the previewed frame: by a click on it, by its number, by keyboard."""

from __future__ import annotations

from html import escape

import numpy as np

from musetalk.faces.types import FaceBox
from musetalk.utils.units import counted
from musetalk.webui.drawing.overlays import OverlayBase, number_plates, to_source_point

NOBODY = "No face there: click inside a box, or choose a number."
# Listens on the component, which outlives its content, and for keys on the picture: its button has no use for them.
# "submit" carries {face}: a number from 1, or "next".
FACES_JS = """
const choose = (face) => trigger("submit", { face });
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-face]");
  if (button) choose(Number(button.dataset.face));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (!event.target.closest?.("#frame .image-container > button")) return;
  const number = Number(event.key);
  if (event.key === "Enter" || event.key === " ") choose("next");
  else if (number >= 1) choose(number);
  else return;
  event.preventDefault();
});
"""
_MARGIN = 0.15  # of a box's size, around it: hair, chin and ears are a face's, too


def face_at(sketch: OverlayBase, column: int, row: int) -> int | None:
    """Return the face under a pixel of the drawn picture: its place among the sketch's boxes; None: the background.

    A face's box counts with a little around it, as does its number. Of several the one counts whose middle is nearest,
    as a share of its size.
    """
    picture = (sketch.ground.shape[1], sketch.ground.shape[0])
    for index, (left, top, width, height) in reversed(list(enumerate(number_plates(sketch)))):
        if left <= column + 0.5 <= left + width and top <= row + 0.5 <= top + height:
            return index
    x, y = to_source_point(column, row, picture, sketch.size)
    reach = {index: _reach(box, x, y) for index, box in enumerate(sketch.boxes)}
    near = min(reach, key=lambda index: reach[index], default=None)
    return near if near is not None and reach[near] <= 0.5 + _MARGIN else None


def point_of(sketch: OverlayBase, index: int, column: int | None = None, row: int | None = None) -> tuple[float, float]:
    """Return a point of the source that means a face to the engine: what was clicked, if that does; else its middle."""
    boxes = sketch.boxes
    if column is not None and row is not None:
        x, y = to_source_point(column, row, (sketch.ground.shape[1], sketch.ground.shape[0]), sketch.size)
        distances = [np.hypot(box.center[0] - x, box.center[1] - y) for box in boxes]
        if int(np.argmin(distances)) == index:
            return x, y
    return boxes[index].center


def face_of(sketch: OverlayBase, asked: object) -> int | None:
    """Return the place among the boxes of a face that the page asks for, by number or as the "next"; None: no such."""
    boxes = sketch.boxes
    if asked == "next" and boxes:
        chosen = [index for index, box in enumerate(boxes) if box in sketch.chosen]
        return (chosen[0] + 1) % len(boxes) if len(chosen) == 1 else 0
    return asked - 1 if isinstance(asked, int) and 1 <= asked <= len(boxes) else None


def no_such_face(sketch: OverlayBase) -> str:
    """Return what is to be said of a number that no face has."""
    return f"This frame shows {counted(len(sketch.boxes), 'face')}." if sketch.boxes else "This frame shows no face."


def face_buttons(sketch: OverlayBase | None, said: str = "") -> str:
    """Return the numbers of the faces in a frame, as HTML for `gr.HTML(js_on_load=FACES_JS)`.

    Args:
        sketch: The frame; None: none is shown.
        said: What is to be said of the last choice.
    """
    boxes = () if sketch is None else sketch.boxes
    chosen = frozenset() if sketch is None else sketch.chosen
    buttons = "".join(
        f'<button type="button" class="mt-button" data-face="{number}" aria-pressed="{str(box in chosen).lower()}">'
        f'<span class="mt-unseen">Face </span>{number}</button>'
        for number, box in enumerate(boxes, 1)
    )
    hidden = "" if buttons else " hidden"
    return (
        f'<div class="mt-faces"><div class="mt-numbers" role="group" aria-label="Choose a face"{hidden}>'
        f'<span aria-hidden="true">Face</span>{buttons}</div>'
        f'<p class="mt-faces-said" role="status">{escape(said)}</p></div>'
    )


def _reach(box: FaceBox, x: float, y: float) -> float:
    """Return how far a point is from a box's middle: 0.5 on its edge."""
    across, down = abs(x - box.center[0]) / box.width, abs(y - box.center[1]) / box.height
    return float(max(across, down))
