"""Voices that are networks: a reader says how words sound, a network makes the sound and says when each letter is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from musetalk.tts.english import CARRIED, MARKS, STRESS, ReadWord, ipa_of
from musetalk.tts.notes import without_notes
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words
from musetalk.utils.arrays import Float32Array, Float64Array

_QUIET = 10 ** (-40 / 20)  # below this part of the loudest, a sound that fades has ended
_HEARD = 0.01  # seconds that are listened to at once
_BREAKS = ".!?;:—…,"  # where a sentence of too many letters is cut, the first of them rather than the last


class WordReader(Protocol):
    """Says how words sound."""

    def read(self, sentence: str) -> tuple[ReadWord, ...]:
        """Return the words of a sentence, which may hold notes on pronunciation.

        Raises:
            SpeechError: There is nothing to read in it, or something that cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sound:
    """What a network made of letters.

    Attributes:
        samples: float32 [n], mono, about -1 to 1.
        borders: float64 [letters + 1]: where each begins, and the last one ends, in seconds; None: it does not say.
    """

    samples: Float32Array
    borders: Float64Array | None


class SpeechNetwork(Protocol):
    """Makes the sound of letters. May be shared by threads.

    Attributes:
        rate: Samples a second of what it makes.
        most: Letters that it takes at once.
    """

    @property
    def rate(self) -> int:
        """See the class."""
        ...

    @property
    def most(self) -> int:
        """See the class."""
        ...

    def run(self, letters: str, speed: float, drawn: np.random.Generator) -> Sound:
        """Return the sound of letters.

        Args:
            letters: One at least, each of which it knows.
            speed: 1: as usual; larger: faster.
            drawn: Draws whatever chance is in it.
        """
        ...


class NetworkVoice:
    """Speaks by a network. A `TextToSpeech`; may be shared by threads.

    Args:
        reader: Says how words sound, in letters that the network knows.
        network: Makes the sound of these.
        speed: 1: as usual; 0.5 (slow) to 2.
        fingerprint: Of the voice, its version and its speed.
    """

    def __init__(self, reader: WordReader, network: SpeechNetwork, speed: float, fingerprint: str) -> None:
        self._reader, self._network, self._speed = reader, network, speed
        self.rate, self.fingerprint = network.rate, fingerprint

    def speak(self, sentence: str) -> Speech:
        """See `TextToSpeech`."""
        words = self._reader.read(sentence)
        parts = [self._sound(part) for part in _cut(words, self._network.most)]
        samples = np.concatenate([samples for samples, _, _ in parts])
        starts = np.cumsum([0, *(len(samples) / self.rate for samples, _, _ in parts)]).tolist()
        read = [word.later(start) for (_, own, _), start in zip(parts, starts, strict=False) for word in own]
        heard = [sound.later(start) for (_, _, own), start in zip(parts, starts, strict=False) for sound in own]
        return Speech(samples, self.rate, time_words(without_notes(sentence).split(), read), tuple(heard))

    def _sound(self, words: Sequence[ReadWord]) -> tuple[Float32Array, list[TimedWord], list[TimedPhoneme]]:
        """Return the sound of words, the words, and the phonemes, in seconds from its beginning."""
        letters = " ".join(word.letters for word in words)
        # The noise in a voice is drawn; the same for the same words, so that a text always sounds the same.
        drawn = np.random.default_rng(zlib.crc32(letters.encode()))
        sound = self._network.run(letters, self._speed, drawn)
        samples = np.clip(sound.samples, -1, 1).astype(np.float32, copy=False)
        loud = _loudness(samples, self.rate)
        borders = _evenly(len(letters), loud) if sound.borders is None else sound.borders
        return samples, *_timed(words, letters, np.clip(borders, 0, len(samples) / self.rate), loud)


def _cut(words: Sequence[ReadWord], most: int) -> Iterator[Sequence[ReadWord]]:
    """Yield words in parts of no more letters than the network takes, cut where a breath would be taken."""
    rest = list(words)
    while rest:
        length, fits = -1, 0
        while fits < len(rest) and length + 1 + len(rest[fits].letters) <= most:
            length += 1 + len(rest[fits].letters)
            fits += 1
        fits = max(fits, 1)
        if fits < len(rest):
            fits = _breath(rest[:fits])
        yield [ReadWord(word.text, word.letters[:most]) for word in rest[:fits]]
        rest = rest[fits:]


def _breath(words: Sequence[ReadWord]) -> int:
    """Return how many of the words are said in one breath."""
    for mark in _BREAKS:
        ends = [number for number, word in enumerate(words, 1) if word.letters.endswith(mark)]
        if ends and ends[-1] > len(words) // 3:
            return ends[-1]
    return len(words)


def _timed(
    words: Sequence[ReadWord], letters: str, borders: Float64Array, loud: Float32Array
) -> tuple[list[TimedWord], list[TimedPhoneme]]:
    """Return words and phonemes with their times, given those of the letters: stress belongs to what follows it."""
    owners = [number for number, word in enumerate(words) for _ in (*word.letters, " ")]
    sounds, belongs = list[TimedPhoneme](), list[int]()
    onset: float | None = None
    times = borders.tolist()
    for letter, owner, start, stop in zip(letters, owners, times, times[1:], strict=False):
        joined = bool(sounds) and sounds[-1].stop == start
        if letter in STRESS:
            onset = start if onset is None else onset
        elif letter in MARKS:
            onset = None
            if joined:
                sounds[-1] = _fading(sounds[-1], loud)
        elif letter in CARRIED:
            if joined:
                sounds[-1] = replace(sounds[-1], stop=stop)
        else:
            sounds.append(TimedPhoneme(ipa_of(letter), start if onset is None else onset, stop))
            belongs.append(owner)
            onset = None
    if sounds:
        sounds[-1] = _fading(sounds[-1], loud)
    return _words_of(words, sounds, belongs), sounds


def _words_of(words: Sequence[ReadWord], sounds: Sequence[TimedPhoneme], belongs: Sequence[int]) -> list[TimedWord]:
    timed, now = list[TimedWord](), 0.0
    for number, word in enumerate(words):
        own = [sound for sound, whose in zip(sounds, belongs, strict=True) if whose == number]
        start, now = (own[0].start, own[-1].stop) if own else (now, now)
        timed += [TimedWord(word.text, start, now)]
    return timed


def _loudness(samples: Float32Array, rate: int) -> Float32Array:
    """Return the level of every 10 ms, float32 [n], 1 where it is loudest."""
    step = round(rate * _HEARD)
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    level = np.sqrt(np.mean(whole * whole, axis=1))
    return np.asarray(level / max(float(level.max(initial=0.0)), 1e-9), np.float32)


def _evenly(letters: int, loud: Float32Array) -> Float64Array:
    """Return borders of letters that are all equally long, from where something is heard until where nothing is."""
    heard = np.flatnonzero(loud > _QUIET)
    first, last = (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, len(loud))
    return np.linspace(first * _HEARD, last * _HEARD, letters + 1)


def _fading(sound: TimedPhoneme, loud: Float32Array) -> TimedPhoneme:
    """Return a sound before a pause, as long as it is heard: its length in the network holds a part of the pause."""
    first, last = round(sound.start / _HEARD), round(sound.stop / _HEARD)
    heard = np.flatnonzero(loud[first:last] > _QUIET)
    if len(heard) == 0:
        return sound
    return replace(sound, stop=min(sound.stop, (first + int(heard[-1]) + 1) * _HEARD))
