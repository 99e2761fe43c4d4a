"""The Compare tab: the same source and voice through several backends, side by side."""

from __future__ import annotations

from typing import Any

import gradio as gr

from musetalk.webui.compare_handlers import CompareHandlers, choices, first_of
from musetalk.webui.compare_stage import CompareStage, build_compare_stage
from musetalk.webui.dub import build_media
from musetalk.webui.dub_handlers import DubHandlers
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site
from musetalk.webui.watching import SHOW_ADDRESS

_SETTINGS = (
    "All settings are the Dub tab's, those of its folds included; only the backend changes. Faces are found once, and "
    "the backends render one after the other."
)


# Gradio gives pictures that are compared neither a name nor a text.
_NAME_PICTURES = """() => requestAnimationFrame(() => {
  const said = document.querySelector("#pair-caption")?.innerText.split(" | ") ?? [];
  const pictures = document.querySelectorAll("#pair [data-testid=imageslider-image]");
  pictures.forEach((picture, side) => (picture.alt = said[side] ?? ""));
})"""


def build_compare(
    site: Site, visitor: gr.BrowserState, header: gr.HTML, tab: gr.Tab, dub: DubHandlers
) -> CompareHandlers:
    """Build the tab where it is called, which goes by the settings of `dub`; what other parts need of it comes back."""
    names, lacking = choices(site)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            source, voice = build_media(site)
            backends = gr.CheckboxGroup(
                names, value=first_of(names), label="Backends", info="Two or more", elem_classes="compared"
            )
            lacks = gr.HTML(lacking)
            gr.Markdown(_SETTINGS, elem_classes="caps")
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            stage = build_compare_stage(header, [backend.name for backend in site.engine.registry])
    handlers = CompareHandlers(site, stage, backends, lacks)
    # Not checked against what could be chosen before: that is what it is about.
    tab.select(handlers.refresh, backends, handlers.choice, preprocess=False, **UNQUEUED)
    stage.compare_button.click(
        handlers.compare,
        [source, voice, visitor, backends, dub.source, *dub.form.widgets],
        handlers.watched,
        concurrency_limit=4,
        api_visibility="private",
        show_progress="hidden",
    ).success(None, stage.job, None, js=SHOW_ADDRESS, api_visibility="private")
    _wire(handlers, stage, visitor)
    return handlers


def _wire(handlers: CompareHandlers, stage: CompareStage, visitor: gr.BrowserState) -> None:
    stage.stop_button.click(handlers.stop, [stage.job, visitor], handlers.watched, **UNQUEUED)
    stage.timer.tick(handlers.watch, [stage.job, visitor], handlers.watched, **UNQUEUED)
    # In the queue and a few at a time: each decodes two frames.
    shown: dict[str, Any] = {
        "inputs": [stage.job, visitor, stage.frame, stage.left, stage.right],
        "outputs": handlers.seen,
        **AT_ONCE,
        "concurrency_limit": 2,
        "trigger_mode": "always_last",
    }
    for happens in (stage.due.change, stage.frame.input, stage.left.input):
        happens(handlers.show_pair, **shown)
    stage.right.input(handlers.show_right, **shown)
    stage.pair.change(None, js=_NAME_PICTURES, api_visibility="private")
