"""Declaration of settings: the text, bounds and names from which options, forms and tables are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

from musetalk.errors import SettingsError
from musetalk.utils.extensions import Extension

_Group = TypeVar("_Group", bound="Settings")
_SHORT = 14  # longest list of words that stands beside an option
_LARGE = 2**32  # bounds from here on are written as a power of two


def setting(
    default: object,
    text: str,
    *,
    unit: str = "",
    unset: str = "",
    values: str = "",
    panel: str = "",
    flag: str = "",
    also: Sequence[str] = (),
    old: Sequence[str] = (),
    server_only: bool = False,
    **bounds: Any,  # noqa: ANN401 - as pydantic's Field takes them
) -> Any:  # noqa: ANN401 - whatever the field is declared to be
    """Declare a field of `Settings`.

    Args:
        default: Its value where nobody says another.
        text: What it does, in one line: of --help, of the tables in the docs, and of the schema.
        unit: Of its number, as it stands behind it: "seconds".
        unset: What happens where it is None, in words.
        values: What it may be, where neither its choices nor its bounds say so: "NAME", or "auto, FILE".
        panel: Its theme; empty: that of its group.
        flag: Its option, without the dashes in front; empty: its dotted name, with dashes.
        also: More names of the option that are understood: former ones, and those of other programs.
        old: What the setting was called before; taken in files and from programs.
        server_only: Whether visitors of the app may not set it: where it reads and writes, how much it takes.
        bounds: ge, gt, le, lt, min_length, pattern.
    """
    said = {"unit": unit, "unset": unset, "values": values, "panel": panel, "option": flag, "server_only": server_only}
    lists = {"option_also": list(also), "old_names": list(old)}
    extra: dict[str, Any] = {key: value for key, value in {**said, **lists}.items() if value}
    return Field(default, description=text, json_schema_extra=extra or None, **bounds)


@dataclass(frozen=True, slots=True)
class NamesOf:
    """Says of a field, inside `Annotated`, that it names what can be added.

    Attributes:
        extension: What: the names of all there are stand for NAMES in the field's `values`.
        or_else: Words that it may be instead of a name. Where there are any, it may be nothing else.
    """

    extension: Extension
    or_else: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """What the field may be; empty: that is not known here."""
        return (*self.or_else, *self.extension.names()) if self.or_else else ()

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | ({"enum": list(self.choices)} if self.or_else else {})

    def _known(self, value: Any) -> Any:  # noqa: ANN401 - of any field
        built_in = (*self.or_else, *self.extension.built_in)
        if not self.or_else or value in built_in or value in self.choices:
            return value
        *others, last = map(repr, self.choices)
        expected = f"{', '.join(others)} or {last}"
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})


@dataclass(frozen=True, slots=True)
class SettingsOf:
    """Says of a field, inside `Annotated`, that it holds the settings that what can be added brings itself, by name."""

    extension: Extension


def group(model: type[_Group], panel: str, *, server_only: bool = False) -> _Group:
    """Declare a group of settings, made of its defaults where nobody says anything; `panel` is its theme."""
    extra: dict[str, Any] = {"panel": panel} | ({"server_only": True} if server_only else {})
    made: Any = Field(default_factory=model, json_schema_extra=extra)
    return made  # type: ignore[no-any-return]


class Settings(BaseModel):
    """Settings that belong together: frozen, and without any that are unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # --help validates nothing

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, values: object) -> object:
        return current_names(cls, values) if isinstance(values, Mapping) else values


def current_names(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with settings that go by an old name under their present one, in groups, too.

    Where both names are there, both stay, and validation refuses the old one.
    """
    now = {old: name for name, info in model.model_fields.items() for old in _extra(info).get("old_names", ())}
    named = {now[key] if key in now and now[key] not in values else key: value for key, value in values.items()}
    for name, info in model.model_fields.items():
        part, within = _group_of(info), named.get(name)
        if part is not None and isinstance(within, Mapping):
            named[name] = current_names(part, within)
    return named


def merge_settings(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with the overrides on top; groups such as `encoder` are merged, not replaced."""
    merged = dict(values)
    for key, value in overrides.items():
        below, both = merged.get(key), isinstance(value, Mapping)
        merged[key] = merge_settings(below, value) if both and isinstance(below, Mapping) else value
    return merged


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by their dotted names as a tree, as files have them.

    Raises:
        SettingsError: A setting is given as a whole and in part.
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *parents, leaf = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise SettingsError(f'"{name}" is inside "{parent}", which was given a value itself', names=(name,))
        if isinstance(place.get(leaf), dict):
            raise SettingsError(
                f'"{name}" is set as a whole and in part', "name each part: network.seed=1", names=(name,)
            )
        place[leaf] = value
    return tree


def problems_in(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong with settings, by their dotted names."""
    return [
        (
            ".".join(str(part) for part in each["loc"] if not str(part).startswith("function")),
            each["msg"].removeprefix("Value error, "),
        )
        for each in error.errors()
    ]


def said_of(problems: Iterable[tuple[str, str]]) -> str:
    """Return what is wrong with settings, as it is written."""
    return "; ".join(f"{name}: {why}" for name, why in problems)


@dataclass(frozen=True, slots=True)
class SettingField:
    """A setting as options, forms and tables show it.

    Attributes:
        name: Dotted: "mask.feather".
        kind: bool, int, float, str or Path: what an option or a file says for it.
        default: Where nobody says another.
        text: What it does, in one line.
        panel: Its theme.
        flag: Its option: "--feather".
        aliases: Of the option; its dotted name is one.
        old: What it was called before, dotted.
        choices: What it may be; empty: anything within its bounds.
        values: What it may be, in other words than choices and bounds; may be empty.
        low, high: Its bounds; None: there is none.
        open_low, open_high: Whether the bound itself is out of them.
        unit: Of its number; may be empty.
        unset: What happens where it is None; may be empty.
        server_only: Whether visitors of the app may not set it.
        many: Whether it is a list: its option may repeat, once for each of these.
    """

    name: str
    kind: type
    default: Any
    text: str
    panel: str
    flag: str
    aliases: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    values: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    unit: str = ""
    unset: str = ""
    server_only: bool = False
    many: bool = False

    @property
    def bounds(self) -> str:
        """What numbers it may be, with their unit: "0.1 to 10 seconds"; empty: any, or it is no number."""
        low, high = _number(self.low), _number(self.high)
        if self.high is None:
            said = "" if self.low is None else f"above {low}" if self.open_low else f"from {low}"
        elif self.low is None:
            said = f"below {high}" if self.open_high else f"up to {high}"
        else:
            said = f"{'above ' * self.open_low}{low} to {'below ' * self.open_high}{high}"
        return " ".join(filter(None, [said or ("in" if self.unit else ""), self.unit]))

    @property
    def usual(self) -> str:
        """Its default, in words; empty: none that could be said."""
        if self.default is None or self.default == ():
            return self.unset
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        return _number(self.default) if isinstance(self.default, int | float) else str(self.default)

    @property
    def words(self) -> str:
        """What it may be, as words; empty: a number, a text, a switch."""
        return self.values or ", ".join(map(str, self.choices))

    @property
    def metavar(self) -> str | None:
        """What stands for its value in --help; None: it takes none."""
        if self.words and len(self.words) <= _SHORT:
            return self.words.replace(", ", "|")
        return {int: "N", float: "X", str: "WORD", Path: "PATH"}.get(self.kind)

    @property
    def help(self) -> str:
        """Its text as a sentence for --help, with what it may be and its default."""
        word = self.text.partition(" ")[0].rstrip(":")
        said = self.text if word in self.choices else self.text[:1].upper() + self.text[1:]
        words = self.words if len(self.words) > _SHORT else ""
        beside = "; ".join(filter(None, [words, self.bounds, f"default: {self.usual}" if self.usual else ""]))
        return f"{said} ({beside})." if beside else f"{said}."


@cache
def setting_fields(model: type[BaseModel]) -> tuple[SettingField, ...]:
    """Return every setting of a model and its groups, theme by theme, in the order in which these are declared."""
    fields = list(_fields(model, "", {}))
    panels = list(dict.fromkeys(field.panel for field in fields))
    return tuple(sorted(fields, key=lambda field: panels.index(field.panel)))


def _fields(model: type[BaseModel], prefix: str, of_group: Mapping[str, Any]) -> Iterator[SettingField]:
    for leaf, info in model.model_fields.items():
        extra, part = {**of_group, **_extra(info)}, _group_of(info)
        added = next((each for each in info.metadata if isinstance(each, SettingsOf)), None)
        if added is not None:
            for name, model_of_it in added.extension.own_settings().items():
                yield from (_named_after(name, field) for field in _fields(model_of_it, f"{prefix}{leaf}.{name}.", {}))
        elif part is not None:
            yield from _fields(part, f"{prefix}{leaf}.", extra)
        else:
            yield _field(f"{prefix}{leaf}", info, extra)


def _named_after(owner: str, field: SettingField) -> SettingField:
    """Return a setting that something brings itself as it is told: in its panel, with an option that begins with it."""
    own = field.name.partition(f".{owner}.")[2]
    flag, dotted = (f"--{name}".replace(".", "-").replace("_", "-") for name in (f"{owner}-{own}", field.name))
    return replace(field, panel=owner, flag=flag, aliases=(dotted,))


def _field(name: str, info: FieldInfo, extra: Mapping[str, Any]) -> SettingField:
    kind, choices = _kind(info.annotation)
    named = next((each for each in info.metadata if isinstance(each, NamesOf)), None)
    values = extra.get("values", "")
    if named is not None:
        choices, values = named.choices, values.replace("NAMES", ", ".join(named.extension.names()))
    dotted = f"--{name.replace('.', '-').replace('_', '-')}"
    flag = f"--{extra['option']}" if "option" in extra else dotted
    aliases = (dotted, *(f"--{also}" for also in extra.get("option_also", ())))
    return SettingField(
        name,
        kind,
        info.get_default(call_default_factory=True),
        info.description or "",
        extra.get("panel", ""),
        flag,
        aliases=tuple(alias for alias in aliases if alias != flag),
        old=tuple(f"{name.rpartition('.')[0]}.{old}".strip(".") for old in extra.get("old_names", ())),
        choices=choices,
        values=values,
        **_bounds(info),
        unit=extra.get("unit", ""),
        unset=extra.get("unset", ""),
        server_only=extra.get("server_only", False),
        many=get_origin(info.annotation) is tuple,
    )


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _group_of(info: FieldInfo) -> type[BaseModel] | None:
    made = info.annotation
    return made if isinstance(made, type) and issubclass(made, BaseModel) else None


def _kind(annotation: Any) -> tuple[type, tuple[Any, ...]]:  # noqa: ANN401 - of any field
    """Return what a value is written as, and what it may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        choices = get_args(annotation)
        return type(choices[0]), choices
    if origin in (Union, UnionType):
        parts = [_kind(part) for part in get_args(annotation) if part is not type(None)]
        kinds = {kind for kind, _ in parts}
        choices = tuple(choice for _, part in parts for choice in part) if all(part for _, part in parts) else ()
        return (kinds.pop() if len(kinds) == 1 else str), choices
    return (annotation if annotation in (bool, int, float, str, Path) else str), ()


def _bounds(info: FieldInfo) -> dict[str, Any]:
    """Return the bounds of a number, by the names of `SettingField`."""
    found: dict[str, Any] = {}
    for bound in info.metadata:
        for sign, end in (("ge", "low"), ("gt", "low"), ("le", "high"), ("lt", "high")):
            if (value := getattr(bound, sign, None)) is not None:
                found |= {end: value, f"open_{end}": sign in ("gt", "lt")}
    return found


def _number(value: float | None) -> str:
    if isinstance(value, int) and value >= _LARGE and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    return str(value) if isinstance(value, int) else f"{value:.10g}" if value is not None else ""
