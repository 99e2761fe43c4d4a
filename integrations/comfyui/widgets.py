"""Widgets that are settings: made of the settings' own fields, as the command line's options and the form are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from musetalk.settings import (
    AUTO,
    RenderSettings,
    SettingField,
    current_names,
    merge_settings,
    nested,
    setting_fields,
    written_settings,
)

Widget: TypeAlias = tuple[Any, dict[str, Any]]  # a type of ComfyUI's, or a list of words; and its options
Chosen: TypeAlias = Mapping[str, Any]  # settings that differ from the usual, by dotted names

FIELDS: Mapping[str, SettingField] = MappingProxyType({each.name: each for each in setting_fields(RenderSettings)})
BACKEND = FIELDS["backend"]
_STEP = 0.01
_MOST = 2**31 - 1  # without a bound, ComfyUI's page takes one of its own


def panels() -> dict[str, tuple[SettingField, ...]]:
    """Return the settings by their themes, without those that say where a machine reads and writes.

    The backend is not among them: it has a widget of its own.
    """
    shown = [field for field in FIELDS.values() if not field.server_only and field is not BACKEND]
    return {
        panel: tuple(field for field in shown if field.panel == panel)
        for panel in dict.fromkeys(field.panel for field in shown)
    }


def widget_name(field: SettingField) -> str:
    """Return what a setting's widget is called: as its option."""
    return field.flag.lstrip("-").replace("-", "_")


def widget(field: SettingField) -> Widget:
    """Return a setting's widget, as ComfyUI's `INPUT_TYPES` have it."""
    options: dict[str, Any] = {"default": _held(field, field.default), "tooltip": field.help}
    if words := _words(field):
        return words, options
    if field.kind is bool:
        return "BOOLEAN", options
    if field.kind in (int, float) and field.default is not None:
        return ("INT" if field.kind is int else "FLOAT"), options | _range(field)
    return "STRING", options | {"multiline": field.many, "placeholder": field.unset or field.words}


def _words(field: SettingField) -> list[str]:
    """Return what a setting may be, where that is one of a few words; "auto" where it is left open."""
    if field is BACKEND:
        return field.values.split(", ")
    choices = ["on", "off"] if field.kind is bool and field.default is None else list(map(str, field.choices))
    return [AUTO, *choices] if choices and field.default is None else choices


def _range(field: SettingField) -> dict[str, Any]:
    step = 1 if field.kind is int else _STEP
    low = -_MOST if field.low is None else field.low + step * field.open_low
    high = _MOST if field.high is None else field.high - step * field.open_high
    return {"min": field.kind(low), "max": field.kind(high), "step": step}


def _held(field: SettingField, value: Any) -> Any:  # noqa: ANN401 - of any setting
    """Return what a widget holds where the setting has a value."""
    if _words(field):
        return AUTO if value is None else {True: "on", False: "off"}.get(value, str(value))
    if field.many:
        return "\n".join(each.text for each in value)
    if value is None:
        return ""
    return str(value) if isinstance(value, Path) else value


def _said(field: SettingField, held: Any) -> Any:  # noqa: ANN401
    """Return the value that a widget says which holds this."""
    if words := _words(field):
        meant = {"on": True, "off": False} if field.kind is bool else dict(zip(words, field.choices, strict=False))
        return meant.get(held, held)
    if field.many:
        return [line.strip() for line in str(held).splitlines() if line.strip()]
    if isinstance(held, str):
        return held.strip()
    return held


def chosen(fields: tuple[SettingField, ...], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what widgets say, as far as it is not what the settings are anyway.

    So nothing that nobody touched wins over what a look, an avatar or another node decides.

    Args:
        fields: The settings.
        held: What their widgets hold, by the widgets' names.
    """
    touched = ((field, held[widget_name(field)]) for field in fields if widget_name(field) in held)
    return {field.name: _said(field, value) for field, value in touched if value != _held(field, field.default)}


def settings_tree(said: Chosen, more: str) -> dict[str, Any]:
    """Return settings as a tree of plain values; what is written in `more` wins.

    Raises:
        SettingsError: `more` cannot be read.
    """
    return merge_settings(nested(said), current_names(RenderSettings, written_settings(more)))


def widget_values(fields: tuple[SettingField, ...]) -> dict[str, Widget]:
    """Return the widgets of settings by their names, in order."""
    return {widget_name(field): widget(field) for field in fields}
