"""Options that are settings: made of the settings' own fields, for every command that takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, wraps
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from musetalk.cli.options import values_of
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings, SettingField, setting_fields

_FURTHER, _OFF = "further", "__off"
_UNSAID = object()


def with_settings(
    *, without: Collection[str] = (), decided_by: str = "this command", model: type[BaseModel] = RenderSettings
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting, in panels by theme, and `--set` for any of them.

    Args:
        without: Settings that are decided already, by their dotted names.
        decided_by: What decides them, in words.
        model: Whose settings they are.

    Returns:
        A decorator. The command's own parameter `settings` is what the options say, as a tree.
    """
    fields = [field for field in setting_fields(model) if field.name not in without]
    renamed = {old: field.name for field in setting_fields(model) for old in field.old}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "settings"
        ]
        parameters = [*own, _further(), *(each for field in fields for each in _parameters(field))]

        @wraps(command)
        def with_options(**values: Any) -> None:  # noqa: ANN401 - whatever options hold
            said = {field.name: _said(field, values) for field in fields}
            settings = values_of(said, values.pop(_FURTHER), renamed)
            _refuse(settings, without, decided_by)
            command(**values, settings=settings)

        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


def _refuse(settings: Mapping[str, Any], decided: Collection[str], decided_by: str) -> None:
    """Make sure that nothing is said that is decided already, as `--set` may.

    Raises:
        SettingsError: Something is.
    """
    for name in decided:
        within: Any = settings
        for part in name.split("."):
            within = within.get(part, _UNSAID) if isinstance(within, Mapping) else _UNSAID
        if within is not _UNSAID:
            raise SettingsError(f'the setting "{name}" is decided by {decided_by}', "leave it out", names=(name,))


def option_context(model: type[BaseModel] = RenderSettings) -> dict[str, Any]:
    """Return the context of a command in which options go by their other names, too.

    These are a setting's dotted name, written with dots, dashes or underscores, and what the option was called before
    or is called in other programs. --help shows one name of each.
    """

    @cache
    def flags() -> dict[str, str]:
        known: dict[str, str] = {}
        for field in setting_fields(model):
            for alias in field.aliases:
                known |= {f"{no}{alias[2:]}": f"{no}{field.flag[2:]}" for no in ("", "no-")}
        return known

    def current(option: str) -> str:
        dashed = option.replace(".", "-").replace("_", "-")
        return flags().get(dashed, dashed)

    return {"token_normalize_func": current}


def _name(field: SettingField) -> str:
    return field.name.replace(".", "__").replace("-", "_")


def _parameters(field: SettingField) -> Iterator[inspect.Parameter]:
    """Yield the option of a setting, as typer reads it, and the one that switches it off; None: it was not given."""
    option = typer.Option(field.flag, help=_help(field), metavar=field.metavar, rich_help_panel=field.panel)
    kind: Any = list[field.kind] if field.many else field.kind  # type: ignore[name-defined]
    annotation = Annotated[kind | None, option]
    yield inspect.Parameter(_name(field), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    if field.kind is bool:  # hidden, and told by the first one: in a column of its own it would leave no room for names
        off = Annotated[bool | None, typer.Option(_off(field), hidden=True)]
        yield inspect.Parameter(_name(field) + _OFF, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=off)


def _off(field: SettingField) -> str:
    return f"--no-{field.flag[2:]}"


def _help(field: SettingField) -> str:
    told = field.kind is bool and field.default is not False  # what is off by itself is rarely switched off
    return f"{field.help} {_off(field)}: not at all." if told else field.help


def _said(field: SettingField, values: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever options hold
    """Take what was said of a setting out of the values of options."""
    said, off = values.pop(_name(field)), values.pop(_name(field) + _OFF, None)
    if said and off:
        raise SettingsError(f"{field.flag} and {_off(field)} cannot both be", "give one of them", names=(field.name,))
    return False if off else None if field.many and not said else said


def _further() -> inspect.Parameter:
    help_text = "Any setting by its name: network.seed=1. May repeat, and wins."
    option = typer.Option("--set", metavar="NAME=VALUE", help=help_text)
    annotation = Annotated[list[str] | None, option]
    return inspect.Parameter(_FURTHER, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
