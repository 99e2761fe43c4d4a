"""The choice of a backend as cards: native radio buttons, so that keyboards and screen readers know what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

import gradio as gr

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend
from musetalk.lipsync import LipSync
from musetalk.settings import AUTO, RenderSettings
from musetalk.webui.backend_names import summary_of, titled
from musetalk.webui.downloads import DownloadState
from musetalk.webui.html.card_weights import CardWeights, announced, state_said, weights_part
from musetalk.webui.html.plain_words import Reader, plain
from musetalk.webui.html.units import sentence
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
# The button that starts a download becomes the one that cancels it: the second half of a double click must not.
DOWNLOADS_JS = """
// Where a double click or a held key has begun something, the rest of it does not press the button that came instead.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button && event.detail < 2) trigger("submit", { action: button.dataset.action, set: button.dataset.set });
});
element.addEventListener("keydown", (event) => {
  if (event.repeat && event.target.matches("button[data-action]")) event.preventDefault();
});
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
        weights: What its card says of them.
        groups: Which settings are shown with it (see `BackendSpec.groups`).
        state: What its card says in the place of whether it is ready; empty: that.
    """

    name: str
    summary: str
    lacks: tuple[str, ...]
    download: str = ""
    instead: str = ""
    weights: CardWeights = field(default_factory=CardWeights)
    groups: frozenset[str] = frozenset()
    state: str = ""

    @property
    def choosable(self) -> bool:
        """Whether a render with it can begin, whoever paints."""
        return not self.lacks or bool(self.instead)


def backend_entries(backends: Iterable[AnyBackend], base: RenderSettings, downloads: bool) -> list[BackendEntry]:
    """Return what there is to choose now.

    Args:
        backends: In the order in which they are shown; each may be the fallback of another.
        base: Settings that visitors cannot change: where weights are.
        downloads: Whether visitors may download them.
    """
    registry, entries = BackendRegistry(tuple(backends)), []
    for backend in registry:
        lacks = backend.configured(base).lacks()
        weights = _weights(backend, base, downloads) if lacks else CardWeights()
        size = readable_size(weights.left) if weights.left and downloads else ""
        instead = fallback_choice(registry, backend.name, base) if lacks else ""
        said = tuple(plain(line, Reader(downloads=downloads)) for line in lacks)
        entries.append(BackendEntry(backend.name, backend.summary, said, size, instead, weights, backend.groups))
    return entries


def picker_entries(engine: LipSync, base: RenderSettings, downloads: bool) -> list[BackendEntry]:
    """Return what there is to choose now for a render: `auto`, and each of the backends; as for `backend_entries`."""
    entries = backend_entries(engine.registry, base, downloads)
    choice = engine.choose(base.with_backend(AUTO))
    groups = next(entry.groups for entry in entries if entry.name == choice.backend)
    summary = f"The best backend that is ready and quick enough here. {sentence(choice.reason(titled))}"
    return [BackendEntry(AUTO, summary, (), groups=groups, state=f"Now {titled(choice.backend)}"), *entries]


def lacking_list(entries: Sequence[BackendEntry], ready: Sequence[str]) -> str:
    """Return the backends that cannot be compared here, each with what it lacks; all texts are escaped.

    Args:
        entries: Of these backends.
        ready: Names of the others; fewer than two are no comparison.
    """
    items = "".join(
        f"<li><b>{escape(titled(entry.name))}</b> {escape('; '.join(map(sentence, entry.lacks)))}</li>"
        for entry in entries
    )
    if not items:
        return ""
    names = escape(", ".join(titled(entry.name) for entry in entries))
    lacking = f'<details class="mt-unready"><summary>Not ready here: {names}</summary><ul>{items}</ul></details>'
    if len(ready) > 1:
        return lacking
    only = f"only {escape(titled(ready[0]))} is ready" if ready else "none is ready"
    sizes = "".join(
        f"<li>{escape(titled(entry.name))} ({escape(entry.download)} to download)</li>"
        for entry in entries
        if entry.download
    )
    where = "The Models tab gets another one:" if sizes else "Another one needs its weights on the server, see Models."
    return (
        f'<div class="mt-too-few" role="note"><p>A comparison takes two backends, and {only} here. {where}</p>'
        f"<ul>{sizes}</ul>"
        f'<button type="button" class="mt-link" data-tab="Models">Open Models</button></div>{lacking}'
    )


def _weights(backend: AnyBackend, base: RenderSettings, downloads: bool) -> CardWeights:
    states = [(file, file.state(base.models_dir)) for file in dict.fromkeys(backend.weights)]
    to_come = left(backend.weights, base.models_dir)
    return CardWeights(
        missing=sum(state == "missing" for _, state in states),
        left=to_come,
        begun=to_come < sum(file.size or 0 for file, state in states if state != "ready"),
        damaged=sum(state == "damaged" for _, state in states),
        offered=downloads,
    )


def fallback_choice(registry: BackendRegistry, name: str, base: RenderSettings) -> str:
    """Return the name of who would paint in the place of a backend, as settings are at first; empty: nobody."""
    fallback = registry.configured(base.with_backend(name)).fallback
    return fallback.name if fallback else ""


def backend_picker(entries: Sequence[BackendEntry], value: str) -> gr.HTML:
    """Return a component whose value is the chosen backend's name, as an input and as an output.

    To show other cards later, return `gr.HTML(cards=backend_cards(entries, value), value=value)` from a handler;
    without a value, what was chosen stays. As with every input, what arrives in a handler is the browser's word: look
    the name up before using it. Its "submit" asks for a download or its end: {action, set}.

    Args:
        entries: In the order in which they are shown; those that lack something cannot be chosen, unless another
            would paint in their place.
        value: Chosen at first.
    """
    return gr.HTML(
        value=value,
        html_template="${cards}",
        js_on_load=_JS + LINK_TO_TAB + DOWNLOADS_JS,
        apply_default_css=False,
        elem_classes="mt-picker",
        cards=backend_cards(entries, value),
    )


def backend_cards(
    entries: Sequence[BackendEntry],
    value: str,
    download: DownloadState | None = None,
    errors: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the cards as HTML; names and messages are escaped.

    Args:
        entries: As for `backend_picker`.
        value: What was chosen at first.
        download: The present or the last one.
        errors: Why weights could not be downloaded when that was asked for last, by backend.
    """
    now = download or DownloadState()
    cards = "".join(
        _card(index, entry, entry.name == value, now, errors.get(entry.name, "")) for index, entry in enumerate(entries)
    )
    live = f'<p class="mt-unseen" role="status">{escape(announced(now))}</p>'
    return f'<fieldset class="mt-backends"><legend>Backend</legend>{cards}{live}</fieldset>'


def _card(index: int, entry: BackendEntry, chosen: bool, download: DownloadState, error: str) -> str:
    described = f"mt-backend-{index}"
    flags = (" checked" if chosen else "") + ("" if entry.choosable else " disabled")
    state, tone = state_said(entry.weights, entry.lacks[0] if entry.lacks else "", titled(entry.instead))
    state = entry.state or state
    summary = sentence(summary_of(entry.name, entry.summary))
    return (
        f'<div class="mt-backend"><label><input type="radio" name="mt-backend" value="{escape(entry.name)}" '
        f'data-groups="{" ".join(sorted(entry.groups))}" aria-describedby="{described}"{flags}>'
        f'<span class="mt-backend-name">{escape(titled(entry.name))}</span>'
        f'<span class="mt-backend-state" data-tone="{tone}">{escape(state)}</span></label>'
        f'<div class="mt-backend-text" id="{described}"><p>{escape(summary)}</p></div>'
        f"{weights_part(entry.name, entry.weights, download, error)}</div>"
    )
