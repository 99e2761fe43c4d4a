"""The right column of the Compare tab: the videos side by side, status, table and plots, and one moment of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from musetalk.webui import panels
from musetalk.webui.watching import WATCH_SECONDS, WatchedStage

# Gradio forgets how long the shown comparison is when the server restarts, and would refuse its later frames.
_MOST_FRAMES = 10_000_000
TOGETHER = "Side by side"
HINT = "Choose a source, a voice and two backends or more, then compare."


@dataclass(frozen=True, slots=True)
class CompareStage(WatchedStage):
    """Its widgets besides those of the watched job.

    `moment` holds all that shows one frame of two results; `due` changes whenever another comparison wants them shown.
    """

    compare_button: gr.Button
    moment: gr.Column
    frame: gr.Slider
    left: gr.Dropdown
    right: gr.Dropdown
    caption: gr.HTML
    pair: gr.ImageSlider
    due: gr.Textbox


def build_compare_stage(header: gr.HTML, backends: Sequence[str]) -> CompareStage:
    """Build it where it is called; `header` is the page's, which shows the queue, `backends` all that there are."""
    video = gr.Video(label=TOGETHER, visible=False, interactive=False, buttons=["download"], elem_id="side-by-side")
    with gr.Row(elem_classes="actions", equal_height=True):
        compare_button = gr.Button("Compare", variant="primary", min_width=110, scale=2)
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    status = gr.HTML(panels.status_panel(None, hint=HINT), elem_id="compare-status")
    with gr.Column(visible=False, elem_classes="moment") as moment:
        pair = gr.ImageSlider(
            label="One frame of two", type="numpy", format="png", interactive=False, elem_id="pair", max_height=600
        )
        caption = gr.HTML("", elem_id="pair-caption")
        frame = gr.Slider(0, _MOST_FRAMES, value=0, step=1, label="Frame", elem_id="pair-frame")
        with gr.Row():
            left = gr.Dropdown(list(backends), label="On the left", min_width=220)
            right = gr.Dropdown(list(backends), label="On the right", min_width=220)
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
        caption=caption,
        pair=pair,
        due=gr.Textbox(visible="hidden"),
    )
