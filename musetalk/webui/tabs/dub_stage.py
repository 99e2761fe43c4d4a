"""The right column of the Dub tab: preview frame or result, the action bar, status, report."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from musetalk.webui.html import panels
from musetalk.webui.html.preview_status import preview_status
from musetalk.webui.html.problems import problem_slot
from musetalk.webui.html.timeline_seek import SEEK_JS
from musetalk.webui.tabs.estimates import question_box
from musetalk.webui.tabs.job_inputs import CHANGED_JS
from musetalk.webui.tabs.job_watcher import WATCH_SECONDS, WatchedPanel
from musetalk.webui.tabs.preview_stage import PreviewStage, build_preview


@dataclass(frozen=True, slots=True)
class ResultPanel(WatchedPanel):
    """Its widgets besides those of the watched job.

    `preview_status` says how far a preview is that is under way, `changed` whether the inputs are still the job's.
    """

    previewing: PreviewStage
    preview_status: gr.HTML
    moment: gr.Textbox
    preview_button: gr.Button
    generate_button: gr.Button
    problem: gr.HTML
    estimate: gr.HTML
    question: gr.HTML
    changed: gr.HTML

    @property
    def preview(self) -> gr.Column:
        """All that is seen of a preview."""
        return self.previewing.column


def build_stage(header: gr.HTML) -> ResultPanel:
    """Build it where it is called; `header` is the page's, which shows the queue."""
    previewing = build_preview()
    video = gr.Video(label="Result", visible=False, interactive=False, buttons=["download"], elem_id="result")
    of_preview = gr.HTML(preview_status(None), elem_id="preview-status")
    with gr.Row(elem_classes="actions", equal_height=True):
        moment = gr.Textbox(label="Preview at (s)", placeholder="2.5 or 0:02.5", min_width=140, scale=1)
        preview_button = gr.Button("Preview frame", min_width=110, scale=1)
        generate_button = gr.Button("Generate", variant="primary", min_width=110, scale=1, elem_id="generate")
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    estimate = gr.HTML("", elem_id="estimate")
    question = question_box("question")
    problem = problem_slot(".dub .given, .dub .settings")
    status = gr.HTML(panels.status_panel(None), js_on_load=panels.STATUS_JS, elem_id="status")
    changed = gr.HTML("", js_on_load=CHANGED_JS, elem_id="changed")
    report = gr.HTML("", js_on_load=SEEK_JS, elem_id="report")
    return ResultPanel(
        header=header,
        previewing=previewing,
        preview_status=of_preview,
        video=video,
        moment=moment,
        preview_button=preview_button,
        generate_button=generate_button,
        problem=problem,
        estimate=estimate,
        question=question,
        stop_button=stop_button,
        status=status,
        report=report,
        changed=changed,
        job=gr.Textbox(visible="hidden", label="job"),
        timer=gr.Timer(WATCH_SECONDS, active=False),
        belated=gr.Textbox("0", visible="hidden", label="belated"),
    )
