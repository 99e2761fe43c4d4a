"""Which settings are not as usual: said by their folds and by the button that resets them, without the server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import gradio as gr

from musetalk.webui.form.settings_form import ENHANCE, ENHANCER, PICKED, POINT, TOLD, SettingsForm

RESET = "Reset all"
_KEPT = "backend"  # chosen on cards, which show what is chosen
# Settings that say nothing unless another has a certain value.
_UNLESS = {POINT: ("face", PICKED), ENHANCER: (ENHANCE, True)}

_COUNT = """(...values) => {
  %s
  const { usual, folds, labels, unless, reset } = %s;
  const counts = (at) => !(at in unless) || told(values[unless[at][0]]) === told(unless[at][1]);
  const changed = usual.map((_, at) => at).filter((at) => counts(at) && told(values[at]) !== told(usual[at]));
  const said = (text, number) => (number ? `${text} (${number} changed)` : text);
  const update = (props) => ({ __type__: "update", ...props });
  const each = labels.map((label, fold) =>
    update({ label: said(label, changed.filter((at) => folds[at] === fold).length) }));
  return [...each, update({ value: said(reset, changed.length), interactive: changed.length > 0 })];
}"""


def build_reset() -> gr.Button:
    """Build the button where it is called."""
    return gr.Button(RESET, size="sm", interactive=False, elem_id="reset")


def wire_changes(settings: SettingsForm, reset: gr.Button, triggers: Iterable[Any] = ()) -> None:
    """Let folds and button say how many of their settings are not as they are at first, and let the button reset them.

    Args:
        settings: The form.
        reset: Of `build_reset`.
        triggers: Events after which the server may have set the form: what was never opened tells of no change itself.
    """
    widgets = {name: widget for name, widget in settings.by_name.items() if name != _KEPT}
    inputs = list(widgets.values())
    folds = list(dict.fromkeys(fold for fold in map(fold_of, inputs) if fold is not None))
    outputs = [*folds, reset]
    count = _COUNT % (TOLD, json.dumps(_facts(widgets, folds)))
    changes = [*(widget.change for widget in inputs), *triggers]
    gr.on(changes, None, inputs, outputs, js=count, api_visibility="private")
    usual = json.dumps([widget.value for widget in inputs])
    put_back = reset.click(None, None, inputs, js=f"() => {usual}", api_visibility="private")
    put_back.then(None, inputs, outputs, js=count, api_visibility="private")


def fold_of(widget: Any) -> gr.Accordion | None:  # noqa: ANN401 - any of Gradio's blocks
    """Return the fold that a widget is in; None: it is in the open."""
    fold = widget.parent
    while fold is not None and not isinstance(fold, gr.Accordion):
        fold = fold.parent
    return fold


def _facts(widgets: dict[str, Any], folds: list[gr.Accordion]) -> dict[str, Any]:
    """Return what the page has to know, by position in the list of widgets."""
    names, within = list(widgets), [fold_of(widget) for widget in widgets.values()]
    return {
        "usual": [widget.value for widget in widgets.values()],
        "folds": [-1 if fold is None else folds.index(fold) for fold in within],
        "labels": [fold.label for fold in folds],
        "unless": {names.index(name): (names.index(other), value) for name, (other, value) in _UNLESS.items()},
        "reset": RESET,
    }
