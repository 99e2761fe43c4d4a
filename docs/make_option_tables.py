"""Write the tables of options in README.md and docs/settings.md: they are made of the settings' own fields.

python -m docs.make_option_tables

In a document, a table stands between `<!-- settings: NAME ... -->` and `<!-- end of settings -->`. A name is that of a
setting, of a group (mask), or "all", which makes one table per theme. The app's own options stand between
`<!-- options of the app -->` and `<!-- end of options -->`, those of frame steps behind
`<!-- options of frame steps -->`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from musetalk.cli.app import serve_app
from musetalk.frame_steps.registry import FrameStepRegistry, options_of
from musetalk.settings import RenderSettings, SettingField, setting_fields
from musetalk.utils.extensions import FRAME_STEPS

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "settings.md")
ALL = "all"
_TABLE = re.compile(r"(<!-- settings: (?P<names>[^>]*?) -->\n).*?(<!-- end of settings -->)", re.DOTALL)
_HEAD = ("option", "setting", "meaning", "values")
_APP = re.compile(r"(<!-- options of the app -->\n).*?(<!-- end of options -->)", re.DOTALL)
_APP_HEAD = ("option", "meaning")
_STEPS = re.compile(r"(<!-- options of frame steps -->\n).*?(<!-- end of options -->)", re.DOTALL)
_STEPS_HEAD = ("step", "option", "meaning", "values")


def with_tables(document: str, fields: Sequence[SettingField] | None = None) -> str:
    """Return a document with its tables as they have to be.

    Args:
        document: In Markdown.
        fields: The settings; None: those of a render.

    Raises:
        ValueError: A table names what is no setting.
    """
    known = setting_fields(RenderSettings) if fields is None else fields

    def made(match: re.Match[str]) -> str:
        names = match["names"].split()
        table = "\n".join(_by_theme(known)) if names == [ALL] else option_table(_chosen(names, known))
        return f"{match[1]}{table}{match[3]}"

    document = _STEPS.sub(lambda match: f"{match[1]}{steps_table()}{match[2]}", _TABLE.sub(made, document))
    return _APP.sub(lambda match: f"{match[1]}{app_table()}{match[2]}", document)


def option_table(fields: Sequence[SettingField]) -> str:
    """Return a table of settings, in Markdown."""
    return _table(_HEAD, map(_row, fields))


def app_table() -> str:
    """Return the table of the app's own options, in Markdown."""
    options = inspect.signature(serve_app, eval_str=True).parameters.values()
    return _table(_APP_HEAD, map(_app_row, options))


def steps_table() -> str:
    """Return the table of the frame steps that are built in, and their options, in Markdown."""
    rows = list[tuple[str, str, str, str]]()
    for name in FRAME_STEPS.built_in:
        spec = FrameStepRegistry().get(name)
        rows.append((f"`{name}`", "", spec.summary, ""))
        rows += [("", f"`{field.name}`", field.text, _values(field)) for field in options_of(spec)]
    return _table(_STEPS_HEAD, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def _app_row(parameter: inspect.Parameter) -> tuple[str, str]:
    kinds, [option] = get_args(parameter.annotation)[0], parameter.annotation.__metadata__
    name, default = parameter.name.replace("_", "-"), parameter.default
    both = bool in get_args(kinds) and default is None
    told = [option.help]
    if default is not None and default is not False:
        told.append(f"Default: {default}." if isinstance(default, int | float) else f"Default: `{default}`.")
    if option.envvar:
        told.append(f"Also set as `{option.envvar}`.")
    return f"`--{name}`" + (f", `--no-{name}`" if both else ""), " ".join(told)


def _by_theme(fields: Sequence[SettingField]) -> list[str]:
    themes = groupby(fields, key=lambda field: field.panel)
    return [f"## {theme}\n\n{option_table(tuple(own))}" for theme, own in themes]


def _chosen(names: Sequence[str], fields: Sequence[SettingField]) -> list[SettingField]:
    chosen = []
    for name in names:
        found = [field for field in fields if field.name == name or field.name.startswith(f"{name}.")]
        if not found:
            raise ValueError(f'there is no setting and no group "{name}"')
        chosen += found
    return chosen


def _row(field: SettingField) -> tuple[str, str, str, str]:
    off = f", `--no-{field.flag[2:]}`" if field.kind is bool and field.default is not False else ""
    return f"`{field.flag}`{off}", f"`{field.name}`", field.text, _values(field)


def _values(field: SettingField) -> str:
    """What a setting may be, and what it is where nobody says so."""
    words = [f"`{word}`" for word in field.words.split(", ") if word]
    named = f"`{field.usual}`" if words and field.default not in (None, ()) else field.usual
    usual = f"default: {named}" if named else ""
    return "; ".join(filter(None, [", ".join(words), field.bounds, usual]))


def main() -> None:
    """Write them all."""
    for path in DOCUMENTS:
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
