"""The right column of the Compare tab: the videos side by side, status, table and plots, and one moment of two."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from musetalk.webui import panels
from musetalk.webui.watching import WATCH_SECONDS, WatchedStage

HINT = "Choose a source, a voice and two backends or more, then compare."


@dataclass(frozen=True, slots=True)
class CompareStage(WatchedStage):
    """Its widgets besides those of the watched job; `moment` holds all that shows one frame of two results."""

    compare_button: gr.Button
    moment: gr.Column
    frame: gr.Slider
    left: gr.Dropdown
    right: gr.Dropdown
    pair: gr.ImageSlider


def build_compare_stage(header: gr.HTML) -> CompareStage:
    """Build it where it is called; `header` is the page's, which shows the queue."""
    video = gr.Video(
        label="Side by side", visible=False, interactive=False, buttons=["download"], elem_id="side-by-side"
    )
    with gr.Row(elem_classes="actions", equal_height=True):
        compare_button = gr.Button("Compare", variant="primary", min_width=110, scale=2)
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    status = gr.HTML(panels.status_panel(None, hint=HINT), elem_id="compare-status")
    with gr.Column(visible=False, elem_classes="moment") as moment:
        pair = gr.ImageSlider(
            label="One frame of two", type="numpy", format="png", interactive=False, elem_id="pair", max_height=600
        )
        frame = gr.Slider(0, 1, value=0, step=1, label="Frame", elem_id="pair-frame")
        with gr.Row():
            left = gr.Dropdown([], label="On the left", min_width=140)
            right = gr.Dropdown([], label="On the right", min_width=140)
    report = gr.HTML("", elem_id="comparison")
    return CompareStage(
        header=header,
        video=video,
        stop_button=stop_button,
        status=status,
        report=report,
        job=gr.Textbox(visible=False),
        timer=gr.Timer(WATCH_SECONDS, active=False),
        compare_button=compare_button,
        moment=moment,
        frame=frame,
        left=left,
        right=right,
        pair=pair,
    )
