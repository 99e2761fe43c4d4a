"""Settings as people write them: NAME=VALUE, one after another, or as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from musetalk.errors import SettingsError, one_line
from musetalk.settings.fields import nested


def written_setting(text: str, shown: str = "") -> tuple[str, Any]:
    """Read a setting of the form NAME=VALUE: its name, and the value as YAML reads it.

    Args:
        text: The setting.
        shown: What it is called in errors; empty: as it is written.

    Raises:
        SettingsError: It cannot be read.
    """
    import yaml  # noqa: PLC0415

    shown = shown or text
    name, equals, value = text.partition("=")
    try:
        if name.strip() and equals:
            return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{shown}: the value cannot be read ({one_line(error)})") from error
    raise SettingsError(f"{shown} is not of the form NAME=VALUE", "for example: network.seed=1")


def written_settings(text: str) -> dict[str, Any]:
    """Read settings, one NAME=VALUE a line, or all of them as one JSON object; as a tree of plain values.

    Raises:
        SettingsError: They cannot be read.
    """
    import yaml  # noqa: PLC0415

    if not text.lstrip().startswith("{"):
        lines = (line.strip() for line in text.splitlines())
        return nested(dict(written_setting(line) for line in lines if line and not line.startswith("#")))
    try:
        said = yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        raise SettingsError(f"the settings cannot be read as JSON ({one_line(error)})") from error
    if not isinstance(said, Mapping):
        raise SettingsError("the settings are no JSON object", 'for example: {"network.seed": 1}')
    return nested({str(name): value for name, value in said.items()})
