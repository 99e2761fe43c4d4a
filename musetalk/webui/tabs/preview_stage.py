"""What shows a preview: the frame and its faces, the same frame speaking, whose it is, how far the next one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk.webui.drawing.overlays import USUAL, Overlay
from musetalk.webui.tabs.face_picking import FACES_JS, face_buttons

_WATCH_SECONDS = 0.4
_OVERLAYS: dict[Overlay, str] = {"faces": "Faces and mask", "crop": "Crop", "parsing": "Parsing"}


@dataclass(frozen=True, slots=True)
class PreviewStage:
    """Its widgets.

    Attributes:
        column: Holds all that is seen of a preview that was made.
        frame: The source's frame with what is drawn into it; `show` says what, `lines` and `legend` what that means.
        faces: The numbers of the faces, and what is said of a choice.
        speaking: The same frame speaking.
        stamp: Who painted it.
        stale: What has changed since.
        said: What the page's inputs held for what is shown.
        picked_in: In which source which point was picked: what `picked_in` of the handlers makes of the two.
        sheet: How the speaking frame was made; inside `stages`.
        timer: Asks how far a preview is that is under way.
    """

    column: gr.Column
    frame: gr.Image
    speaking: gr.Image
    stamp: gr.HTML
    stale: gr.HTML
    faces: gr.HTML
    overlays: gr.Row
    show: dict[Overlay, gr.Checkbox]
    lines: gr.HTML
    legend: gr.HTML
    note: gr.Markdown
    stages: gr.Accordion
    sheet: gr.Image
    said: gr.Textbox
    picked_in: gr.Textbox
    timer: gr.Timer

    @property
    def drawn(self) -> list[Any]:
        """What another choice of overlays changes."""
        return [self.frame, self.lines, self.legend]

    @property
    def all(self) -> list[Any]:
        """What a preview changes, while it is made and when it is done."""
        made = [self.column, *self.drawn, self.faces, self.speaking, self.stamp, self.overlays, *self.show.values()]
        return [*made, self.note, self.stages, self.sheet, self.said, self.picked_in, self.timer]


def build_preview() -> PreviewStage:
    """Build it where it is called."""
    with gr.Column(elem_classes="preview") as column:
        stamp = gr.HTML("", elem_id="stamp")
        stale = gr.HTML("", elem_id="stale")
        with gr.Row():
            frame = _picture("Preview frame: click a face to choose it", "frame", visible=True)
            speaking = _picture("The same frame, speaking", "speaking", visible=False)
        faces = gr.HTML(face_buttons(None), js_on_load=FACES_JS, elem_id="faces")
        with gr.Row(visible=False, elem_classes="overlays") as overlays:
            show = {name: _overlay(name, label) for name, label in _OVERLAYS.items()}
        lines = gr.HTML("", elem_id="lines")
        legend = gr.HTML("", elem_id="legend")
        note = gr.Markdown("", elem_classes="note", elem_id="note")
        with gr.Accordion("Every stage", open=False, visible=False, elem_id="stages") as stages:
            sheet = _picture("How this frame was made", "sheet", visible=True)
    return PreviewStage(
        column=column,
        frame=frame,
        speaking=speaking,
        stamp=stamp,
        stale=stale,
        faces=faces,
        overlays=overlays,
        show=show,
        lines=lines,
        legend=legend,
        note=note,
        stages=stages,
        sheet=sheet,
        said=gr.Textbox(visible=False),
        picked_in=gr.Textbox(visible=False),
        timer=gr.Timer(_WATCH_SECONDS, active=False),
    )


def _overlay(name: Overlay, label: str) -> gr.Checkbox:
    return gr.Checkbox(name in USUAL, label=label, container=False, min_width=90, scale=0)


def _picture(label: str, name: str, *, visible: bool) -> gr.Image:
    return gr.Image(
        label=label,
        format="jpeg",
        interactive=False,
        buttons=["fullscreen"],
        visible=visible,
        elem_id=name,
        min_width=240,
    )
