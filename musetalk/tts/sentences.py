"""A text cut into sentences, so that the first is heard while the others are still to be spoken."""

from __future__ import annotations

import re

from musetalk.tts.notes import notes_in

# What ends a sentence, and quotes and brackets that close after it.
_END = re.compile(r"(?:[.!?…]+[\"'”’)\]»]*(?=\s|$))|(?:[。！？]+[」』）”’]*)")
_SHORT = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "approx", "dept", "inc", "ltd", "e.g", "i.e", "cf"}
)
_SHORT_BEFORE_NUMBERS = frozenset(
    {"no", "nos", "fig", "vol", "p", "pp", "ch", "est", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept"}
    | {"oct", "nov", "dec"}
)
_OPENING = "\"'“‘([«"


def split_sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text, without the space around them. Empty lines end one, too; no note does."""
    sentences = list[str]()
    for paragraph in re.split(r"\n\s*\n", text):
        start = 0
        for end in sentence_ends(paragraph):
            sentences.append(paragraph[start:end])
            start = end
        sentences.append(paragraph[start:])
    return tuple(" ".join(sentence.split()) for sentence in sentences if sentence.strip())


def sentence_ends(text: str) -> tuple[int, ...]:
    """Return where the sentences of a paragraph end, behind their marks; one without a mark at its end is left out."""
    noted = {place for note in notes_in(text) for place in note}
    return tuple(end.end() for end in _END.finditer(text) if end.start() not in noted and _ends(text, end))


def says_something(sentence: str) -> bool:
    """Whether a sentence has words, and not marks alone."""
    return any(letter.isalnum() for letter in sentence)


def _ends(text: str, end: re.Match[str]) -> bool:
    """Whether a sentence ends there: not behind "Dr." or "J.", nor before a small letter."""
    if end.group()[0] != ".":
        return True
    rest = text[end.end() :].lstrip().lstrip(_OPENING)
    if rest[:1].islower():
        return False
    word = text[: end.start()].rsplit(None, 1)[-1].lstrip(_OPENING) if text[: end.start()].strip() else ""
    if not rest:
        return True
    initial = len(word) == 1 and word.isupper() and word != "I"
    short = word.lower() in _SHORT or (rest[0].isdigit() and word.lower() in _SHORT_BEFORE_NUMBERS)
    return not (initial or short)
