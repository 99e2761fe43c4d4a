"""The Live tab: an avatar speaks in the page while the voice arrives; and one is made for that, or deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import gradio as gr

from musetalk import assets
from musetalk.avatars.store import Entry
from musetalk.errors import JobError, MediaError, MuseTalkError
from musetalk.webui.avatars import Avatars, MakingState
from musetalk.webui.backend_names import titled
from musetalk.webui.html.avatar_making import MAKING_JS, making_panel
from musetalk.webui.html.live_view import CHOICE_JS, LIVE_JS, SWITCHED_OFF, AvatarChoice, choice_html, stage_html
from musetalk.webui.html.plain_words import plain
from musetalk.webui.html.units import sentence
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import EACH, UNQUEUED, Site, anew, in_turn
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.tabs.source_input import build_source
from musetalk.webui.texts import caps

_REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What of the tab is brought up to date: who may be chosen, the fold in which one is made, and a clock meanwhile.

    `acted` is what the last press on this page came to, as JSON.
    """

    choice: gr.HTML
    fold: gr.Accordion
    making: gr.HTML
    timer: gr.Timer
    acted: gr.Textbox

    @property
    def shown(self) -> list[Any]:
        """As outputs of a handler."""
        return [self.choice, self.fold, self.making, self.timer]


class LiveHandlers:
    """Handlers over the avatars, which are the server's: all visitors see the same."""

    def __init__(self, site: Site, avatars: Avatars, parts: LiveParts) -> None:
        self._site, self._avatars, self._parts = site, avatars, parts

    def refresh(self, acted: str) -> Update:
        """Show the avatars as they are now, and go on while one is made; `acted`: as `make` says it."""
        avatars, parts, state = self._avatars, self._parts, self._avatars.state
        choices = [_choice(entry, self._site) for entry in avatars.store.entries()]
        if state.phase == "done" and state.name not in [each.name for each in choices]:
            state = MakingState()  # it was deleted since
        refused = _refused(acted)
        making = refused.get("make") or (refused.get("busy") if state.active else "") or state.error
        return {
            parts.choice: choice_html(choices, own=avatars.allowed, problem=self._plain(refused.get("delete", ""))),
            parts.fold: gr.skip() if choices or state.active else gr.Accordion(open=True),
            parts.making: making_panel(state, avatars.backends(), self._plain(making)),
            parts.timer: gr.Timer(active=state.active),
        }

    def make(self, event: gr.EventData, source: str | None) -> str:
        """Begin to make an avatar of what is held, or cancel that; what is said asks for a refresh.

        Returns:
            JSON: what was not said before, and where it was refused, what and why; "busy": for the time being.
        """
        try:
            if event.action == "cancel":
                self._avatars.cancel(str(event.name))
            else:
                kept = self._site.uploads.kept(source) if source else None
                if kept is None:
                    raise MediaError("there is no source to make it of", "choose a video or a picture first")
                self._avatars.make(" ".join(str(event.name).split()), str(event.backend), kept)
        except JobError as error:
            return _said("busy", error)
        except MuseTalkError as error:
            return _said("make", error)
        return _said()

    def delete(self, event: gr.EventData) -> str:
        """Delete an avatar; what is said asks for a refresh, as by `make`."""
        try:
            self._avatars.delete(str(event.name))
        except MuseTalkError as error:
            return _said("delete", error)
        return _said()

    def _plain(self, error: str) -> str:
        return sentence(plain(error, self._site.reader))


def build_refresher() -> gr.Timer:
    """Build what asks how an avatar stands, where it is called: outside all tabs, whose content may not be there."""
    return gr.Timer(_REFRESH_SECONDS, active=False)


def build_live(site: Site, tab: gr.Tab, looks: MediaLooks, timer: gr.Timer) -> None:
    """Build the tab where it is called. Nothing of it is there before it is opened.

    Args:
        site: Whose avatars.
        tab: This one.
        looks: Of the whole page.
        timer: Of `build_refresher`.
    """
    avatars = site.avatars
    if avatars is None:
        gr.HTML(SWITCHED_OFF)
        return
    choice = gr.HTML("", js_on_load=CHOICE_JS, apply_default_css=False, elem_id="live-avatar")
    with gr.Accordion("Make an avatar", open=False, elem_classes="mt-making-fold") as fold:
        source = build_source(site, looks)
        gr.Markdown(caps(site.base.limits), elem_classes="caps")
        gr.Examples(
            [[str(assets.SAMPLE)], [str(assets.PORTRAIT)]],
            [source.file],
            label="Or try",
            example_labels=["Sample video", "Portrait"],
            api_visibility="private",
        )
        making = gr.HTML("", js_on_load=MAKING_JS, apply_default_css=False)
    gr.HTML(stage_html(), js_on_load=LIVE_JS, apply_default_css=False, elem_id="live")
    parts = LiveParts(choice, fold, making, timer, gr.Textbox(visible="hidden", label="acted"))
    handlers = LiveHandlers(site, avatars, parts)
    asked = [choice.submit, tab.select, timer.tick, parts.acted.change]
    in_turn(asked, handlers.refresh, parts.acted, parts.shown, **UNQUEUED)
    making.submit(handlers.make, source.file, parts.acted, **EACH)
    choice.delete(handlers.delete, None, parts.acted, **EACH)


def _said(action: str = "", error: MuseTalkError | None = None) -> str:
    return json.dumps({"turn": anew(), **({} if error is None else {action: str(error)})})


def _refused(acted: str) -> dict[str, str]:
    """Return what was refused on this page last, and why; `acted`: the browser's word."""
    try:
        return {str(name): str(why) for name, why in dict(json.loads(acted or "{}")).items()}
    except (ValueError, TypeError):
        return {}


def _choice(entry: Entry, site: Site) -> AvatarChoice:
    name, manifest = entry.folder.name, entry.manifest
    if manifest is None:
        return AvatarChoice(name, "", plain(entry.problem, site.reader))
    source, backend = manifest.source, manifest.backends[0].name
    length = "a picture" if source.frames == 1 else f"{float(source.frames / Fraction(source.fps)):.1f} s"
    return AvatarChoice(name, f"{source.width} \u00d7 {source.height}, {length}, {titled(backend)}")
