"""Settings as what the form's widgets hold, the way back from `read`; and what of them is unusual, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk.enhancers.registry import NONE
from musetalk.settings import PUBLISHED_LOOK, RenderSettings
from musetalk.webui.form.changes import fold_of
from musetalk.webui.form.settings_form import (
    ENHANCE,
    ENHANCER,
    NAMES,
    PICKED,
    POINT,
    SettingsForm,
    short_label,
)
from musetalk.webui.form.table import WIDGETS
from musetalk.webui.form.widgets import FIELDS, Value

_SHOWN = {"backend", "face", ENHANCER, *WIDGETS}
_SERVERS = {name for name, field in FIELDS.items() if field.server_only}


@dataclass(frozen=True, slots=True)
class FormValues:
    """Settings as a form has them.

    Attributes:
        shown: What the widgets hold, by name. An enhancer that is not asked for is left out: its widget may show any.
        hidden: What is unusual and has no widget, by dotted names: only programs set it.
    """

    shown: dict[str, Value]
    hidden: dict[str, Any]


def values_of(settings: RenderSettings) -> FormValues:
    """Return settings as a form has them."""
    plain = _without_the_look(settings.by_name())
    values: dict[str, Value] = {
        name: widget.held(plain.get(name, FIELDS[name].default)) for name, widget in WIDGETS.items()
    }
    face, enhancer = settings.face, plain[ENHANCER]
    values |= {"face": face, POINT: ""} if isinstance(face, str) else {"face": PICKED, POINT: _point(face)}
    values |= {"backend": settings.backend, ENHANCE: enhancer != NONE}
    if enhancer != NONE:
        values[ENHANCER] = enhancer
    return FormValues({name: values[name] for name in NAMES if name in values}, _hidden(plain))


def not_in_form(values: FormValues, widgets: SettingsForm) -> list[str]:
    """Return what is unusual in settings and cannot be shown in the form, by dotted names."""
    beyond = [name for name, value in values.shown.items() if not fits(widgets[name], value)]
    return [*values.hidden, *beyond]


def fits(widget: gr.Component, value: Value) -> bool:
    """Return whether a widget can show a value."""
    if isinstance(widget, gr.Slider | gr.Number):
        low, high = widget.minimum, widget.maximum
        return isinstance(value, int | float) and (low is None or low <= value) and (high is None or value <= high)
    if isinstance(widget, gr.Radio):
        return value in [choice for _, choice in widget.choices]
    if isinstance(widget, gr.Checkbox):
        return isinstance(value, bool)
    return isinstance(value, list if isinstance(widget, gr.Dropdown) and widget.multiselect else str)


def titles(widgets: SettingsForm) -> dict[str, str]:
    """Return what the page calls each widget, its fold's label included; to be asked while the page is built.

    A served page's widgets have lost the folds that they are in.
    """
    return {name: _title(widget) for name, widget in widgets.by_name.items()}


def differences(values: FormValues, widgets: SettingsForm, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is not as usual with the same backend: the form's words for it, and for its value.

    Args:
        values: Of a job.
        widgets: The form.
        titles: Of `titles`.
    """
    usual = values_of(RenderSettings(backend=str(values.shown["backend"]))).shown
    shown = [
        (titles[name], _choice_words(widgets[name], value))
        for name, value in values.shown.items()
        if usual.get(name) != value and (name, value) not in (("face", PICKED), (ENHANCE, True))
    ]
    return shown + [(name, str(value)) for name, value in values.hidden.items()]


def labels(widgets: SettingsForm) -> dict[str, str]:
    """Return what the page calls settings, by their dotted names."""
    return {name: _title(widgets[name]) for name in (*WIDGETS, ENHANCER)}


def _hidden(plain: dict[str, Any]) -> dict[str, Any]:
    """Return what is unusual and has no widget, by dotted names."""
    usual = RenderSettings().by_name()
    return {name: plain[name] for name in plain if name not in _SHOWN | _SERVERS and plain[name] != usual.get(name)}


def _point(face: tuple[float, float]) -> str:
    return ", ".join(f"{place:g}" for place in face)


def _without_the_look(plain: dict[str, Any]) -> dict[str, Any]:
    """Settings by dotted names; what the published look decides is as usual, which in a form leaves it to the look."""
    if plain["look"] != "published":
        return plain
    usual = RenderSettings().by_name()
    return plain | {name: usual[name] for name, value in PUBLISHED_LOOK.items() if plain[name] == value}


def _title(widget: gr.Component) -> str:
    """Return a widget's label with its fold's, and without the name that its setting has elsewhere."""
    label = short_label(widget)
    fold = fold_of(widget)
    return f"{fold.label}: {label[:1].lower()}{label[1:]}" if fold is not None else f"{label}"


def _choice_words(widget: gr.Component, value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(widget, gr.Radio | gr.Dropdown) and not isinstance(value, list):
        return str(next((label for label, choice in widget.choices if choice == value), value))
    if isinstance(value, list):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)
