"""The Live tab: an avatar speaks in the page while the voice arrives."""

from __future__ import annotations

from fractions import Fraction

import gradio as gr

from musetalk.avatars.store import Entry
from musetalk.webui.backend_names import titled
from musetalk.webui.html.live_view import CHOICE_JS, LIVE_JS, SWITCHED_OFF, AvatarChoice, choice_html, stage_html
from musetalk.webui.html.plain_words import plain
from musetalk.webui.site import UNQUEUED, Site, in_turn


def build_live(site: Site, tab: gr.Tab) -> None:
    """Build it where it is called; `tab` is this one. Nothing of it is there before it is opened."""
    avatars = site.avatars
    if avatars is None:
        gr.HTML(SWITCHED_OFF)
        return

    def choices() -> str:
        return choice_html([_choice(entry, site) for entry in avatars.entries()])

    choice = gr.HTML("", js_on_load=CHOICE_JS, apply_default_css=False, elem_id="live-avatar")
    gr.HTML(stage_html(), js_on_load=LIVE_JS, apply_default_css=False, elem_id="live")
    in_turn([choice.submit, tab.select], choices, None, choice, **UNQUEUED)


def _choice(entry: Entry, site: Site) -> AvatarChoice:
    name, manifest = entry.folder.name, entry.manifest
    if manifest is None:
        return AvatarChoice(name, "", plain(entry.problem, site.reader))
    source, backend = manifest.source, manifest.backends[0].name
    length = "a picture" if source.frames == 1 else f"{float(source.frames / Fraction(source.fps)):.1f} s"
    return AvatarChoice(name, f"{source.width} \u00d7 {source.height}, {length}, {titled(backend)}")
