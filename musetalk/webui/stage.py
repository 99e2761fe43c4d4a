"""The right column of the Dub tab: preview frame or result, the action bar, status, report."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from musetalk.webui import panels
from musetalk.webui.drawing import USUAL, Overlay
from musetalk.webui.watching import WATCH_SECONDS, WatchedStage

_OVERLAYS: dict[Overlay, str] = {"faces": "Faces and mask", "crop": "Crop", "parsing": "Parsing"}


@dataclass(frozen=True, slots=True)
class Stage(WatchedStage):
    """Its widgets besides those of the watched job.

    `show` says what is drawn into the frame, `scale` how many pixels of the source one of it is; `sheet` shows how the
    speaking frame was made.
    """

    preview: gr.Column
    frame: gr.Image
    speaking: gr.Image
    overlays: gr.Row
    show: dict[Overlay, gr.Checkbox]
    legend: gr.HTML
    note: gr.Markdown
    stages: gr.Accordion
    sheet: gr.Image
    moment: gr.Textbox
    preview_button: gr.Button
    generate_button: gr.Button
    scale: gr.State


def build_stage(header: gr.HTML) -> Stage:
    """Build it where it is called; `header` is the page's, which shows the queue."""
    with gr.Column(elem_classes="preview") as preview:
        with gr.Row():
            frame = _picture("Preview frame: click a face to choose it", "frame", visible=True)
            speaking = _picture("The same frame, speaking", "speaking", visible=False)
        with gr.Row(visible=False, elem_classes="overlays") as overlays:
            show = {name: _overlay(name, label) for name, label in _OVERLAYS.items()}
        legend = gr.HTML("", elem_id="legend")
        note = gr.Markdown("", elem_classes="note", elem_id="note")
        with gr.Accordion("Every stage", open=False, visible=False, elem_id="stages") as stages:
            sheet = _picture("How this frame was made", "sheet", visible=True)
    video = gr.Video(label="Result", visible=False, interactive=False, buttons=["download"], elem_id="result")
    with gr.Row(elem_classes="actions", equal_height=True):
        moment = gr.Textbox(label="Preview at (s)", placeholder="e.g. 2.5", min_width=140, scale=1)
        preview_button = gr.Button("Preview frame", min_width=110, scale=1)
        generate_button = gr.Button("Generate", variant="primary", min_width=110, scale=1)
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    status = gr.HTML(panels.status_panel(None), elem_id="status")
    report = gr.HTML("", elem_id="report")
    return Stage(
        header=header,
        preview=preview,
        frame=frame,
        speaking=speaking,
        overlays=overlays,
        show=show,
        legend=legend,
        note=note,
        stages=stages,
        sheet=sheet,
        video=video,
        moment=moment,
        preview_button=preview_button,
        generate_button=generate_button,
        stop_button=stop_button,
        status=status,
        report=report,
        job=gr.Textbox(visible=False),
        timer=gr.Timer(WATCH_SECONDS, active=False),
        scale=gr.State(1.0),
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
