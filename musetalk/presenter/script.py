"""A talk as it is written: Markdown, of which headings become titles, list items bullets, and paragraphs are spoken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from musetalk.errors import PATH, ScriptError
from musetalk.tts.notes import without_notes

MOST_LETTERS = 200_000  # some four hours of speech
MOST_PAUSE = 30.0  # seconds

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|(\d{1,3})[.)])\s+(.*)$")
# In brackets, or a picture as Markdown writes it.
_COMMAND = re.compile(r"!\[[^\]]*\]\((?P<picture>[^)\s]+)\)|\[(?P<name>[a-z]+)(?:\s+(?P<value>[^\[\]]*))?\](?!\()")
_KNOWN = "[pause 0.8], [slide image.png], [slide none], [word](say: other words) and [word](/IPA/)"
_EMPHASIS = re.compile(r"(\*\*|__|\*|(?<![\w])_)(?=\S)(.+?)(?<=\S)(?:\1)(?![\w])")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\[\]]+)\]\((?!/|say:)[^()\s]+\)")
_ESCAPED = re.compile(r"\\([\\`*_\[\]#+\-.!])")
# What Markdown has and a talk has not: how a line of it begins, and what it is.
_FOREIGN = ((re.compile(r"```|~~~"), "a block of code"), (re.compile(r"\|"), "a table"), (re.compile(r"</?\w"), "HTML"))
_RULE = re.compile(r"(?:\*\s*){3,}$|(?:-\s*){3,}$|(?:_\s*){3,}$")

_Find: TypeAlias = Callable[[str], Path | None]
Kind: TypeAlias = Literal["title", "bullet", "text"]


@dataclass(frozen=True, slots=True)
class Passage:
    """What is spoken in one go.

    Attributes:
        text: With notes on pronunciation (see `read_notes`), without other markup.
        kind: A title or a bullet is shown when its first word is spoken.
        line: Of the script, from 1 on.
        shown: What the eye reads of a title or a bullet, all of it, even where a pause cuts what is spoken.
        level: Of a title, from 1 (the talk's); of a bullet, from 0 on.
        mark: What stands before a bullet: "1." where the list is numbered.
    """

    text: str
    kind: Kind
    line: int
    shown: str = ""
    level: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence, besides that between sentences.

    Attributes:
        seconds: How long.
        line: Of the script.
    """

    seconds: float
    line: int


@dataclass(frozen=True, slots=True)
class Slide:
    """From here on a picture is shown; without a path, none.

    Attributes:
        path: Of the picture, beside the script if it is relative; None: the last one goes.
        line: Of the script.
    """

    path: Path | None
    line: int


Item: TypeAlias = Passage | Pause | Slide


@dataclass(frozen=True, slots=True)
class Script:
    """A talk as it is written.

    Attributes:
        items: In order.
    """

    items: tuple[Item, ...]

    @property
    def passages(self) -> tuple[Passage, ...]:
        """What is spoken."""
        return tuple(item for item in self.items if isinstance(item, Passage))

    @property
    def slides(self) -> tuple[Slide, ...]:
        """The pictures that are shown."""
        return tuple(item for item in self.items if isinstance(item, Slide) and item.path is not None)


def read_script(path: Path) -> Script:
    """Read a script from a file; pictures are looked for beside it.

    Raises:
        ScriptError: It cannot be read, or says what cannot be done; tells the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"the script {PATH} cannot be read ({error.strerror or error})"
        raise ScriptError(problem, "check its name", path=path) from error
    if len(content) > 4 * MOST_LETTERS:  # of UTF-8; before anything is made of it
        raise ScriptError(f"the script {PATH} is too long ({len(content):,} bytes)", _TOO_LONG, path=path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"line {line} of the script {PATH} is no text in UTF-8"
        raise ScriptError(problem, "save it as plain text", path=path, line=line) from error
    return parse_script(text, lambda name: _file(path.parent / name))


def parse_script(text: str, find_picture: Callable[[str], Path | None]) -> Script:
    """Return what a script says.

    Args:
        text: Markdown, see docs/presenter.md.
        find_picture: Returns where a picture is, by the name that the script gives it; None: there is none.

    Raises:
        ScriptError: It says nothing, or what cannot be done; tells the line.
    """
    if len(text) > MOST_LETTERS:
        raise ScriptError(f"the script is too long ({len(text):,} letters)", _TOO_LONG)
    script = Script(tuple(_items(text, find_picture)))
    if not script.passages:
        raise ScriptError("the script says nothing", "write some words: paragraphs are spoken")
    return script


_TOO_LONG = f"a talk has {MOST_LETTERS:,} letters at most: cut it into several"


@dataclass
class _Block:
    """What of a script belongs together: a heading, an item of a list, a paragraph."""

    kind: Kind
    line: int  # its first
    lines: list[str]
    level: int = 0
    mark: str = ""


def _items(text: str, find_picture: _Find) -> Iterator[Item]:
    for block in _blocks(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")):
        yield from _items_of(block, find_picture)


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    """Yield what belongs together."""
    block: _Block | None = None
    indents = list[int]()  # of the lists that one is in
    for number, raw in enumerate(lines, 1):
        line = _checked(raw, number).rstrip()
        begun = _begin(line, number, indents)
        if begun is None and line and not _RULE.match(line.strip()):
            _refuse_foreign(line, number)
            if block is not None and block.kind != "title":
                block.lines.append(line.strip().removeprefix(">"))  # it goes on
                continue
            begun = _Block("text", number, [line.strip().removeprefix(">")])
        if block is not None:
            yield block
        block = begun
    if block is not None:
        yield block


def _begin(line: str, number: int, indents: list[int]) -> _Block | None:
    """Return the title or bullet that a line begins; None: it begins none."""
    if heading := _HEADING.match(line):
        indents.clear()
        return _Block("title", number, [heading[2]], level=len(heading[1]))
    if (item := _ITEM.match(line)) and not _RULE.match(line.strip()):
        indents[:] = [*(indent for indent in indents if indent < len(item[1])), len(item[1])]
        return _Block("bullet", number, [item[3]], level=len(indents) - 1, mark=f"{item[2]}." if item[2] else "")
    return None


def _checked(line: str, number: int) -> str:
    """Return a line with its tabs as spaces.

    Raises:
        ScriptError: It holds signs that no text has.
    """
    line = line.replace("\t", "    ")
    for letter in line:
        if unicodedata.category(letter) in {"Cc", "Cs"}:
            problem = f"line {number} of the script holds a sign that no text has (U+{ord(letter):04X})"
            raise ScriptError(problem, "save the script as plain text", line=number)
    return line


def _refuse_foreign(line: str, number: int) -> None:
    """Make sure that a line of a paragraph is none of what cannot be spoken.

    Raises:
        ScriptError: It is.
    """
    for begins, what in _FOREIGN:
        if begins.match(line.strip()):
            problem = f"line {number} of the script is {what}, which cannot be spoken"
            raise ScriptError(problem, "leave it out, or show it as a picture: [slide image.png]", line=number)


def _items_of(block: _Block, find_picture: _Find) -> Iterator[Item]:
    """Yield what a block holds: what is spoken, and commands in between."""
    text, position = "\n".join(block.lines), 0
    kind, shown = block.kind, without_notes(_plain(_COMMAND.sub("", text))) if block.kind != "text" else ""
    commands = [(command.start(), command.end(), command) for command in _COMMAND.finditer(text)]
    for start, stop, command in [*commands, (len(text), len(text), None)]:
        spoken = _plain(text[position:start])
        if any(letter.isalnum() for letter in spoken):
            line = block.line + text.count("\n", 0, position)
            yield Passage(spoken, kind, line, shown, *((block.level, block.mark) if shown else (0, "")))
            kind, shown = "text", ""  # what follows a pause within it is shown already
        if command is not None:
            yield _command(command, block.line + text.count("\n", 0, start), find_picture)
        position = stop


def _plain(text: str) -> str:
    """Return a text without the markup that only looks."""
    text = _LINK.sub(r"\1", _CODE.sub(r"\1", text))
    for _ in range(3):  # bold within italics
        text = _EMPHASIS.sub(r"\2", text)
    return " ".join(_ESCAPED.sub(r"\1", text).split())


def _command(command: re.Match[str], line: int, find_picture: _Find) -> Item:
    """Return what stands in brackets.

    Raises:
        ScriptError: There is no such command, or it cannot be done.
    """
    if command["picture"]:
        return _slide(command["picture"], line, find_picture)
    name, value = command["name"], (command["value"] or "").strip()
    if name == "pause":
        return _pause(value, line)
    if name != "slide":
        problem = f"line {line} of the script has [{name}], which means nothing here"
        raise ScriptError(problem, f"there are {_KNOWN}", line=line)
    if not value:
        raise ScriptError(f"line {line} of the script does not say which slide", "[slide image.png]", line=line)
    return Slide(None, line) if value == "none" else _slide(value, line, find_picture)


def _pause(value: str, line: int) -> Pause:
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MOST_PAUSE:
        problem = f"line {line} of the script asks for a pause of {value!r}"
        raise ScriptError(problem, f"say seconds, {MOST_PAUSE:g} at most: [pause 0.8]", line=line)
    return Pause(seconds, line)


def _slide(name: str, line: int, find_picture: _Find) -> Slide:
    path = find_picture(name)
    if path is None:
        problem = f"line {line} of the script shows {name}, which is not there"
        raise ScriptError(problem, "check its name: it is looked for beside the script", line=line)
    return Slide(path, line)


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None
