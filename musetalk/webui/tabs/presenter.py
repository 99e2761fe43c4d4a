"""The Presenter tab: a script is written and heard, and becomes a talk that somebody's face speaks."""

from __future__ import annotations

import json

import gradio as gr

from musetalk.webui.html.problems import telling
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import AT_ONCE, EACH, UNQUEUED, Site, in_turn
from musetalk.webui.tabs.estimates import Estimates, forget_question
from musetalk.webui.tabs.job_watcher import wire_watching
from musetalk.webui.tabs.presenter_handlers import TalkHandlers, TalkInputs
from musetalk.webui.tabs.presenter_stage import (
    TalkStage,
    build_choices,
    build_script,
    build_speaker,
    build_talk_stage,
    build_voice_choice,
)

_KEPT = json.dumps("musetalk-script")  # under which the browser's tab keeps what is written
_KEEP = f"(text) => {{ sessionStorage.setItem({_KEPT}, text ?? ''); }}"
# What is written is not lost by a reload; a talk that the address names brings its own script. Gradio tells of a change
# some time after it, which is too late for whoever leaves at once: what is typed is kept as it is typed.
_WRITTEN = f"""(text) => {{
  document.addEventListener("input", ({{ target }}) => {{
    if (target.closest("#script")) sessionStorage.setItem({_KEPT}, target.value);
  }});
  return new URL(window.location).searchParams.get("job") ? text : sessionStorage.getItem({_KEPT}) ?? text;
}}"""


def build_presenter(
    site: Site, visitor: gr.BrowserState, header: gr.HTML, tab: gr.Tab, looks: MediaLooks, estimates: Estimates
) -> TalkHandlers:
    """Build the tab where it is called; what other parts need of it comes back.

    Args:
        site: Whose jobs and readings.
        visitor: Whose secret.
        header: Of the page.
        tab: This one.
        looks: Of the whole page.
        estimates: The same.
    """
    with gr.Row(elem_classes="talk"):
        with gr.Column(scale=2, min_width=320, elem_classes="given"):
            script = build_script(site)
            speaker = build_speaker(site, looks)
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            stage = build_talk_stage(header)
        with gr.Column(scale=2, min_width=320, elem_classes="settings"):
            voice = build_voice_choice(site, looks)
            choices = build_choices(speaker, voice)
    inputs = TalkInputs(site, speaker, voice, script, choices)
    handlers = TalkHandlers(site, stage, inputs, estimates)
    _wire(handlers, inputs, stage, visitor)
    in_turn([tab.select], handlers.refresh, inputs.chosen, [*inputs.chosen, voice.language])
    return handlers


def _wire(handlers: TalkHandlers, inputs: TalkInputs, stage: TalkStage, visitor: gr.BrowserState) -> None:
    job, site = [stage.job, visitor], handlers.inputs.site
    # Each press counts, also while the one before is answered: the newest one wins, on the server.
    read = telling(handlers.read, handlers.slots, lambda: site.reader)
    stage.read_button.click(read, inputs.read, handlers.read_out, **EACH)
    stage.clock.tick(handlers.watch_reading, job, handlers.read_out, **UNQUEUED)
    asked = [inputs.source, visitor, *inputs.read]
    how = {**AT_ONCE, "concurrency_limit": 4}
    stage.make_button.click(handlers.make, asked, handlers.made, **how)
    stage.question.submit(handlers.make, asked, handlers.made, **how)
    forget_question([widget.change for widget in (inputs.source, *inputs.read)], stage.question)
    # Outside the queue: a queue full of work must not keep anybody from ending it.
    stage.stop_button.click(handlers.stop, job, handlers.made, **UNQUEUED)
    stage.status.submit(handlers.act, job, handlers.opened, **AT_ONCE)
    wire_watching(handlers, stage, visitor)
    voice = inputs.voice
    in_turn([voice.voice.change], handlers.lacks, voice.voice, voice.lacking)
    text = inputs.script.text
    text.change(None, text, None, js=_KEEP, api_visibility="private")


def wire_draft(page: gr.Blocks, handlers: TalkHandlers) -> None:
    """Bring back what was written before the page was loaded again."""
    text = handlers.inputs.script.text
    page.load(None, text, text, js=_WRITTEN, api_visibility="private")
