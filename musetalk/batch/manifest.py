"""Manifests: the rows of a batch from a file, refused with the numbers of lines before anything is done."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from musetalk.batch.rows import COLUMNS, SOURCE, VOICE, Place, Row, setting_columns
from musetalk.errors import PATH, ManifestError, SettingsError, one_line
from musetalk.settings import merge_settings
from musetalk.storage.locations import Location, taken_for_path
from musetalk.utils.files import readable
from musetalk.utils.units import counted

_TOLD = 20  # problems that are told one by one
_MOST_TIMES = 10  # that YAML's aliases may make of a file, in values for its characters
_LONGEST_LINE = 2**20  # characters
_CSV, _JSONL, _YAML = (".csv",), (".jsonl", ".ndjson"), (".yaml", ".yml")
_SEE = "see docs/batch.md"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a file says of one row, or what is wrong with it."""

    name: str
    line: int
    values: dict[str, Any]
    problem: str = ""


def read_manifest(
    path: Path, outputs: Location, *, overrides: dict[str, Any] | None = None, result_name: str | None = None
) -> tuple[Row, ...]:
    """Read the rows of a manifest: CSV, JSON Lines, or upstream MuseTalk's YAML, by its ending.

    Inputs, and paths in settings, are relative to the manifest's folder; in YAML, as upstream has it, to the folder
    that the command runs in.

    Args:
        path: The file.
        outputs: The folder that results lie in, or what their URLs begin with; names of results are relative to it, and
            none leads out of it.
        overrides: Settings that win over those of the rows.
        result_name: Of rows that give none; None: after their inputs.

    Raises:
        ManifestError: It cannot be read, or holds what is no row; the text names the lines.
    """
    if url := taken_for_path(path):
        raise ManifestError(f'"{readable(url)}" is a URL', "manifests are read from disks: download it", path=path)
    ending = path.suffix.lower()
    readers: dict[tuple[str, ...], Callable[[Path], Iterable[_Entry]]]
    readers = {_CSV: _csv_entries, _JSONL: _jsonl_entries, _YAML: _yaml_entries}
    read = next((reader for endings, reader in readers.items() if ending in endings), None)
    if read is None:
        known = ", ".join(each for endings in readers for each in endings)
        raise ManifestError(f'"{PATH}" is no manifest that is known', f"its name ends in one of {known}", path=path)
    place = Place(Path() if ending in _YAML else path.parent, outputs, result_name)
    try:
        rows, problems = _rows(read(path), place)
    except OSError as error:
        problem = f'"{PATH}" cannot be read ({error.strerror or one_line(error)})'
        raise ManifestError(problem, "give the path of a manifest", path=path) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f'"{PATH}" is no text in UTF-8 ({one_line(error)})', "save it as that", path=path
        ) from error
    if not rows and not problems:
        raise ManifestError(f'"{PATH}" holds no rows', _SEE, path=path)
    problems += _conflicts(rows)
    if problems:
        _refuse(path, problems)
    return tuple(replace(row, settings=merge_settings(row.settings, overrides or {})) for row in rows)


def _refuse(path: Path, problems: Sequence[tuple[int, str]]) -> NoReturn:
    ordered = sorted(problems)
    told = [f"line {line}: {problem}" if line else problem for line, problem in ordered[:_TOLD]]
    further = len(ordered) - len(told)
    if further:
        told.append(f"and {counted(further, 'more problem')}")
    raise ManifestError(f'"{PATH}" cannot be used: {"; ".join(told)}', _SEE, path=path)


def _rows(entries: Iterable[_Entry], place: Place) -> tuple[list[Row], list[tuple[int, str]]]:
    """Return the rows that entries make, and by line what is wrong with the others."""
    rows, problems = list[Row](), list[tuple[int, str]]()
    for entry in entries:
        if entry.problem:
            problems.append((entry.line, entry.problem))
            continue
        try:
            rows.append(place.row(entry.values, entry.name, entry.line))
        except SettingsError as error:
            problems.append((entry.line, str(error)))
    return rows, problems


def _conflicts(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return, by line, which rows write what another one writes or reads."""
    problems = list[tuple[int, str]]()
    writer: dict[Location, Row] = {}
    for row in rows:
        first = writer.setdefault(row.output, row)
        if first is not row:
            name = readable(row.output.name)
            problems.append((row.line, f"{name} is what {first.name} makes already: give it another output"))
    for row in rows:
        for path in (row.source, row.voice):
            made = writer.get(Path(os.path.normpath(path)) if isinstance(path, Path) else path)
            if made is not None:
                problem = f'it reads "{readable(str(path))}", which {made.name} makes: do that in a batch before'
                problems.append((row.line, problem))
    return problems


def _csv_entries(path: Path) -> Iterator[_Entry]:
    # With the mark that spreadsheets put in front of UTF-8, or without.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = _header(next(_bounded(lines, path), None), path)
        before = lines.line_num
        for cells in _bounded(lines, path):
            line, before = before + 1, lines.line_num
            if not cells:
                continue
            name = f"line {line}"
            if len(cells) != len(header):
                said = f"it has {counted(len(cells), 'cell')}, and the header {len(header)}: quote cells with commas"
                yield _Entry(name, line, {}, said)
                continue
            try:
                yield _Entry(name, line, {key: _cell(key, cell) for key, cell in zip(header, cells, strict=True)})
            except ValueError as error:
                yield _Entry(name, line, {}, str(error))


def _bounded(lines: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Yield rows of a CSV file; what is none ends the reading, since nobody knows where the next one begins."""
    try:
        yield from lines
    except csv.Error as error:
        at = getattr(lines, "line_num", 0)
        raise ManifestError(
            f'"{PATH}" is no CSV (line {at}: {error})', "close quotes, double those inside", path=path
        ) from error


def _header(cells: list[str] | None, path: Path) -> list[str]:
    """Return the columns of a CSV file.

    Raises:
        ManifestError: They are none.
    """
    if not cells or not any(cell.strip() for cell in cells):
        raise ManifestError(f'"{PATH}" holds no rows', _SEE, path=path)
    names = [cell.strip() for cell in cells]
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            raise ManifestError(f'"{PATH}": line 1: its columns are separated by {word}', "use commas", path=path)
    known = setting_columns()
    unknown = [name for name in names if name not in COLUMNS and name not in known]
    twice = sorted({name for name in names if names.count(name) > 1})
    lacking = [name for name in (SOURCE, VOICE) if name not in {COLUMNS.get(each) for each in names}]
    said = []
    if unknown:
        said.append(f"unknown columns {', '.join(repr(readable(name)) for name in unknown)}")
    if twice:
        said.append(f"columns given twice: {', '.join(twice)}")
    if lacking:
        said.append(f"no column {' and no column '.join(lacking)}")
    if said:
        remedy = "columns are source, voice, output, settings, and names of settings (docs/settings.md)"
        raise ManifestError(f'"{PATH}": line 1: {"; ".join(said)}', remedy, path=path)
    return names


def _cell(column: str, text: str) -> object:
    """Return what a cell says: a setting in braces or brackets is JSON, all else the text that an option takes.

    Raises:
        ValueError: It is no JSON.
    """
    text = text.strip()
    if COLUMNS.get(column, column) in COLUMNS and COLUMNS.get(column) != "settings":
        return text
    return _json(text) if text[:1] in ("{", "[") else text


def _json(text: str) -> object:
    """Read JSON strictly.

    Raises:
        ValueError: It is none, gives a name twice, or is nested too deeply.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise ValueError("a name is given twice")
        return values

    def no_number(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg}, character {error.pos + 1})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _jsonl_entries(path: Path) -> Iterator[_Entry]:
    with path.open(encoding="utf-8-sig") as file:
        number = 0
        while text := file.readline(_LONGEST_LINE):
            number += 1
            name = f"line {number}"
            if len(text) == _LONGEST_LINE and not text.endswith("\n"):
                raise ManifestError(f'"{PATH}": line {number} is too long', "put one object on a line", path=path)
            if not text.strip():
                continue
            try:
                values = _json(text.strip())
            except ValueError as error:
                yield _Entry(name, number, {}, str(error))
                continue
            if isinstance(values, dict):
                yield _Entry(name, number, values)
            else:
                yield _Entry(name, number, {}, "it is no object")


def _written_out(root: Any) -> int:  # noqa: ANN401 - YAML's nodes, whose package is not there yet
    """Return how many values a tree of YAML's nodes would have without aliases, by which few lines can say millions."""
    sizes: dict[int, int] = {}
    left = [(root, False)]
    while left:
        node, seen = left.pop()
        held = [] if isinstance(node.value, str) else node.value
        below = [each for item in held for each in (item if isinstance(item, tuple) else (item,))]
        if seen:
            sizes[id(node)] = 1 + sum(sizes[id(each)] for each in below)
        elif id(node) not in sizes:
            sizes[id(node)] = 1  # so much, for what refers to itself
            left += [(node, True), *((each, False) for each in below)]
    return sizes[id(root)]


def _yaml_entries(path: Path) -> Iterator[_Entry]:
    """Yield the tasks of upstream's form: `task_0: {video_path, audio_path, bbox_shift, result_name}`."""
    import yaml  # noqa: PLC0415 - slow to import

    text = path.read_text(encoding="utf-8-sig")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode) or not root.value:
            raise ManifestError(f'"{PATH}" holds no tasks', "see configs/inference/test.yaml", path=path)
        if _written_out(root) > max(_MOST_TIMES * len(text), 10_000):
            raise ManifestError(f'"{PATH}" refers to itself too often', "write out what its aliases say", path=path)
        seen: dict[str, int] = {}
        for key, value in root.value:
            name, line = readable(str(loader.construct_object(key, deep=True))), key.start_mark.line + 1
            values = loader.construct_object(value, deep=True)
            if name in seen:
                yield _Entry(name, line, {}, f'"{name}" is the name of the task in line {seen[name]}, too')
            elif isinstance(values, dict):
                yield _Entry(name, line, {str(each): said for each, said in values.items()})
            else:
                yield _Entry(name, line, {}, f'"{name}" is no task: it holds no names and values')
            seen.setdefault(name, line)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = f'"{PATH}" is no YAML ({one_line(error)})'
        raise ManifestError(problem, "see configs/inference/test.yaml", path=path) from error
    finally:
        if loader is not None:
            loader.dispose()
