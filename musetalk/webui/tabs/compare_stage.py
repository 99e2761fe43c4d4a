"""What the Compare tab shows: beside the inputs what is done, below both, as wide as the page, what was made."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from musetalk.webui.html import panels
from musetalk.webui.html.pair_view import PAIR_JS
from musetalk.webui.html.timeline_seek import SEEK_JS
from musetalk.webui.tabs.estimates import question_box
from musetalk.webui.tabs.job_watcher import WATCH_SECONDS, WatchedPanel

TOGETHER = "Side by side"
HINT = "Choose a source, a voice and two backends or more, then compare."


@dataclass(frozen=True, slots=True)
class CompareStage(WatchedPanel):
    """Its widgets besides those of the watched job; `pair` shows one frame of two results."""

    compare_button: gr.Button
    estimate: gr.HTML
    question: gr.HTML
    pair: gr.HTML


@dataclass(frozen=True, slots=True)
class CompareWork:
    """What starts and ends a comparison, and says how far it is."""

    compare_button: gr.Button
    stop_button: gr.Button
    estimate: gr.HTML
    question: gr.HTML
    status: gr.HTML


def build_work(*, ready: bool) -> CompareWork:
    """Build it where it is called; `ready`: there are backends to compare."""
    with gr.Row(elem_classes="actions", equal_height=True):
        compare_button = gr.Button("Compare", variant="primary", min_width=110, scale=2, interactive=ready)
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    estimate = gr.HTML("", elem_id="compare-estimate")
    question = question_box("compare-question")
    status = gr.HTML(panels.status_panel(None, hint=HINT), js_on_load=panels.STATUS_JS, elem_id="compare-status")
    return CompareWork(compare_button, stop_button, estimate, question, status)


def build_compare_stage(header: gr.HTML, work: CompareWork) -> CompareStage:
    """Build what shows the results where it is called: each of two panels beside each other wants 480 pixels.

    `header` is the page's, which shows the queue.
    """
    return CompareStage(
        header=header,
        pair=gr.HTML("", elem_id="pair", js_on_load=PAIR_JS, apply_default_css=False),
        video=gr.Video(label=TOGETHER, visible=False, interactive=False, buttons=["download"], elem_id="side-by-side"),
        report=gr.HTML("", js_on_load=SEEK_JS, elem_id="comparison"),
        stop_button=work.stop_button,
        status=work.status,
        job=gr.Textbox(visible="hidden", label="job"),
        timer=gr.Timer(WATCH_SECONDS, active=False),
        belated=gr.Textbox("0", visible="hidden", label="belated"),
        compare_button=work.compare_button,
        estimate=work.estimate,
        question=work.question,
    )
