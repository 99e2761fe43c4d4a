"""When written words are spoken in a recording of them, told from where somebody speaks and from how long words are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from musetalk.errors import SpeechError
from musetalk.tts.english import EnglishReader
from musetalk.tts.notes import without_notes
from musetalk.tts.types import TimedWord
from musetalk.tts.word_times import time_words
from musetalk.utils.arrays import BoolArray, Float64Array

_BREATH = 0.25  # seconds of silence at least, with which a sentence may end
_FAR = 0.4  # of a sentence, that lies at most between where it should end and the breath that it is given


def time_by_length(
    heard: BoolArray, fps: float, sentences: Sequence[str], reader: EnglishReader | None = None
) -> tuple[tuple[TimedWord, ...], ...]:
    """Return about when the words of each sentence are spoken, as they are written.

    Words take the time in which somebody speaks, each as much as it has sounds; a sentence ends with the breath that is
    nearest to where it should.

    Args:
        heard: bool [N]: in which frames somebody speaks.
        fps: Frames a second.
        sentences: What is said, in order; may hold notes on pronunciation.
        reader: Says which sounds words have; None, and for what it cannot read: as many as letters.
    """
    spoken = np.concatenate([[0.0], np.cumsum(heard)]) / fps  # seconds of speech before each frame
    written = [without_notes(sentence).split() for sentence in sentences]
    lengths = [_lengths(sentence, reader) for sentence in sentences]
    borders = _borders([sum(each) for each in lengths], _breaths(heard, fps), spoken)
    timed = list[tuple[TimedWord, ...]]()
    for words, own, begins, stops in zip(written, lengths, [0.0, *borders], borders, strict=False):
        share = np.concatenate([[0.0], np.cumsum(own)]) / max(1.0, sum(own)) * (stops - begins) + begins
        starts = _moments(share[:-1], spoken, fps, "right")
        ends = np.maximum(_moments(share[1:], spoken, fps, "left"), starts)
        timed.append(tuple(map(TimedWord, words, starts.tolist(), ends.tolist())))
    return tuple(timed)


def _lengths(sentence: str, reader: EnglishReader | None) -> list[float]:
    """Return how many sounds each written word of a sentence has."""
    written = without_notes(sentence).split()
    try:
        read = () if reader is None else reader.read(sentence)
    except SpeechError:
        read = ()
    if not read:
        return [float(max(1, sum(letter.isalnum() for letter in word))) for word in written]
    stops = np.cumsum([len(word.sounds) for word in read]).tolist()
    spoken = [TimedWord(word.text, start, stop) for word, start, stop in zip(read, [0, *stops], stops, strict=False)]
    return [word.stop - word.start for word in time_words(written, spoken)]


def _breaths(heard: BoolArray, fps: float) -> list[int]:
    """Return in which frames speech goes on after a silence that is long enough for a breath."""
    edges = np.flatnonzero(np.diff(heard.astype(np.int8)))
    return [int(stop) + 1 for start, stop in pairwise(edges) if not heard[stop] and (stop - start) / fps >= _BREATH]


def _borders(lengths: Sequence[float], breaths: Sequence[int], spoken: Float64Array) -> list[float]:
    """Return where sentences end, in seconds of speech: at breaths where there is one near."""
    at, borders = [float(spoken[frame]) for frame in breaths], list[float]()
    last, rest, whole = 0.0, float(sum(lengths)), float(spoken[-1])
    for length in lengths[:-1]:
        end = last + (whole - last) * length / max(rest, 1.0)
        near = [place for place in at if place > last and abs(place - end) <= _FAR * (end - last)]
        last, rest = (min(near, key=lambda place: abs(place - end)) if near else end), rest - length
        borders.append(last)
    return [*borders, whole]


def _moments(share: Float64Array, spoken: Float64Array, fps: float, side: str) -> Float64Array:
    """Return at which second of the recording so many seconds of it were speech; `side`: of a silence, there."""
    frames = np.searchsorted(spoken, share, "right" if side == "right" else "left")
    before = np.clip(frames - 1, 0, len(spoken) - 1)
    rest = share - spoken[before]
    return np.asarray((before + rest * fps) / fps, np.float64)
