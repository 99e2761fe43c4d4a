"""The Dub tab: inputs and settings on the left, one stage on the right.

What one needs comes first, for keyboards and on phones too: who speaks what, the stage with its buttons, and only then
the settings that most renders leave alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk.webui.form import settings_form
from musetalk.webui.form.backend_picker import backend_picker, picker_entries
from musetalk.webui.form.changed_since import PICKED_IN, PreviewInputs
from musetalk.webui.form.changes import build_reset, wire_changes
from musetalk.webui.form.form_values import labels
from musetalk.webui.form.sections import build_folds
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.html.preview_status import PUT_AWAY
from musetalk.webui.html.problems import ProblemSlots, problem_slot, wire_telling
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import AT_ONCE, EACH, UNQUEUED, Site, in_turn
from musetalk.webui.tabs.dub_handlers import DubHandlers
from musetalk.webui.tabs.dub_stage import ResultPanel, build_stage
from musetalk.webui.tabs.estimates import forget_question, what_matters
from musetalk.webui.tabs.job_inputs import SHOW_INPUTS, JobInputs
from musetalk.webui.tabs.job_watcher import wire_watching
from musetalk.webui.tabs.media_inputs import MediaInputs, build_media
from musetalk.webui.tabs.preview_handlers import PreviewHandlers

# Gradio puts a picture inside a button without a name. Only that of the frame does anything.
_NAME_PICTURES = """() => requestAnimationFrame(() => {
  const names = { frame: "Preview frame: choose a face", speaking: "The same frame, speaking", sheet: "Every stage" };
  for (const [id, name] of Object.entries(names))
    document.querySelectorAll(`#${id} .image-container > button`).forEach((button) => {
      button.ariaLabel = name;
      if (id === "frame") button.title = "Enter chooses the next face, a digit the face of that number";
      else [button.tabIndex, button.role] = [-1, "img"];
    });
})"""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The left column."""

    media: MediaInputs
    form: settings_form.SettingsForm
    backend_problem: gr.HTML


def build_dub(site: Site, visitor: gr.BrowserState, header: gr.HTML, looks: MediaLooks) -> DubHandlers:
    """Build the tab where it is called; what the other tabs need of it comes back."""
    with gr.Row(elem_classes="dub"):
        with gr.Column(scale=2, min_width=320, elem_classes="given"):
            media = build_media(site, looks)
            entries = picker_entries(site.engine, site.base, site.downloads.allowed)
            picker = backend_picker(entries, site.base.backend)
            problem = problem_slot(".mt-picker")
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            stage = build_stage(header)
        with gr.Column(scale=2, min_width=320, elem_classes="settings"):
            reset = build_reset()
            settings = settings_form.SettingsForm(
                {**settings_form.build_mouth(picker), **build_folds(site.base.models_dir, lambda: site.reader)}
            )
    site.labels.update(labels(settings))
    wire_changes(settings, reset, [stage.job.change])
    inputs = Inputs(media, settings, problem)
    watched = PreviewInputs(inputs.media.source, inputs.media.voice, stage.moment, inputs.form)
    given = JobInputs(site, media.source, media.voice, settings, (media.source_problem, media.voice_problem))
    previews = PreviewHandlers(site, stage, watched, given)
    handlers = DubHandlers(site, stage, previews, given)
    _wire(handlers, inputs, stage, visitor, lambda: site.reader)
    _wire_previews(previews, watched, stage, visitor)
    _wire_job(handlers, watched, stage, visitor)
    return handlers


def _wire(
    handlers: DubHandlers, inputs: Inputs, stage: ResultPanel, visitor: gr.BrowserState, reader: Callable[[], Reader]
) -> None:
    slots = ProblemSlots(inputs.media.source_problem, inputs.media.voice_problem, inputs.backend_problem, stage.problem)
    media, settings = [inputs.media.source, inputs.media.voice], inputs.form.widgets
    begun = [(stage.generate_button.click, handlers.generate), (stage.question.submit, handlers.generate_anyway)]
    wire_telling(begun, [*media, visitor, *settings], handlers.watched, slots, reader)
    matters = [*(each.change for each in media), *what_matters(inputs.form)]
    in_turn(matters, handlers.estimate, [*media, *settings], stage.estimate)
    forget_question(matters, stage.question)
    # Outside the queue: a queue full of work must not keep anybody from ending it.
    stage.stop_button.click(handlers.stop, [stage.job, visitor], handlers.stopped, **UNQUEUED)
    wire_watching(handlers, stage, visitor)


def _wire_previews(
    handlers: PreviewHandlers, inputs: PreviewInputs, stage: ResultPanel, visitor: gr.BrowserState
) -> None:
    shown, job = stage.previewing, [stage.job, visitor]
    overlays = list(shown.show.values())
    # Each click counts, also while the one before is answered: the newest one wins, on the server.
    asking: dict[str, Any] = {**EACH, "js": inputs.telling()}
    asked = [shown.said, *inputs.widgets]
    for ask in (stage.preview_button.click, stage.moment.submit):
        ask(handlers.start, asked, handlers.watched, **asking)
    shown.frame.select(handlers.pick, asked, handlers.chosen, **asking)
    shown.faces.submit(handlers.choose, asked, handlers.chosen, **asking)
    _show_source(inputs.source.change, handlers, inputs, stage, visitor)
    point = inputs.form[settings_form.POINT]
    point.input(None, [inputs.source, point], shown.picked_in, js=PICKED_IN, api_visibility="private")
    shown.timer.tick(handlers.watch, [*job, *overlays], handlers.watched, **UNQUEUED)
    for overlay in overlays:
        overlay.input(handlers.redraw, overlays, [*shown.drawn, shown.faces], **AT_ONCE, trigger_mode="always_last")
    for show in (shown.frame.change, shown.speaking.change, shown.sheet.change, shown.stages.expand):
        show(None, js=_NAME_PICTURES, api_visibility="private")
    changes = [widget.change for widget in (shown.said, *inputs.widgets)]
    gr.on(changes, None, asked, shown.stale, js=inputs.comparing(), api_visibility="private")
    mends = [*(widget.change for widget in inputs.widgets), stage.generate_button.click]
    gr.on(mends, None, stage.preview_status, stage.preview_status, js=PUT_AWAY, api_visibility="private")


def _show_source(
    when: Any,  # noqa: ANN401 - one of Gradio's events
    handlers: PreviewHandlers,
    inputs: PreviewInputs,
    stage: ResultPanel,
    visitor: gr.BrowserState,
) -> None:
    """Show the source alone, when something happens."""
    asked = [stage.previewing.said, stage.previewing.picked_in, stage.job, visitor]
    when(
        handlers.start_with_source,
        [*asked, *inputs.widgets],
        handlers.chosen,
        **{**EACH, "js": inputs.telling(len(asked) - 1, alone=True)},
    )


def _wire_job(handlers: DubHandlers, inputs: PreviewInputs, stage: ResultPanel, visitor: gr.BrowserState) -> None:
    """Let inputs and the job on the stage belong together."""
    job, path = [stage.job, visitor], gr.Textbox(visible=False, label="path")
    shown, given = stage.previewing, handlers.inputs
    for looks in (stage.preview_button.click, stage.moment.submit, shown.frame.select, shown.faces.submit):
        looks(handlers.leave, stage.job, handlers.opened, **UNQUEUED)
    asked = [*job, path, inputs.source]
    in_turn([inputs.source.change], handlers.leave_for, asked, handlers.opened, js=given.paths(2))
    acted = stage.status.submit(handlers.act, job, handlers.opened, **AT_ONCE)
    _show_source(acted.success, handlers.previews, inputs, stage, visitor)
    acted.success(None, stage.job, None, js=SHOW_INPUTS, api_visibility="private")
    compared: list[Any] = [inputs.voice, *inputs.form.widgets]
    changes = [stage.job.change, *(widget.change for widget in compared)]
    in_turn(changes, handlers.mark, [*job, path, *compared], stage.changed, js=given.paths(2))
    stage.changed.submit(handlers.take_back, job, given.given, **AT_ONCE)
    changes = [stage.job.change, *(widget.change for widget in given.widgets)]
    gr.on(changes, None, [stage.job, *given.widgets], js=given.keep, api_visibility="private")
