"""Times for words as they are written, from those of words as they are read aloud."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from musetalk.tts.types import TimedWord


def time_words(written: Sequence[str], read: Sequence[TimedWord]) -> tuple[TimedWord, ...]:
    """Return the written words with their times, every one of them, in order.

    A reader makes others of some words: "$9.99" is read "nine dollars and ninety-nine cents". What is the same on both
    sides has the reader's times; in between, words share the time by their letters.

    Args:
        written: Words.
        read: As they were read, in order.
    """
    # Marks alone are like nothing: a dash is no dollar.
    spelled = [_core(word) or f"written {number}" for number, word in enumerate(written)]
    heard_as = [_core(word.text) or f"read {number}" for number, word in enumerate(read)]
    matcher = SequenceMatcher(None, spelled, heard_as, False)
    timed = list[TimedWord]()
    for kind, first, last, start, stop in matcher.get_opcodes():
        words, heard = written[first:last], read[start:stop]
        if kind == "equal":
            timed += [TimedWord(word, own.start, own.stop) for word, own in zip(words, heard, strict=True)]
        elif heard:
            timed += _share(words, heard[0].start, heard[-1].stop)
        else:
            now = read[start - 1].stop if start else (read[0].start if read else 0.0)
            timed += [TimedWord(word, now, now) for word in words]
    return tuple(timed)


def _core(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _share(words: Sequence[str], start: float, stop: float) -> list[TimedWord]:
    """Return words one after another in a time, each as long as its letters make it."""
    lengths = [len(_core(word)) for word in words]
    if not any(lengths):
        lengths = [1] * len(words)
    shared, done, total = list[TimedWord](), 0, sum(lengths)
    for word, length in zip(words, lengths, strict=True):
        ends = done + length
        shared.append(TimedWord(word, start + (stop - start) * done / total, start + (stop - start) * ends / total))
        done = ends
    return shared
