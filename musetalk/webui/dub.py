"""The Dub tab: inputs on the left, one stage on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk.webui import form
from musetalk.webui.backend_picker import backend_entries, backend_picker
from musetalk.webui.dub_handlers import DubHandlers
from musetalk.webui.form_folds import build_folds
from musetalk.webui.media_inputs import MediaInputs, build_media
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site
from musetalk.webui.stage import Stage, build_stage
from musetalk.webui.watching import SHOW_ADDRESS

# Gradio puts a picture inside a button without a name.
_NAME_PICTURES = """() => requestAnimationFrame(() => {
  const names = { frame: "Preview frame: choose a face", speaking: "The same frame, speaking", sheet: "Every stage" };
  for (const [id, name] of Object.entries(names))
    document.querySelectorAll(`#${id} .image-container > button`).forEach((button) => (button.ariaLabel = name));
})"""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The left column."""

    media: MediaInputs
    form: form.SettingsForm


def build_dub(site: Site, visitor: gr.BrowserState, header: gr.HTML) -> DubHandlers:
    """Build the tab where it is called; what the other tabs need of it comes back."""
    with gr.Row(elem_classes="dub"):
        with gr.Column(scale=2, min_width=320, elem_classes="inputs"):
            inputs = _build_inputs(site)
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            stage = build_stage(header)
    handlers = DubHandlers(site, stage, inputs.media.source, inputs.media.voice, inputs.form)
    _wire(handlers, inputs, stage, visitor)
    return handlers


def _build_inputs(site: Site) -> Inputs:
    media = build_media(site)
    entries = backend_entries(site.engine.registry, site.base, site.downloads.allowed)
    mouth = form.build_mouth(backend_picker(entries, site.base.backend))
    return Inputs(media, form.SettingsForm(**mouth, **build_folds(site.base)))


def _wire(handlers: DubHandlers, inputs: Inputs, stage: Stage, visitor: gr.BrowserState) -> None:
    settings = inputs.form.widgets
    overlays = list(stage.show.values())
    media = [inputs.media.source, inputs.media.voice]
    preview: dict[str, Any] = {
        "outputs": handlers.previewed,
        "concurrency_limit": 2,
        "concurrency_id": "preview",
        "api_visibility": "private",
        "show_progress_on": [stage.frame],
    }
    one_frame = [*media, stage.moment, *overlays, *settings]
    inputs.media.source.change(handlers.preview_source, [inputs.media.source, *overlays, *settings], **preview)
    stage.preview_button.click(handlers.preview, one_frame, **preview)
    stage.frame.select(handlers.pick, stage.scale, [inputs.form.face, inputs.form.point], **AT_ONCE).success(
        handlers.preview, one_frame, **preview
    )
    for overlay in overlays:
        overlay.input(handlers.redraw, overlays, handlers.drawn, **AT_ONCE)
    for shown in (stage.frame.change, stage.speaking.change, stage.sheet.change, stage.stages.expand):
        shown(None, js=_NAME_PICTURES, api_visibility="private")
    stage.generate_button.click(
        handlers.generate,
        [*media, visitor, *settings],
        handlers.watched,
        concurrency_limit=4,
        api_visibility="private",
        show_progress="hidden",
    ).success(None, stage.job, None, js=SHOW_ADDRESS, api_visibility="private")
    # Outside the queue: a queue full of work must not keep anybody from ending it.
    stage.stop_button.click(handlers.stop, [stage.job, visitor], handlers.watched, **UNQUEUED)
    stage.timer.tick(handlers.watch, [stage.job, visitor], handlers.watched, **UNQUEUED)
