"""Texts of a hundred languages as they are read aloud, by espeak-ng: for networks that were taught its phonemes."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby

from musetalk.errors import SpeechError
from musetalk.tts.english import ReadWord
from musetalk.tts.espeak_library import PHONEME, TIE, WORD, Event, espeak_library
from musetalk.tts.notes import Piece, read_notes, without_notes
from musetalk.tts.sentences import says_something, sentence_ends

# Marks at which a voice pauses, as most networks know them; what a network does not know becomes the second.
_MARKS = {"。": ".", "，": ",", "、": ",", "！": "!", "？": "?", "；": ";", "：": ":", "؟": "?", "،": ",", "।": "."}
_MARKS |= {mark: mark for mark in ".,;:!?…—"}
_FOR_WANT = {"…": ".", "—": ","}
_FOREIGN = re.compile(r"\([^)]*\)")  # "(en)" and "(de)" around a word of another language
_CLOSING = 6  # quotes and brackets at most between the mark of a sentence and its end


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a network writes sounds.

    Attributes:
        letters: That it knows.
        of: Returns how it writes sounds that espeak-ng wrote, with a `TIE` between the letters of one sound.
    """

    letters: Container[str]
    of: Callable[[str], str]


class EspeakReader:
    """Reads a language of espeak-ng. May be shared by threads.

    Args:
        language: As espeak-ng names it.
        spelling: How sounds are written.

    Raises:
        PackageError: espeak-ng is not installed.
        SpeechError: It does not speak that language.
    """

    def __init__(self, language: str, spelling: Spelling) -> None:
        self._library, self._language, self._spelling = espeak_library(), language, spelling
        with self._library.lock:
            self._library.choose(language, 1.0)

    def read(self, sentence: str) -> tuple[ReadWord, ...]:
        """Return the words of a sentence, which may hold notes on pronunciation.

        Raises:
            SpeechError: There is nothing to read in it, or something that cannot be read.
        """
        words = list[ReadWord]()
        for noted, group in groupby(read_notes(sentence), key=lambda piece: bool(piece.ipa)):
            if noted:
                words += [ReadWord(piece.written, self._noted(piece)) for piece in group]
                continue
            said = "".join(piece.said for piece in group)
            if says_something(said):
                words += self._read(said)
            elif words:
                words[-1] = self._marked(words[-1], said)
        if not words:
            raise SpeechError(f'there is nothing to say in "{without_notes(sentence)}"', "write some words")
        if not any(word.sounds for word in words):
            shown = without_notes(sentence)
            raise SpeechError(f'"{shown}" cannot be read aloud in "{self._language}"', "write it in that language")
        return tuple(words)

    def _noted(self, piece: Piece) -> str:
        """Return a sound in IPA that was noted, as the network writes it.

        Raises:
            SpeechError: It is none that it knows.
        """
        letters = self._spelling.of(piece.ipa.replace("͡", TIE).replace("g", "ɡ"))
        unknown = sorted({letter for letter in letters if letter not in self._spelling.letters})
        if unknown:
            problem = f"the sound {' '.join(unknown)} in the note /{piece.ipa}/ is none that this voice can make"
            raise SpeechError(problem, "write it in other IPA, or as [word](say: other words)")
        return letters

    def _read(self, text: str) -> Iterator[ReadWord]:
        """Yield the words of a text without notes: what espeak-ng reads in one go is one ("of the", "9")."""
        with self._library.lock:
            self._library.choose(self._language, 1.0)
            clauses, events = self._library.clauses(text), self._library.speak(text)[1]
        plain = "".join(token for sounds, _ in clauses for token in sounds.split()).replace(TIE, "")
        places, done = _places(plain, events), 0
        begun = list[tuple[int, str, str]]()  # where in the text, the sounds, the mark behind
        last, ends = 0, sentence_ends(text)
        for number, (sounds, stop) in enumerate(clauses, 1):
            for token in sounds.split():
                at, done = places[done], done + len(token.replace(TIE, ""))
                if begun and at <= begun[-1][0] and not begun[-1][2]:
                    begun[-1] = (begun[-1][0], f"{begun[-1][1]} {token}", "")
                else:
                    begun.append((max([at, *(each[0] for each in begun[-1:])]), token, ""))
            if begun:
                final = number == len(clauses)
                mark = _mark(text, last, len(text) if final else stop, ends, otherwise="" if final else ",")
                begun[-1] = (*begun[-1][:2], begun[-1][2] or mark)
            last = stop
        begins = [0, *(at for at, _, _ in begun[1:]), len(text)]
        for (_, sounds, mark), first, stop in zip(begun, begins, begins[1:], strict=False):
            letters = self._spelling.of(_FOREIGN.sub("", sounds))
            known = "".join(letter for letter in letters if letter in self._spelling.letters)
            yield self._marked(ReadWord(text[first:stop].strip(), known), mark)

    def _marked(self, word: ReadWord, marks: str) -> ReadWord:
        """Return a word with a mark behind it, the first of these that the network knows."""
        for mark in marks.strip():
            for known in (_MARKS.get(mark, ""), _FOR_WANT.get(mark, "")):
                if known and known in self._spelling.letters:
                    return replace(word, letters=word.letters + known)
        return word


def _places(plain: str, events: Sequence[Event]) -> list[int]:
    """Return where in the text the word begins that each letter of its sounds belongs to.

    Args:
        plain: All the letters, without spaces.
        events: Of the same text; here and there they have a letter less.
    """
    heard, at = list[tuple[str, int]](), 0
    for kind, _, place, sound in events:
        if kind == WORD:
            at = max(at, place - 1)
        elif kind == PHONEME:
            heard += [(letter, at) for letter in sound]
    places = [-1] * len(plain)
    for first, other, size in SequenceMatcher(
        None, plain, [letter for letter, _ in heard], False
    ).get_matching_blocks():
        places[first : first + size] = [place for _, place in heard[other : other + size]]
    now = 0
    for number, place in enumerate(places):
        places[number] = now = max(now, place)
    return places


def _mark(text: str, start: int, stop: int, ends: Sequence[int], *, otherwise: str) -> str:
    """Return the mark that a clause ends with; none for the point of an abbreviation."""
    for at in range(stop - 1, start - 1, -1):
        if text[at] in _MARKS:
            inside = text[at] == "." and not any(at < end <= at + _CLOSING for end in ends)
            return "" if inside else text[at]
    return otherwise
