"""The Models tab: what each backend needs, whether it is there, and how it gets there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import gradio as gr

from musetalk.errors import JobError, MuseTalkError
from musetalk.webui.downloads import WeightSet, switched_off
from musetalk.webui.form.backend_picker import DOWNLOADS_JS, backend_cards, fallback_choice, picker_entries
from musetalk.webui.html.models import ModelRow, ModelSet, models_panel
from musetalk.webui.html.plain_words import plain
from musetalk.webui.site import EACH, Site, anew, in_turn
from musetalk.weights import WeightFile, lacking, left

Update: TypeAlias = dict[Any, Any]
_REFRESH_SECONDS = 1.0


class ModelsHandlers:
    """Handlers over the list; the downloads are the server's, so all visitors see the same."""

    def __init__(self, site: Site, listing: gr.HTML, timer: gr.Timer, picker: gr.HTML) -> None:
        self._site = site
        self._listing = listing
        self._timer = timer
        self._picker = picker

    def refresh(self, acted: str) -> Update:
        """Show the list and the cards as they are now, and go on while a download runs; `acted`: as `act` says it."""
        site, state = self._site, self._site.downloads.state
        problems = problems_of(site, acted)
        entries = picker_entries(site.engine, site.base, site.downloads.allowed)
        return {
            self._listing: panel(site, problems),
            self._timer: gr.Timer(active=state.active),
            self._picker: gr.HTML(cards=backend_cards(entries, site.base.backend, state, problems)),
        }

    def act(self, event: gr.EventData) -> str:
        """Start or cancel the download whose button was pressed; what is said asks for a refresh.

        Returns:
            JSON: what was not said before, and where it was refused, of which set, why, and whether for the time being.
        """
        told: dict[str, Any] = {"turn": anew(), "set": str(event.set)}
        try:
            if event.action == "download":
                self._site.downloads.start(str(event.set))
            elif event.action == "cancel":
                self._site.downloads.cancel(str(event.set))
        except MuseTalkError as error:
            told |= {"said": str(error), "busy": isinstance(error, JobError)}
        return json.dumps(told)


def build_refresher() -> gr.Timer:
    """Build what asks how a download stands, where it is called: outside all tabs, whose content may not be there."""
    return gr.Timer(_REFRESH_SECONDS, active=False)


def build_models(
    site: Site, page: gr.Blocks, tab: gr.Tab, picker_tab: gr.Tab, picker: gr.HTML, timer: gr.Timer
) -> None:
    """Build the tab where it is called.

    Args:
        site: Whose weights.
        page: What it was built with may be old when it opens.
        tab: This one.
        picker_tab: Where backends are chosen.
        picker: By whose cards; they start downloads as well.
        timer: Of `build_refresher`.
    """
    listing = gr.HTML(panel(site), js_on_load=DOWNLOADS_JS, elem_id="models")
    acted = gr.Textbox(visible="hidden", label="acted")
    handlers = ModelsHandlers(site, listing, timer, picker)
    asked = [page.load, tab.select, picker_tab.select, timer.tick, acted.change]
    in_turn(asked, handlers.refresh, acted, [listing, timer, picker])
    for buttons in (listing, picker):
        buttons.submit(handlers.act, None, acted, **EACH)


def panel(site: Site, problems: Mapping[str, str] | None = None) -> str:
    """Return the list as it is now; `problems`: what went wrong, by set, where that is not what the downloads say."""
    downloads = site.downloads
    users = Counter(file for each in downloads.sets for file in set(each.files))
    shared = [file for file in dict.fromkeys(file for each in downloads.sets for file in each.files) if users[file] > 1]
    rows = [_row(site, file, tuple(each.name for each in downloads.sets if file in each.files)) for file in shared]
    sets = [_model_set(site, each, set(shared)) for each in downloads.sets]
    refusal, reader = "", site.reader
    if not downloads.allowed and any(each.absent for each in sets):
        refusal = plain(f"visitors cannot download here: {switched_off(downloads.sets[0].name)}", reader)
    said = problems_of(site) if problems is None else problems
    return models_panel(sets, rows, site.downloads.state, refusal, said)


def problems_of(site: Site, acted: str = "") -> dict[str, str]:
    """Return why downloads failed, or the last one was refused on this page, by set, in words for who reads it.

    Args:
        site: Whose downloads.
        acted: As `ModelsHandlers.act` says it; the browser's word.
    """
    errors = site.downloads.errors
    try:
        told = dict(json.loads(acted or "{}"))
    except (ValueError, TypeError):
        told = {}
    refused, busy = str(told.get("set", "")), bool(told.get("busy"))
    if told.get("said") and (not busy or site.downloads.state.active):
        errors[refused] = str(told["said"])
    return {name: plain(error, site.reader) for name, error in errors.items()}


def _model_set(site: Site, each: WeightSet, shared: set[WeightFile]) -> ModelSet:
    models_dir = site.base.models_dir
    states = {file: file.state(models_dir) for file in each.files}
    missing = [file for file, state in states.items() if state == "missing"]
    damaged = [file for file, state in states.items() if state == "damaged"]
    backend = next((backend for backend in site.engine.registry if backend.name == each.name), None)
    usable = not (missing or damaged if backend is None else backend.configured(site.base).lacks())
    return ModelSet(
        name=each.name,
        summary=each.summary,
        rows=tuple(_row(site, file) for file in each.files if file not in shared),
        licences=tuple(dict.fromkeys(file.licence for file in each.files)),
        size=_size(each.files),
        shared=_size(file for file in each.files if file in shared),
        left=left(missing, models_dir),
        missing=_size(missing),
        exact=all(file.size is not None for file in missing),
        absent=len(missing),
        usable=usable,
        problems=tuple(plain(line, site.reader) for line in lacking(damaged, models_dir, each.name)),
        instead="" if usable or backend is None else fallback_choice(site.engine.registry, backend.name, site.base),
    )


def _row(site: Site, file: WeightFile, used_by: tuple[str, ...] = ()) -> ModelRow:
    return ModelRow(
        file=str(file.path),
        state=file.state(site.base.models_dir),
        size=file.size or 0,
        licence=file.licence,
        source=file.source,
        used_by=used_by,
    )


def _size(files: Iterable[WeightFile]) -> int:
    return sum(file.size or 0 for file in files)
