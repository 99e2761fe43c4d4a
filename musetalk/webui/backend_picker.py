"""The choice of a backend as cards: native radio buttons, so that keyboards and screen readers know what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr

from musetalk.generators.registry import Backend, BackendRegistry
from musetalk.settings import RenderSettings
from musetalk.webui.plain_words import Reader, plain
from musetalk.webui.units import sentence
from musetalk.weights import left, readable_size

# Opens the tab that a link of this component names.
LINK_TO_TAB = """
element.addEventListener("click", (event) => {
  const link = event.target.closest("[data-tab]");
  if (!link) return;
  const tab = [...document.querySelectorAll('[role="tab"]')].find((tab) => tab.innerText.trim() === link.dataset.tab);
  tab?.click();
  tab?.focus();
});
"""
# Setting the value is all it takes: Gradio sends "change" by itself, here and where a handler sets it. Once a person
# has clicked, the "checked" attribute no longer says which button is on, so it is set after every update.
_JS = """
const show = () => {
  for (const input of element.querySelectorAll("input[type=radio]")) input.checked = input.value === props.value;
};
element.addEventListener("change", (event) => {
  if (event.target.type !== "radio") return;
  props.value = event.target.value;
  trigger("input");
});
watch(["value", "cards"], show);
show();
"""


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """One backend to choose.

    Attributes:
        name: As settings name it.
        summary: One line for people who choose.
        lacks: What is missing to run it, one line each with the remedy; empty: ready.
        download: How much the Models tab would download to make it ready, for people; empty: nothing.
        instead: The backend that would paint in its place while it lacks something; empty: none would.
    """

    name: str
    summary: str
    lacks: tuple[str, ...]
    download: str = ""
    instead: str = ""

    @property
    def choosable(self) -> bool:
        """Whether a render with it can begin, whoever paints."""
        return not self.lacks or bool(self.instead)


def backend_entries(backends: Iterable[Backend], base: RenderSettings, downloads: bool) -> list[BackendEntry]:
    """What there is to choose now.

    Args:
        backends: In the order in which they are shown; each may be the understudy of another.
        base: Settings that visitors cannot change: where weights are.
        downloads: Whether visitors may download them.
    """
    registry, entries = BackendRegistry(tuple(backends)), []
    for backend in registry:
        lacks = backend.lacks(base)
        size = left(backend.weights, base.models_dir) if lacks and downloads else 0
        instead = stand_in(registry, backend.name, base) if lacks else ""
        said = tuple(plain(line, Reader(downloads=downloads)) for line in lacks)
        entries.append(BackendEntry(backend.name, backend.summary, said, readable_size(size) if size else "", instead))
    return entries


def stand_in(registry: BackendRegistry, name: str, base: RenderSettings) -> str:
    """The name of who would paint in the place of a backend, as settings are at first; empty: nobody."""
    understudy = registry.understudy(base.model_copy(update={"backend": name}))
    return understudy.name if understudy else ""


def backend_picker(entries: Sequence[BackendEntry], value: str) -> gr.HTML:
    """A component whose value is the chosen backend's name, as an input and as an output.

    To show other cards later, return `gr.HTML(cards=backend_cards(entries, value), value=value)` from a handler;
    without a value, what was chosen stays. As with every input, what arrives in a handler is the browser's word: look
    the name up before using it.

    Args:
        entries: In the order in which they are shown; those that lack something cannot be chosen, unless another
            would paint in their place.
        value: Chosen at first.
    """
    return gr.HTML(
        value=value,
        html_template="${cards}",
        js_on_load=_JS + LINK_TO_TAB,
        apply_default_css=False,
        elem_classes="mt-picker",
        cards=backend_cards(entries, value),
    )


def backend_cards(entries: Sequence[BackendEntry], value: str) -> str:
    """The cards as HTML; names and messages are escaped."""
    cards = "".join(_card(index, entry, entry.name == value) for index, entry in enumerate(entries))
    return f'<fieldset class="mt-backends"><legend>Backend</legend>{cards}</fieldset>'


def _card(index: int, entry: BackendEntry, chosen: bool) -> str:
    described = f"mt-backend-{index}"
    flags = (" checked" if chosen else "") + ("" if entry.choosable else " disabled")
    lacks = "".join(f"<li>{escape(sentence(line))}</li>" for line in entry.lacks)
    state = f'<ul class="mt-lacks">{lacks}</ul>' if lacks else ""
    if entry.download:
        size = f"Download in the Models tab ({escape(entry.download)})"
        state += f'<button type="button" class="mt-link" data-tab="Models">{size}</button>'
    ready, tone = ("Ready", "ok") if not entry.lacks else ("Unavailable", "")
    if entry.lacks and entry.instead:
        ready, tone = f"Weights missing: {entry.instead} can paint instead", "warn"
    return (
        f'<div class="mt-backend"><label><input type="radio" name="mt-backend" value="{escape(entry.name)}" '
        f'aria-describedby="{described}"{flags}><span class="mt-backend-name">{escape(entry.name)}</span>'
        f'<span class="mt-backend-state" data-tone="{tone}">{escape(ready)}</span></label>'
        f'<div class="mt-backend-text" id="{described}"><p>{escape(sentence(entry.summary))}</p>{state}</div></div>'
    )
