"""American English by `hibari-tts`: the voice that needs no weights of its own, its network lies in the package."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from musetalk.tts.english import CARRIED, MARKS, STRESS, EnglishReader, ReadWord, ipa_of
from musetalk.tts.hibari_model import LEAD, UNIT, HibariModel
from musetalk.tts.notes import without_notes
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words
from musetalk.utils.arrays import Float32Array

RATE = 24_000
MOST_PHONEMES = 400  # that the network takes at once
_QUIET = 10 ** (-40 / 20)  # below this part of the loudest, a sound that fades has ended
_HEARD = RATE // 100  # samples that are listened to at once

_BREAKS = ".!?;:—…,"  # where a sentence of too many phonemes is cut, the first of them rather than the last


class HibariVoice:
    """Speaks American English. A `TextToSpeech`; may be shared by threads.

    Args:
        speed: 1: as usual; 0.5 (slow) to 2.
    """

    rate = RATE

    def __init__(self, speed: float = 1.0) -> None:
        from hibari import dsp  # noqa: PLC0415 - with what lies beside it, 0.3 s
        from hibari.tts import ASSETS  # noqa: PLC0415

        self.fingerprint = f"hibari {version('hibari-tts')} heart {speed:g}"
        self._speed, self._synthesise = speed, dsp.synth
        self._model, self._reader = HibariModel(Path(ASSETS) / "hibari.onnx"), EnglishReader()

    def speak(self, sentence: str) -> Speech:
        """See `TextToSpeech`."""
        words = self._reader.read(sentence)
        parts = [self._sound(part) for part in _cut(words)]
        samples = np.concatenate([samples for samples, _, _ in parts])
        starts = np.cumsum([0, *(len(samples) / RATE for samples, _, _ in parts)]).tolist()
        read = [word.later(start) for (_, own, _), start in zip(parts, starts, strict=False) for word in own]
        heard = [sound.later(start) for (_, _, own), start in zip(parts, starts, strict=False) for sound in own]
        return Speech(samples, RATE, time_words(without_notes(sentence).split(), read), tuple(heard))

    def _sound(self, words: Sequence[ReadWord]) -> tuple[Float32Array, list[TimedWord], list[TimedPhoneme]]:
        """Return the sound of words, the words, and the phonemes, in seconds from its beginning."""
        letters = " ".join(word.letters for word in words)
        sound, lengths = self._model.run([0, *(self._reader.ids[letter] for letter in letters), 0], self._speed)
        # The noise in a voice is drawn; the same for the same words, so that a text always sounds the same.
        drawn = np.random.default_rng(zlib.crc32(letters.encode()))
        samples = np.clip(np.asarray(self._synthesise(*sound, drawn), np.float32), -1, 1)
        ends = (np.cumsum(lengths, dtype=np.float64) - LEAD) * UNIT / RATE
        starts = np.maximum(np.concatenate([[0.0], ends[:-1]]), 0.0)[1:-1]
        stops = np.minimum(np.maximum(ends, 0.0), len(samples) / RATE)[1:-1]
        return samples, *_timed(words, letters, starts.tolist(), stops.tolist(), samples)


def _cut(words: Sequence[ReadWord]) -> Iterator[Sequence[ReadWord]]:
    """Yield words in parts of no more phonemes than the network takes, cut where a breath would be taken."""
    rest = list(words)
    while rest:
        length, fits = -1, 0
        while fits < len(rest) and length + 1 + len(rest[fits].letters) <= MOST_PHONEMES:
            length += 1 + len(rest[fits].letters)
            fits += 1
        fits = max(fits, 1)
        if fits < len(rest):
            fits = _breath(rest[:fits])
        yield [ReadWord(word.text, word.letters[:MOST_PHONEMES]) for word in rest[:fits]]
        rest = rest[fits:]


def _breath(words: Sequence[ReadWord]) -> int:
    """Return how many of the words are said in one breath."""
    for mark in _BREAKS:
        ends = [number for number, word in enumerate(words, 1) if word.letters.endswith(mark)]
        if ends and ends[-1] > len(words) // 3:
            return ends[-1]
    return len(words)


def _timed(
    words: Sequence[ReadWord], letters: str, starts: Sequence[float], stops: Sequence[float], samples: Float32Array
) -> tuple[list[TimedWord], list[TimedPhoneme]]:
    """Return words and phonemes with their times, given those of the letters: stress belongs to what follows it."""
    loud = _loudness(samples)
    owners = [number for number, word in enumerate(words) for _ in (*word.letters, " ")]
    sounds, belongs = list[TimedPhoneme](), list[int]()
    onset: float | None = None
    for letter, owner, start, stop in zip(letters, owners, starts, stops, strict=False):
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


def _loudness(samples: Float32Array) -> Float32Array:
    """Return the level of every 10 ms, float32 [n], 1 where it is loudest."""
    whole = samples[: len(samples) // _HEARD * _HEARD].reshape(-1, _HEARD)
    level = np.sqrt(np.mean(whole * whole, axis=1))
    return np.asarray(level / max(float(level.max(initial=0.0)), 1e-9), np.float32)


def _fading(sound: TimedPhoneme, loud: Float32Array) -> TimedPhoneme:
    """Return a sound before a pause, as long as it is heard: its length in the network holds a part of the pause."""
    first, last = round(sound.start * RATE / _HEARD), round(sound.stop * RATE / _HEARD)
    heard = np.flatnonzero(loud[first:last] > _QUIET)
    if len(heard) == 0:
        return sound
    return replace(sound, stop=min(sound.stop, (first + int(heard[-1]) + 1) * _HEARD / RATE))
