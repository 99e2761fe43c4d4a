"""Notes on pronunciation in a text: `[Nguyen](say: win)` and `[hibari](/hibˈɑɹi/)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

# As Markdown writes a link, so that editors show the word alone; what is no note of these stays as it is.
_NOTE = re.compile(r"\[([^\[\]\n]+)\]\((?:/([^/()\n]+)/|say:\s*([^()\n]+?))\s*\)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        written: What is shown of it.
        said: What is read aloud in its place; the same where nothing else is noted.
        ipa: How it sounds; empty: as it is read.
    """

    written: str
    said: str
    ipa: str = ""


def read_notes(text: str) -> tuple[Piece, ...]:
    """Return a text in pieces, one for each note and one for what lies between two."""
    pieces, position = list[Piece](), 0
    for note in _NOTE.finditer(text):
        pieces += _plain(text[position : note.start()])
        written, ipa, said = note.groups()
        pieces.append(Piece(written, written, ipa) if ipa else Piece(written, said))
        position = note.end()
    return (*pieces, *_plain(text[position:]))


def without_notes(text: str) -> str:
    """Return a text as it is shown."""
    return "".join(piece.written for piece in read_notes(text))


def notes_in(text: str) -> tuple[range, ...]:
    """Return where notes stand in a text."""
    return tuple(range(*note.span()) for note in _NOTE.finditer(text))


def _plain(text: str) -> list[Piece]:
    return [Piece(text, text)] if text else []
