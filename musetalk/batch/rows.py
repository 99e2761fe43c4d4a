"""A row of a batch: what it asks for, as it was written, and where its result goes."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from musetalk.errors import MuseTalkError, SettingsError
from musetalk.settings import (
    MaskSettings,
    RenderSettings,
    SettingField,
    current_names,
    merge_settings,
    nested,
    setting_fields,
)
from musetalk.storage.locations import Location, ObjectUrl, is_url, parse_url
from musetalk.utils.files import NAME_BYTES, readable

SOURCE, VOICE, OUTPUT, SETTINGS = "source", "voice", "output", "settings"
COLUMNS = {  # what a row holds beside settings, by all names; the last three are upstream MuseTalk's
    **{name: name for name in (SOURCE, VOICE, OUTPUT, SETTINGS)},
    "video_path": SOURCE,
    "audio_path": VOICE,
    "result_name": OUTPUT,
}
OUTPUT_ENDINGS = (".mp4", ".mov", ".m4v", ".mkv")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # of letters; the others stand for a byte of a file's name
_DEEPEST = 20  # that settings may be nested
# Stand beside the paths in the files of MuseTalk's forks; here they are settings of the mask.
_MASK_KEYS = tuple(name for name in MaskSettings.model_fields if name != "shape")


@dataclass(frozen=True, slots=True)
class Row:
    """One render of a batch.

    Attributes:
        name: Of the row in its file, for people: "line 3", or its key.
        source, voice: Its inputs: files, or objects in stores.
        output: The file, or the object, to make.
        settings: Plain values that override the defaults, as a tree.
        line: Where it begins in its file, from 1 on; 0: it is in none.
    """

    name: str
    source: Location
    voice: Location
    output: Location
    settings: Mapping[str, Any]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the paths of rows lead.

    Attributes:
        base: The folder that inputs are relative to.
        outputs: What results lie in: a folder, or what the URLs of objects begin with.
        result_name: Of rows that give none; None: after their inputs.
    """

    base: Path
    outputs: Location
    result_name: str | None = None
    _read: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def row(self, values: Mapping[str, Any], name: str, line: int = 0) -> Row:
        """Return the row that values by column make.

        Args:
            values: Texts, and settings of any kind; None and empty texts are not given.
            name: Of the row.
            line: Of the row.

        Raises:
            SettingsError: A column is given twice, or no row can be made of them.
        """
        _check_values(values)
        said: dict[str, Any] = {}
        further: dict[str, Any] = {}
        for key, value in values.items():
            if value is None or value == "":
                continue
            column = COLUMNS.get(key)
            if column is None:
                further[key] = value
            elif column in said:
                raise SettingsError(f"it gives its {column} twice", "give it once")
            else:
                said[column] = value
        source, voice = (self._input(said.get(column), column) for column in (SOURCE, VOICE))
        output = self._output(said.get(OUTPUT) or self.result_name or f"{source.stem}_{voice.stem}.mp4")
        return Row(name, source, voice, output, self._settings(said.get(SETTINGS, {}), further), line)

    def _settings(self, as_object: object, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings of a row: those of rows that say the same are read once."""
        key = repr((as_object, columns))
        known = self._read.get(key)
        if known is None:
            known = self._read[key] = self._with_places(_settings_of(as_object, columns))
        return known

    def _input(self, value: object, column: str) -> Location:
        if not isinstance(value, str):
            raise SettingsError(f"it names no {column}", "give it a source and a voice")
        _check_text(value, column)
        return parse_url(value) if is_url(value) else self.base / value

    def _output(self, value: object) -> Location:
        """Return where a result goes: inside the place of results, whatever the row says."""
        if not isinstance(value, str):
            raise SettingsError("its output is no text", "give the name of a file")
        _check_text(value, OUTPUT)
        path = (
            self._object(value, self.outputs)
            if isinstance(self.outputs, ObjectUrl)
            else self._file(value, self.outputs)
        )
        if path.suffix.lower() not in OUTPUT_ENDINGS:
            raise SettingsError(f'its output "{readable(value)}" is no video', f"end it in {', '.join(OUTPUT_ENDINGS)}")
        if len(os.fsencode(path.name)) > NAME_BYTES:
            raise SettingsError(f'its output "{readable(value)[:40]}..." has too long a name', "shorten it")
        return path

    @staticmethod
    def _object(value: str, prefix: ObjectUrl) -> ObjectUrl:
        if is_url(value):
            url = parse_url(value)
            inside = prefix.holds(url)
        else:
            below = posixpath.normpath(value)
            inside, url = below.split("/")[0] not in ("", ".", ".."), prefix / below
        if not inside:
            problem = f'its output "{readable(value)}" leads out of "{readable(str(prefix))}"'
            raise SettingsError(problem, "give a plain name, or name another --output-dir")
        return parse_url(str(url))

    def _file(self, value: str, folder: Path) -> Path:
        if is_url(value):
            problem = f'its output "{readable(value)}" is a URL, and results go to the folder "{readable(folder)}"'
            raise SettingsError(problem, "let --output-dir name what the URLs of all results begin with")
        path = Path(os.path.normpath(folder / value))
        if path.name in ("", "..") or not self._holds(path, folder):
            problem = f'its output "{readable(value)}" leads out of "{readable(folder)}"'
            raise SettingsError(problem, "give a plain file name, or name another folder of results")
        return path

    @staticmethod
    def _holds(path: Path, folder: Path) -> bool:
        """Whether a file lies in the folder of results, over links, too."""
        if path.parent == Path(os.path.normpath(folder)):  # as mostly; asking the disk takes a while
            return True
        return Path(os.path.realpath(path.parent)).is_relative_to(Path(os.path.realpath(folder)))

    def _with_places(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings in which paths are relative to no folder but the one that the command runs in."""
        for each in _path_fields():
            *groups, leaf = each.name.split(".")
            within: Any = settings
            for group in groups:
                within = within.get(group) if isinstance(within, dict) else None
            if isinstance(within, dict) and isinstance(within.get(leaf), str):
                if is_url(within[leaf]):
                    problem = f'its {each.name} "{readable(within[leaf])}" is a URL'
                    raise SettingsError(problem, "only source, voice and output may be one: give the path of a file")
                within[leaf] = str(self.base / within[leaf])
        return settings


@cache
def _path_fields() -> tuple[SettingField, ...]:
    return tuple(field for field in setting_fields(RenderSettings) if field.kind is Path)


def setting_columns() -> frozenset[str]:
    """Return the names that a column of settings may have: any setting, dotted, and groups, of now and of before."""
    names = {name for field in setting_fields(RenderSettings) for name in (field.name, *field.old)}
    groups = {name.rpartition(".")[0] for name in names if "." in name}
    top = set(RenderSettings.model_fields)
    return frozenset(names | groups | top | set(_MASK_KEYS))


def _settings_of(as_object: object, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a row as a tree: those of the column "settings", and those in columns of their own.

    Raises:
        SettingsError: They are no object, or a setting is given twice.
    """
    if not isinstance(as_object, Mapping):
        raise SettingsError(f'its "{SETTINGS}" are no object', 'for example: {"face": "leftmost"}')
    flat = [(str(name), value) for values in (as_object, columns) for name, value in values.items()]
    twice = {name for name, _ in flat if sum(name == other for other, _ in flat) > 1}
    if twice:
        raise SettingsError(f"it gives {', '.join(sorted(twice))} twice", "give each setting once")
    settings = current_names(RenderSettings, nested(_copied(dict(flat))))
    mask = {key: settings.pop(key) for key in _MASK_KEYS if key in settings}
    return merge_settings({"mask": mask}, settings) if mask else settings


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree that can be changed without changing what rows may share, as YAML's references do."""
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _check_text(text: str, what: str) -> None:
    """Refuse what no name of a file holds on purpose."""
    if _CONTROL.search(text):
        raise SettingsError(f'its {what} "{readable(text)}" holds control characters', "leave them out")


def _check_values(values: object) -> None:
    """Refuse values that nobody could show, or walk through."""
    left = [(values, 0)]
    while left:
        value, depth = left.pop()
        if depth > _DEEPEST:
            raise SettingsError("it is nested too deeply", "settings are groups of values")
        if isinstance(value, str) and _HALVES.search(value):
            raise SettingsError(f'"{readable(value)[:40]}" holds half a letter', "write it as UTF-8")
        if isinstance(value, Mapping):
            left += ((each, depth + 1) for pair in value.items() for each in pair)
        elif isinstance(value, list | tuple | set):
            left += ((each, depth + 1) for each in value)


def settings_of(row: Row) -> RenderSettings | MuseTalkError:
    """Return a row's settings, or what is wrong with them."""
    try:
        return RenderSettings.parse(dict(row.settings))
    except SettingsError as error:
        return error
