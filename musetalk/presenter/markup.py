"""Markup within a block of a script: commands in brackets, notes on pronunciation, and what only looks."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from musetalk.errors import ScriptError

MOST_PAUSE = 30.0  # seconds
_KNOWN = "[pause 0.8], [slide image.png], [slide none], [word](say: other words) and [word](/IPA/)"
_AS_WRITTEN = r"brackets that are to be read are written \[so\]"

_FIRST_SIGN, _FIRST_COMMAND = 0xF0000, 0x100000  # private letters: signs that mean nothing more, and commands
_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_HIDDEN = str.maketrans({sign: chr(_FIRST_SIGN + ord(sign)) for sign in _SIGNS})
_BACK = {_FIRST_SIGN + ord(sign): sign for sign in _SIGNS}
_COMMANDS = re.compile(f"[{chr(_FIRST_COMMAND)}-{chr(0x10FFFF)}]")

# What stands for itself: an escaped sign, code, a sign by its name in HTML.
_LITERAL = re.compile(
    rf"\\(?P<sign>[{re.escape(_SIGNS)}])|(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)|(?P<named>&#?\w{{1,31}};)",
    re.DOTALL,
)
ADDRESS = re.compile(r"<((?:https?|mailto|ftp):[^<>\s]+|[^<>\s@]+@[^<>\s@]+)>")
_HTML = re.compile(r"</?[A-Za-z][^<>]*>|<!--|<!\w|<\?\w")
_BRACKETS = re.compile(  # targets no longer than this, so that thousands that are not closed take no time
    r"(?P<picture>!)?\[(?P<words>[^\[\]]*)\](?:\((?P<target>(?:[^()]|\([^()]*\)){0,1000})\))?"
)
COMMANDS_ALONE = re.compile(
    r"(?:\s*(?:!\[[^\[\]]*\]\([^()]*\)|\[\s*(?:pause|slide)(?!\w)[^\[\]]*\]))+\s*", re.IGNORECASE
)  # what a line may hold that is no part of what stands above it
_COMMAND = re.compile(r"\s*(pause|slide)(?!\w)[\s:=]*(.*?)\s*", re.IGNORECASE | re.DOTALL)
_UNCLOSED = re.compile(r"\[\s*(?:pause|slide)(?!\w)|\]\(", re.IGNORECASE)
_SOUND, _SAID = re.compile(r"/([^/()\n]+)/"), re.compile(r"say(?!\w)\s*:?\s*(.*)", re.IGNORECASE | re.DOTALL)
_LINK_TITLE = re.compile(r"""\s+(?:"[^"]*"|'[^']*')$""")
_BREAK = re.compile(r"\\$", re.MULTILINE)  # that Markdown has at the end of a line
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")  # where a word may be parted, and where not
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*s?", re.ASCII)
_EMPHASIS = re.compile(
    r"\*\*(?=\S)([^*]+)(?<=\S)\*\*|\*(?=\S)([^*]+)(?<=\S)\*(?!\w)|~~(?=\S)([^~]+)(?<=\S)~~"
    r"|(?<!\w)__(?=\S)([^_]+)(?<=\S)__(?!\w)|(?<!\w)_(?=\S)([^_]+)(?<=\S)_(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Command:
    """What a script does besides being spoken.

    Attributes:
        name: `pause` or `slide`.
        seconds: Of a pause.
        picture: Of a slide, as the script calls it; empty: none is shown any more.
        line: Of the script.
    """

    name: Literal["pause", "slide"]
    line: int
    seconds: float = 0.0
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What is spoken of a block, between commands.

    Attributes:
        text: With notes on pronunciation (see `read_notes`), without other markup.
        line: Of the script.
    """

    text: str
    line: int


Part: TypeAlias = Words | Command


def read_markup(text: str, line: int) -> list[Part]:
    """Return what a block says and does, in order.

    Args:
        text: All its lines.
        line: Of the script, where it begins.

    Raises:
        ScriptError: It holds what means nothing here; tells the line.
    """
    text = ADDRESS.sub(lambda found: found[1].translate(_HIDDEN), _LITERAL.sub(_hidden, text))
    commands = list[Command]()

    def replaced(found: re.Match[str]) -> str:
        """Return the words of a link, a note as it is, or one letter that stands for a command."""
        at = _line(text, found.start(), line)
        said = _read(found, at)
        if isinstance(said, str):
            return said
        commands.append(said)
        return chr(_FIRST_COMMAND + len(commands) - 1) + "\n" * found[0].count("\n")

    _refuse_unclosed(text, line)
    marked = _BRACKETS.sub(replaced, text)
    _refuse_html(marked, line)
    for _ in range(3):  # bold within italics
        marked = _EMPHASIS.sub(lambda found: next(filter(None, found.groups())), marked)
    return _parts(marked, commands, line)


def _parts(marked: str, commands: list[Command], line: int) -> list[Part]:
    """Return what is spoken between commands, and them."""
    parts, position = list[Part](), 0
    for found in [*_COMMANDS.finditer(marked), None]:
        stop = len(marked) if found is None else found.start()
        if words := _plain(marked[position:stop]):
            begins = re.compile(r"\S").search(marked, position)
            parts.append(Words(words, _line(marked, begins.start() if begins else position, line)))
        if found is not None:
            parts.append(commands[ord(found[0]) - _FIRST_COMMAND])
            position = found.end()
    return parts


def _plain(text: str) -> str:
    """Return words as they are read: letters in one piece with their accents, without signs that nobody sees."""
    text = _UNSEEN.sub("", _BREAK.sub("", text)).translate(_BACK)
    return " ".join(unicodedata.normalize("NFC", text).split())


def _hidden(found: re.Match[str]) -> str:
    """Return what stands for itself in letters that nothing here takes for markup."""
    if found["named"]:
        named = html.unescape(found["named"])
        return (named if named.isprintable() else " " if named.isspace() else found["named"]).translate(_HIDDEN)
    return (found["sign"] or found["code"]).translate(_HIDDEN)


def _read(found: re.Match[str], line: int) -> str | Command:
    """Return what stands in brackets: a command, or words, with their note if they have one.

    Raises:
        ScriptError: It means nothing here.
    """
    words, target = found["words"], found["target"]
    if found["picture"] and target is not None:
        return _slide(_without_title(target), line)
    if target is not None:
        return _linked(words, target, line)
    if command := _COMMAND.fullmatch(words):
        name, value = command[1].lower(), " ".join(command[2].translate(_BACK).split())
        return _pause(value, line) if name == "pause" else _slide("" if value.lower() == "none" else value, line, value)
    name = words.split()[0] if words.split() else ""
    if name[:1].isalpha() or name.startswith("^"):
        problem = f"line {line} of the script has [{name.translate(_BACK)}], which means nothing here"
        raise ScriptError(problem, f"there are {_KNOWN}; {_AS_WRITTEN}", line=line)
    return found[0]


def _linked(words: str, target: str, line: int) -> str:
    """Return words that have a note, with it; of a link, its words alone.

    Raises:
        ScriptError: The note says nothing.
    """
    said, sound = _SAID.fullmatch(target.strip()), _SOUND.fullmatch(target.strip())
    if said is None and sound is None:
        if len(_without_title(target).split()) > 1:
            raise _no_note(words, target, line)
        return words
    noted = target.strip() if said is None else said[1].strip()
    if not words.strip() or not noted or (said is not None and set(noted) & set("()")):
        raise _no_note(words, target, line)
    return f"[{words}]({noted})" if said is None else f"[{words}](say: {noted})"


def _no_note(words: str, target: str, line: int) -> ScriptError:
    given = f"[{words}]({target})".translate(_BACK)
    problem = f"line {line} of the script has {' '.join(given.split())[:80]}, which is no link and no note"
    return ScriptError(problem, "notes are [word](say: other words) and [word](/IPA/)", line=line)


def _without_title(target: str) -> str:
    """Return where a link or picture leads, as it is called; Markdown may add a title, and put names in <>."""
    name = _LINK_TITLE.sub("", target.strip())
    return (name[1:-1] if name.startswith("<") and name.endswith(">") else name).translate(_BACK)


def _refuse_unclosed(text: str, line: int) -> None:
    """Make sure that nothing is left of a command or note that was begun.

    Raises:
        ScriptError: It is.
    """
    bare = _BRACKETS.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    if found := _UNCLOSED.search(bare):
        at = _line(bare, found.start(), line)
        raise ScriptError(
            f"line {at} of the script has brackets that are not closed", f"there are {_KNOWN}; {_AS_WRITTEN}", line=at
        )


def _refuse_html(marked: str, line: int) -> None:
    """Make sure that nothing is HTML.

    Raises:
        ScriptError: Something is.
    """
    if found := _HTML.search(marked):
        at = _line(marked, found.start(), line)
        problem = f"line {at} of the script is HTML, which cannot be spoken"
        raise ScriptError(problem, r"leave it out; a sign that is to be read is written \<", line=at)


def _pause(value: str, line: int) -> Command:
    found = _SECONDS.fullmatch(value)
    if found is None or not 0 < (seconds := float(found[1])) <= MOST_PAUSE:
        problem = f"line {line} of the script asks for a pause of {value!r}"
        raise ScriptError(problem, f"say seconds, {MOST_PAUSE:g} at most: [pause 0.8]", line=line)
    return Command("pause", line, seconds=seconds)


def _slide(picture: str, line: int, said: str | None = None) -> Command:
    if not (picture if said is None else said):
        raise ScriptError(f"line {line} of the script does not say which slide", "[slide image.png]", line=line)
    return Command("slide", line, picture=picture)


def _line(text: str, position: int, first: int) -> int:
    return first + text.count("\n", 0, position)
