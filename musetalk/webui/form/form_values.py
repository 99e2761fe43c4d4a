"""Settings as what the form's widgets hold, the way back from `read`; and what of them is unusual, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from musetalk.enhancers.registry import NONE
from musetalk.settings import PUBLISHED_LOOK, RenderSettings
from musetalk.webui.form.changes import fold_of
from musetalk.webui.form.settings_form import (
    NAMES,
    PICKED,
    POINT,
    RESTORE,
    RESTORER,
    SettingsForm,
    short_label,
)
from musetalk.webui.form.table import WIDGETS
from musetalk.webui.form.widgets import FIELDS, Value

_SHOWN = {"backend", "face", RESTORER, *WIDGETS}
_SERVERS = {name for name, field in FIELDS.items() if field.server_only}


def values_of(settings: RenderSettings) -> dict[str, Value]:
    """Return what the widgets hold where a form says these settings, by name.

    A restorer that is not asked for is left out: its widget may show any.
    """
    plain = _without_the_look(_plain(settings))
    values: dict[str, Value] = {name: widget.held(plain[name]) for name, widget in WIDGETS.items()}
    face, restorer = settings.face, plain[RESTORER]
    values |= {"face": face, POINT: ""} if isinstance(face, str) else {"face": PICKED, POINT: _point(face)}
    values |= {"backend": settings.backend, RESTORE: restorer != NONE}
    if restorer != NONE:
        values[RESTORER] = restorer
    return {name: values[name] for name in NAMES if name in values}


def not_in_form(settings: RenderSettings, widgets: SettingsForm) -> list[str]:
    """Return what is unusual in settings and cannot be shown in the form, by dotted names: only programs set it."""
    held = values_of(settings)
    beyond = [name for name in held if not fits(widgets[name], held[name])]
    return [*_hidden(_plain(settings)), *beyond]


def fits(widget: gr.Component, value: Value) -> bool:
    """Return whether a widget can show a value."""
    if isinstance(widget, gr.Slider | gr.Number):
        low, high = widget.minimum, widget.maximum
        return isinstance(value, int | float) and (low is None or low <= value) and (high is None or value <= high)
    if isinstance(widget, gr.Radio):
        return value in [choice for _, choice in widget.choices]
    if isinstance(widget, gr.Checkbox):
        return isinstance(value, bool)
    return isinstance(value, str)


def titles(widgets: SettingsForm) -> dict[str, str]:
    """Return what the page calls each widget, its fold's label included; to be asked while the page is built.

    A served page's widgets have lost the folds that they are in.
    """
    return {name: _title(widget) for name, widget in widgets.by_name.items()}


def differences(settings: RenderSettings, widgets: SettingsForm, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is not as usual with the same backend: the form's words for it, and for its value.

    Args:
        settings: Of a job.
        widgets: The form.
        titles: Of `titles`.
    """
    usual, held = values_of(RenderSettings(backend=settings.backend)), values_of(settings)
    shown = [
        (titles[name], _choice_words(widgets[name], value))
        for name, value in held.items()
        if usual.get(name) != value and (name, value) not in (("face", PICKED), (RESTORE, True))
    ]
    return shown + [(name, str(value)) for name, value in _hidden(_plain(settings)).items()]


def labels(widgets: SettingsForm) -> dict[str, str]:
    """Return what the page calls settings, by their dotted names."""
    return {name: _title(widgets[name]) for name in (*WIDGETS, RESTORER)}


def _hidden(plain: dict[str, Any]) -> dict[str, Any]:
    """Return what is unusual and has no widget, by dotted names."""
    plain, usual = _without_the_look(plain), _plain(RenderSettings())
    return {name: plain[name] for name in plain if name not in _SHOWN | _SERVERS and plain[name] != usual[name]}


def _point(face: tuple[float, float]) -> str:
    return ", ".join(f"{place:g}" for place in face)


def _without_the_look(plain: dict[str, Any]) -> dict[str, Any]:
    """Settings by dotted names; what the published look decides is as usual, which in a form leaves it to the look."""
    if plain["look"] != "published":
        return plain
    usual = _plain(RenderSettings())
    return plain | {name: usual[name] for name, value in PUBLISHED_LOOK.items() if plain[name] == value}


def _plain(settings: RenderSettings) -> dict[str, Any]:
    """Settings by dotted names."""
    return dict(_leaves(settings.model_dump()))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _title(widget: gr.Component) -> str:
    """Return a widget's label with its fold's, and without the name that its setting has elsewhere."""
    label = short_label(widget)
    fold = fold_of(widget)
    return f"{fold.label}: {label[:1].lower()}{label[1:]}" if fold is not None else f"{label}"


def _choice_words(widget: gr.Component, value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(widget, gr.Radio | gr.Dropdown):
        return str(next((label for label, choice in widget.choices if choice == value), value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)
