"""The Compare tab: the same source and voice through several backends, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from musetalk.webui.compare_handlers import CompareHandlers, choices
from musetalk.webui.compare_stage import CompareStage, build_compare_stage
from musetalk.webui.dub import build_media
from musetalk.webui.form import LATENTSYNC, MUSETALK, SettingsForm
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site
from musetalk.webui.watching import SHOW_ADDRESS

_SETTINGS = (
    "All settings are the Dub tab's, those of its folds included; only the backend changes. Faces are found once, and "
    "the backends render one after the other."
)


def build_compare(
    site: Site, visitor: gr.BrowserState, header: gr.HTML, tab: gr.Tab, settings: SettingsForm
) -> CompareHandlers:
    """Build the tab where it is called; what the other parts of the page need of it comes back."""
    names, lacking = choices(site)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            source, voice = build_media(site)
            backends = gr.CheckboxGroup(
                names, value=_first(names), label="Backends", info="Two or more", elem_classes="compared"
            )
            lacks = gr.HTML(lacking)
            gr.Markdown(_SETTINGS, elem_classes="caps")
        with gr.Column(scale=3, min_width=320, elem_classes="stage"):
            stage = build_compare_stage(header)
    handlers = CompareHandlers(site, stage, backends, lacks)
    tab.select(handlers.refresh, None, handlers.choice, **UNQUEUED)
    stage.compare_button.click(
        handlers.compare,
        [source, voice, visitor, backends, *settings.widgets],
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
    shown: dict[str, Any] = {**AT_ONCE, "concurrency_limit": 2, "trigger_mode": "always_last"}
    for widget in (stage.frame, stage.left, stage.right):
        widget.input(
            handlers.show_pair, [stage.job, visitor, stage.frame, stage.left, stage.right], stage.pair, **shown
        )


def _first(names: Sequence[str]) -> list[str]:
    """What is chosen at first: one of MuseTalk's and one of LatentSync's; where there are not both, the first two."""
    families = [next((name for name in names if name.startswith(family)), "") for family in (MUSETALK, LATENTSYNC)]
    return families if all(families) else [*names[:2]]
