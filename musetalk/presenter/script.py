"""A talk as it is written: Markdown, of which headings become titles, list items bullets, and paragraphs are spoken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import unquote

from musetalk.errors import PATH, ScriptError
from musetalk.presenter.markup import ADDRESS, COMMANDS_ALONE, Command, Words, read_markup
from musetalk.tts.notes import without_notes
from musetalk.utils.files import read_at_most

MOST_LETTERS = 200_000  # some four hours of speech

_HEADING = re.compile(r" {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
_ITEM = re.compile(r"(\s*)(?:[-*+•]|(\d{1,3})[.)])\s+(?:\[[ xX]\]\s+)?(.*)$")
_QUOTE = re.compile(r"\A(?:\s{0,3}>)+ ?")
# What Markdown has and a talk has not: how a line of it begins, and what it is.
_FOREIGN = (
    (re.compile(r"```|~~~"), "a block of code"),
    (re.compile(r"\||:?-+:?\s*\|[-:|\s]*$"), "a table"),
    (re.compile(r"</?[A-Za-z]|<[!?]"), "HTML"),
)
_RULE = re.compile(r"(?:\*\s*){3,}$|(?:-\s*){3,}$|(?:_\s*){3,}$")
_UNDERLINE = re.compile(r"\s{0,3}(=+|--+)\s*$")  # of a title, below it
_METADATA = re.compile(r"[\w-]+\s*:")
_MOST_PRIVATE = 0xF0000  # letters from here on have no meaning; see `markup.py`

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
        content = read_at_most(path, 4 * MOST_LETTERS)  # of UTF-8; before anything is made of it
    except OSError as error:
        problem = f"the script {PATH} cannot be read ({error.strerror or error})"
        raise ScriptError(problem, "check its name", path=path) from error
    if content is None:
        raise ScriptError(f"the script {PATH} is too long", _TOO_LONG, path=path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"line {line} of the script {PATH} is no text in UTF-8"
        raise ScriptError(problem, "save it as plain text, in UTF-8", path=path, line=line) from error
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

    @property
    def is_line(self) -> bool:
        """Whether it is a paragraph of one line, which a line below it makes a title."""
        return self.kind == "text" and len(self.lines) == 1


def _items(text: str, find_picture: _Find) -> Iterator[Item]:
    for block in _blocks(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")):
        yield from _items_of(block, find_picture)


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    """Yield what belongs together.

    Raises:
        ScriptError: Some of it cannot be spoken.
    """
    if len(lines) > 1 and lines[0].strip() == "---" and _METADATA.match(lines[1]):
        raise _foreign("a block of metadata", 1)
    block: _Block | None = None
    indents = list[int]()  # of the lists that one is in
    for number, raw in enumerate(lines, 1):
        line = _QUOTE.sub("", _checked(raw, number), count=1).rstrip()
        if block is not None and (underline := _UNDERLINE.match(line)) and block.is_line:
            yield replace(block, kind="title", level=1 if underline[1].startswith("=") else 2)
            block = None
            indents.clear()
            continue
        begun = _begin(line, number, indents, within=block)
        if begun is None and line and not _RULE.match(line.strip()):
            _refuse_foreign(line, number)
            if block is not None and block.kind != "title" and not COMMANDS_ALONE.fullmatch(line):
                block.lines.append(line.strip())  # it goes on
                continue
            begun = _Block("text", number, [line.strip()])
        if block is not None:
            yield block
        block = begun
    if block is not None:
        yield block


def _begin(line: str, number: int, indents: list[int], within: _Block | None) -> _Block | None:
    """Return the title or bullet that a line begins; None: it begins none."""
    if heading := _HEADING.match(line):
        indents.clear()
        return _Block("title", number, [heading[2] or ""], level=len(heading[1]))
    if (item := _ITEM.match(line)) and not _RULE.match(line.strip()):
        if within is not None and within.kind == "text" and item[2] not in {None, "1"}:
            return None  # a number at the end of a sentence
        _refuse_foreign(item[3], number)
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
        if unicodedata.category(letter) in {"Cc", "Cs"} or ord(letter) >= _MOST_PRIVATE:
            problem = f"line {number} of the script holds a sign that no text has (U+{ord(letter):04X})"
            raise ScriptError(problem, "save the script as plain text", line=number)
    return line


def _refuse_foreign(line: str, number: int) -> None:
    """Make sure that a line of a paragraph is none of what cannot be spoken.

    Raises:
        ScriptError: It is.
    """
    for begins, what in _FOREIGN:
        if begins.match(line.strip()) and not ADDRESS.match(line.strip()):
            raise _foreign(what, number)


def _foreign(what: str, number: int) -> ScriptError:
    problem = f"line {number} of the script is {what}, which cannot be spoken"
    return ScriptError(problem, "leave it out, or show it as a picture: [slide image.png]", line=number)


def _items_of(block: _Block, find_picture: _Find) -> Iterator[Item]:
    """Yield what a block holds: what is spoken, and commands in between.

    Raises:
        ScriptError: A title or bullet has signs and no words, or something means nothing here.
    """
    parts = read_markup("\n".join(block.lines), block.line)
    words = [part for part in parts if isinstance(part, Words)]
    kind, shown = block.kind, ""
    if kind != "text":
        shown = " ".join(without_notes(part.text) for part in words)
        if shown and not any(map(_is_spoken, words)):
            what = f"line {block.line} of the script is a {kind} without words"
            raise ScriptError(what, f"write some, or how it is read: [{shown}](say: some words)", line=block.line)
    for part in parts:
        if isinstance(part, Command):
            yield _item(part, find_picture)
        elif _is_spoken(part):
            yield Passage(part.text, kind, part.line, shown, *((block.level, block.mark) if shown else (0, "")))
            kind, shown = "text", ""  # what follows a pause within it is shown already


def _is_spoken(words: Words) -> bool:
    return any(letter.isalnum() for letter in words.text)


def _item(command: Command, find_picture: _Find) -> Item:
    """Return what stands in brackets.

    Raises:
        ScriptError: The picture is not there.
    """
    if command.name == "pause":
        return Pause(command.seconds, command.line)
    return Slide(_found(command, find_picture) if command.picture else None, command.line)


def _found(command: Command, find_picture: _Find) -> Path:
    """Return where a picture is; editors write spaces in its name as %20.

    Raises:
        ScriptError: It is not there.
    """
    for name in dict.fromkeys((command.picture, unquote(command.picture))):
        if (path := find_picture(name)) is not None:
            return path
    problem = f"line {command.line} of the script shows {command.picture}, which is not there"
    raise ScriptError(problem, "check its name: it is looked for beside the script", line=command.line)


def _file(path: Path) -> Path | None:
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):  # no name that a file can have
        return None
