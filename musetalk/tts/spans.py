"""Texts of any length read aloud, sentence by sentence, and what is very long breath by breath.

The first of it is heard soon, and what is held of its sound at once stays small, however long a sentence is. Most
sentences are read whole, as voices speak them best: only those that are longer than networks take well are cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from musetalk.tts.notes import notes_in, without_notes
from musetalk.tts.sentences import says_something, split_sentences
from musetalk.tts.types import Speech, TextToSpeech, TimedWord

LONGEST = 300  # letters of a sentence that is read whole: some 17 seconds
_MOST, _LEAST = 240, 80  # letters of a part of one that is not
_BEFORE, _BEHIND = 0.1, 0.2  # seconds around the breath between two parts
_WIDE = 3  # letters that one of Chinese, Japanese or Korean counts for

_JOINING = (
    "and|but|or|nor|so|yet|because|which|who|that|while|when|where|if|although|as|than|until|before|after|"
    "und|oder|aber|denn|weil|dass|wenn|et|mais|ou|car|que|qui|y|pero|porque|e|ma|perché|mas|i|и|но|или|что|который"
)
_CLOSING = r"[\"'”’)\]»]*"
# Where a breath is taken, the first of them rather than the last; a date ("March 3rd, 2024") goes on behind its comma.
_BREATHS = tuple(
    re.compile(breath, re.IGNORECASE)
    for breath in (
        rf"[;:…—–]{_CLOSING}\s+|[；：]",
        rf"[,،]{_CLOSING}\s+(?!\d{{4}}\b)|[，、]",
        rf"\s+(?=(?:{_JOINING})\s)",
        r"(?<=[^\W\d]{4})\s+(?=[^\W\d])",
        r"\s+",
    )
)


def read_aloud(voice: TextToSpeech, text: str) -> Iterator[Speech]:
    """Yield a text as it is spoken, part by part, each as soon as it is asked for; what says nothing is left out.

    Raises:
        SpeechError: A part cannot be spoken.
    """
    for sentence in filter(says_something, split_sentences(text)):
        parts = tuple(split_spans(sentence))
        for number, part in enumerate(parts):
            if not says_something(part):
                yield Speech(np.zeros(0, np.float32), voice.rate, tuple(_unspoken(part)), ())
            elif len(parts) == 1:
                yield voice.speak(part)
            else:
                yield _joined(voice.speak(part), begins=number == 0, ends=number == len(parts) - 1)


def split_spans(sentence: str) -> Iterator[str]:
    """Yield what of a sentence is read in one go, in order; no note on pronunciation is cut."""
    notes, start = notes_in(sentence), 0
    while _fitting(sentence, start, LONGEST) < len(sentence):
        stop = _breath(sentence, start)
        # A note that reaches over it is read with what is before, or, where nothing is, with what follows.
        for note in notes:
            if note.start < stop < note.stop:
                stop = note.start if note.start > start else note.stop
        yield sentence[start:stop].strip()
        start = stop
    if sentence[start:].strip():
        yield sentence[start:].strip()


def _joined(speech: Speech, *, begins: bool, ends: bool) -> Speech:
    """Return a part of a sentence with a breath before and behind, in place of the silence that a whole one has."""
    times = [time for heard in (speech.phonemes or speech.words) for time in (heard.start, heard.stop)]
    if not times:
        return speech
    first = 0 if begins else max(0, round((min(times) - _BEFORE) * speech.rate))
    last = len(speech.samples) if ends else min(len(speech.samples), round((max(times) + _BEHIND) * speech.rate))
    gone, seconds = first / speech.rate, (last - first) / speech.rate
    words = tuple(_within(word.later(-gone), seconds) for word in speech.words)
    phonemes = tuple(sound.later(-gone) for sound in speech.phonemes)
    return Speech(speech.samples[first:last], speech.rate, words, phonemes)


def _within(word: TimedWord, seconds: float) -> TimedWord:
    """Return a word that may be marks alone, and then stand where nothing is heard, with times that there are."""
    return replace(word, start=min(max(word.start, 0.0), seconds), stop=min(max(word.stop, 0.0), seconds))


def _unspoken(part: str) -> Iterator[TimedWord]:
    """Yield words that are marks alone."""
    return (TimedWord(word, 0.0, 0.0) for word in without_notes(part).split())


def _breath(sentence: str, start: int) -> int:
    """Return where a breath is taken in a sentence that goes on from a place."""
    least, most = _fitting(sentence, start, _LEAST), _fitting(sentence, start, _MOST)
    for breath in _BREATHS:
        ends = [found.end() for found in breath.finditer(sentence, least, min(most + 20, len(sentence)))]
        fitting = [end for end in ends if end <= most]
        if fitting:
            return fitting[-1]
    return most


def _fitting(sentence: str, start: int, most: int) -> int:
    """Return until where a sentence can be read from a place, of so many letters at most; one is always read."""
    if sentence.isascii():
        return min(start + most, len(sentence))
    letters = 0
    for at in range(start, min(start + most, len(sentence))):
        letters += _WIDE if unicodedata.east_asian_width(sentence[at]) in "WF" else 1
        if letters > most:
            return max(at, start + 1)
    return min(start + most, len(sentence))
