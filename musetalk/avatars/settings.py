"""Which settings an avatar keeps: those that its preparation depends on, and the look that speaking starts from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings, merge_settings, nested, setting_fields
from musetalk.utils.units import listed

# Decided when an avatar is made, for all that it ever speaks: how the source is read, and whose face is found in it.
_DECIDED = ("fps", "alpha_background", "deinterlace", "face")
_DECIDED_GROUPS = ("detector.", "tracker.")
_OF_ONE_RENDER = ("voice_track", "measure")
_OWN = "backend_options"  # of backends of other packages: kept as a whole


@cache
def decided() -> tuple[str, ...]:
    """Return the settings that nothing can change once an avatar is made, by their dotted names."""
    names = (field.name for field in setting_fields(RenderSettings))
    return tuple(name for name in names if name in _DECIDED or name.startswith(_DECIDED_GROUPS))


def kept_values(settings: RenderSettings) -> dict[str, Any]:
    """Return the settings that an avatar keeps, as plain values: all but the machine's, and those of one render."""
    plain = settings.model_dump(mode="json")
    kept = nested({name: _at(plain, name) for name in _kept_names()})
    return kept | ({_OWN: plain[_OWN]} if plain[_OWN] else {})


def settings_of(kept: Mapping[str, Any], said: Mapping[str, Any]) -> RenderSettings:
    """Return the settings of an avatar with what is said over them.

    Args:
        kept: What it keeps.
        said: A tree of settings, each of which wins.

    Raises:
        SettingsError: A value is unknown or out of range, or the avatar keeps what no avatar does.
    """
    strangers = sorted(_leaves_of(kept) - set(_kept_names()) - {_OWN})
    if strangers:
        raise SettingsError(f"no avatar keeps {strangers[0][:80]}", names=strangers)
    return RenderSettings.parse(merge_settings(kept, said))


def check_decided(wanted: Mapping[str, Any], own: Mapping[str, Any], name: str) -> None:
    """Make sure that settings agree with what was decided when an avatar was made.

    Args:
        wanted: Those that it is to speak with, by their dotted names.
        own: Its own.
        name: Of it.

    Raises:
        SettingsError: They do not; names those that do not.
    """
    other = [each for each in decided() if wanted[each] != own[each]]
    if other:
        raise SettingsError(
            f"{listed(other)} {'was' if len(other) == 1 else 'were'} decided when the avatar {name} was made",
            "leave them out (from a program: start from `avatar.settings_with`), or create another avatar",
            names=other,
        )


@cache
def _kept_names() -> tuple[str, ...]:
    fields = (each for each in setting_fields(RenderSettings) if not each.name.startswith(f"{_OWN}."))
    return tuple(field.name for field in fields if not field.server_only and field.name not in _OF_ONE_RENDER)


def _at(plain: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - of any setting
    value: Any = plain
    for part in name.split("."):
        value = value[part]
    return value


def _leaves_of(kept: Mapping[str, Any]) -> set[str]:
    """Return the dotted names of settings in a tree; of one that holds a tree itself, its own."""
    found, names = set(), {*_kept_names(), _OWN}
    for name, value in kept.items():
        if name in names or not isinstance(value, Mapping):
            found.add(name)
        else:
            found |= {f"{name}.{leaf}" for leaf in value}
    return found
