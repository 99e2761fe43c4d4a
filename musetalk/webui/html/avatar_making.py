"""Making an avatar on the page: its name, what paints it, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from musetalk.webui.avatars import MakingState
from musetalk.webui.backend_names import titled
from musetalk.webui.html.status import doing, share_done, stage_figures
from musetalk.webui.html.units import sentence

# Listens on the component, which outlives its content. "submit" carries {action, name, backend}. The button that begins
# becomes the one that cancels: the rest of a double click or a held key must not. What this page has made, it chooses.
MAKING_JS = """
let wanted = "";
element.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest("button")) event.preventDefault();
});
element.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter") event.preventDefault();
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, backend } = event.target.elements;
  const { action } = event.target.querySelector("button").dataset;
  const told = action === "cancel" ? element.querySelector(".mt-making").dataset.name : name.value;
  if (action === "make") wanted = told.trim().replace(/\\s+/g, " ");
  trigger("submit", { action, name: told, backend: backend.value });
});
watch("value", () => {
  const { state, name } = element.querySelector(".mt-making").dataset;
  if (state !== "done" || name !== wanted) return;
  wanted = "";
  document.dispatchEvent(new CustomEvent("mt-made", { detail: name }));
});
"""


def making_panel(state: MakingState, backends: Sequence[str], problem: str = "") -> str:
    """Return what an avatar is made with; all texts are escaped.

    Args:
        state: How the present or the last one stands.
        backends: By which one can be made, the one first that is taken unless another is chosen.
        problem: Why what was asked for last could not be done, or the last one failed; empty: all is well.

    Returns:
        HTML for a `gr.HTML(js_on_load=MAKING_JS)`. It has the same elements in every state, so that the page's
        comparison finds each again, and what was typed stays.
    """
    options = "".join(f'<option value="{escape(name)}">{escape(titled(name))}</option>' for name in backends)
    off = " disabled" if state.active else ""
    action, word, style = ("cancel", "Cancel", "") if state.active else ("make", "Make the avatar", " mt-button-main")
    stopping = " disabled" if state.phase == "stopping" else ""
    notes = "".join(f"<li>{escape(sentence(note))}.</li>" for note in state.notes)
    return (
        f'<form class="mt-making" data-state="{state.phase}" data-name="{escape(state.name)}">'
        f'<label>Name<input name="name" maxlength="64" autocomplete="off" required{off}></label>'
        f'<label>Painted by<select name="backend"{off}>{options}</select></label>'
        f'<button type="submit" class="mt-button{style}" data-action="{action}"{stopping}>{word}</button>'
        f'<p class="mt-state" role="status"{_hidden(state.phase == "idle")}>{escape(_said(state))}</p>'
        f"{_progress(state)}"
        f'<p class="mt-problem" role="alert"{_hidden(not problem)}>{escape(problem)}</p>'
        f'<ul class="mt-warnings" aria-label="What to know of it"{_hidden(not notes)}>{notes}</ul></form>'
    )


def _said(state: MakingState) -> str:
    """Return what a screen reader announces; must not change while nothing but the numbers do."""
    return {
        "idle": "",
        "running": f"{state.name}: {doing(state.progress)}",
        "stopping": f"{state.name}: stopping",
        "done": f"{state.name} is there",
        "stopped": f"{state.name} was cancelled, and nothing of it is kept",
        "failed": f"{state.name} could not be made",
    }[state.phase]


def _progress(state: MakingState) -> str:
    share = share_done(state.progress)
    value = "" if share is None else f' aria-valuenow="{int(share * 100)}"'
    fill = " data-unknown" if share is None else f' style="width:{share:.1%}"'
    said = "".join(f"<span>{escape(figure)}</span>" for figure in stage_figures(state.progress))
    return (
        f'<div class="mt-making-progress"{_hidden(not state.active)}>'
        f'<div class="mt-bar" role="progressbar" aria-label="The avatar" aria-valuemin="0" aria-valuemax="100"{value}>'
        f'<div class="mt-bar-fill"{fill}></div></div><p class="mt-set-figures">{said}</p></div>'
    )


def _hidden(hidden: bool) -> str:
    return " hidden" if hidden else ""
