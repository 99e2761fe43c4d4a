"""American English by `hibari-tts`: the voice that needs no weights of its own, its network lies in the package."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from musetalk.errors import SpeechError
from musetalk.tts.hibari_model import LEAD, UNIT, HibariModel
from musetalk.tts.notes import Piece, read_notes
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words
from musetalk.utils.arrays import Float32Array

RATE = 24_000
MOST_PHONEMES = 400  # that the network takes at once
_QUIET = 10 ** (-40 / 20)  # below this part of the loudest, a sound that fades has ended
_HEARD = RATE // 100  # samples that are listened to at once

# The package writes some sounds as one letter, as Kokoro does.
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ"}
_IPA |= {"ᵊ": "ə", "ᵻ": "ɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ʣ": "dz", "ʦ": "ts"}
_LETTERS = dict(sorted(((ipa, letter) for letter, ipa in _IPA.items() if len(ipa) > 1), key=lambda each: -len(each[0])))
_STRESS = "ˈˌ"  # stands before a syllable, and is as long as its first part
_CARRIED = " ːʰʲ̃"  # what was said just before goes on into these
_MARKS = ';:,.!?—…"“”()'  # of which no sound is made
_BREAKS = ".!?;:—…,"  # where a sentence of too many phonemes is cut, the first of them rather than the last


@dataclass(frozen=True, slots=True)
class _Word:
    """What is read between two spaces: as text, and as the network's letters."""

    text: str
    letters: str


class HibariVoice:
    """Speaks American English. A `TextToSpeech`; may be shared by threads.

    Args:
        speed: 1: as usual; 0.5 (slow) to 2.
    """

    rate = RATE

    def __init__(self, speed: float = 1.0) -> None:
        from hibari import dsp  # noqa: PLC0415 - with what lies beside it, 0.3 s
        from hibari.g2p import G2P  # noqa: PLC0415
        from hibari.tts import ASSETS  # noqa: PLC0415

        assets = Path(ASSETS)
        self.fingerprint = f"hibari {version('hibari-tts')} heart {speed:g}"
        self._speed, self._synthesise = speed, dsp.synth
        self._model, self._reader = HibariModel(assets / "hibari.onnx"), G2P()
        self._ids: dict[str, int] = _read_ids(assets / "vocab.json")
        self._reading = threading.Lock()  # the reader holds state; the network does not

    def speak(self, sentence: str) -> Speech:
        """See `TextToSpeech`."""
        pieces = read_notes(sentence)
        with self._reading:
            words = tuple(self._read(pieces))
        written = "".join(piece.written for piece in pieces).split()
        _check(written, words)
        parts = [self._sound(part) for part in _cut(words)]
        samples = np.concatenate([samples for samples, _, _ in parts])
        starts = np.cumsum([0, *(len(samples) / RATE for samples, _, _ in parts)]).tolist()
        read = [word.later(start) for (_, own, _), start in zip(parts, starts, strict=False) for word in own]
        heard = [sound.later(start) for (_, _, own), start in zip(parts, starts, strict=False) for sound in own]
        return Speech(samples, RATE, time_words(written, read), tuple(heard))

    def _read(self, pieces: Sequence[Piece]) -> Iterator[_Word]:
        """Yield the words of a sentence as they are read aloud: numbers, dates and money in words.

        Raises:
            SpeechError: A note on pronunciation holds what is no sound of English.
        """
        from hibari.g2p.normalize import normalize  # noqa: PLC0415

        given = {number: self._letters(piece.ipa) for number, piece in enumerate(pieces) if piece.ipa}
        marked = "".join(
            f"[{piece.written}](/{given[number]}/)" if number in given else piece.said
            for number, piece in enumerate(pieces)
        )
        tokens = self._reader.phonemize_tokens(self._reader.tokenize(normalize(marked)))
        text = letters = ""
        for token in tokens:
            text += token.text
            letters += "".join(letter for letter in token.phonemes or "" if letter in self._ids)
            if token.whitespace:
                yield _Word(text, letters)
                text = letters = ""
        yield _Word(text, letters)

    def _letters(self, ipa: str) -> str:
        """Return a sound in IPA as the network's letters.

        Raises:
            SpeechError: It has no such sound.
        """
        letters = ipa.replace("g", "ɡ").replace("͡", "")
        for sound, letter in _LETTERS.items():
            letters = letters.replace(sound, letter)
        unknown = sorted({letter for letter in letters if letter not in self._ids})
        if unknown:
            problem = f"the sound {' '.join(unknown)} in the note /{ipa}/ is none that this voice can make"
            raise SpeechError(problem, "write it in the IPA of American English, or as [word](say: other words)")
        return letters

    def _sound(self, words: Sequence[_Word]) -> tuple[Float32Array, list[TimedWord], list[TimedPhoneme]]:
        """Return the sound of words, the words, and the phonemes, in seconds from its beginning."""
        letters = " ".join(word.letters for word in words)
        sound, lengths = self._model.run([0, *(self._ids[letter] for letter in letters), 0], self._speed)
        # The noise in a voice is drawn; the same for the same words, so that a text always sounds the same.
        drawn = np.random.default_rng(zlib.crc32(letters.encode()))
        samples = np.clip(np.asarray(self._synthesise(*sound, drawn), np.float32), -1, 1)
        ends = (np.cumsum(lengths, dtype=np.float64) - LEAD) * UNIT / RATE
        starts = np.maximum(np.concatenate([[0.0], ends[:-1]]), 0.0)[1:-1]
        stops = np.minimum(np.maximum(ends, 0.0), len(samples) / RATE)[1:-1]
        return samples, *_timed(words, letters, starts.tolist(), stops.tolist(), samples)


def _read_ids(path: Path) -> dict[str, int]:
    ids: dict[str, int] = json.loads(path.read_text("utf-8"))
    return ids


def _check(written: Sequence[str], words: Sequence[_Word]) -> None:
    """Make sure that all that was written can be spoken.

    Raises:
        SpeechError: It cannot; names what.
    """
    silent = [word.text for word in words if not word.letters.strip(_MARKS) and _has_letters(word.text)]
    if silent:
        shown = ", ".join(f'"{word.strip(_MARKS)}"' for word in silent[:5])
        raise SpeechError(f"{shown} cannot be read aloud in English", "spell it: [word](say: as it sounds)")
    if not any(_has_letters(word.text) for word in words):
        raise SpeechError(f'there is nothing to say in "{" ".join(written)}"', "write some words")


def _has_letters(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def _cut(words: Sequence[_Word]) -> Iterator[Sequence[_Word]]:
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
        yield [_Word(word.text, word.letters[:MOST_PHONEMES]) for word in rest[:fits]]
        rest = rest[fits:]


def _breath(words: Sequence[_Word]) -> int:
    """Return how many of the words are said in one breath."""
    for mark in _BREAKS:
        ends = [number for number, word in enumerate(words, 1) if word.letters.endswith(mark)]
        if ends and ends[-1] > len(words) // 3:
            return ends[-1]
    return len(words)


def _timed(
    words: Sequence[_Word], letters: str, starts: Sequence[float], stops: Sequence[float], samples: Float32Array
) -> tuple[list[TimedWord], list[TimedPhoneme]]:
    """Return words and phonemes with their times, given those of the letters: stress belongs to what follows it."""
    loud = _loudness(samples)
    owners = [number for number, word in enumerate(words) for _ in (*word.letters, " ")]
    sounds, belongs = list[TimedPhoneme](), list[int]()
    onset: float | None = None
    for letter, owner, start, stop in zip(letters, owners, starts, stops, strict=False):
        joined = bool(sounds) and sounds[-1].stop == start
        if letter in _STRESS:
            onset = start if onset is None else onset
        elif letter in _MARKS:
            onset = None
            if joined:
                sounds[-1] = _fading(sounds[-1], loud)
        elif letter in _CARRIED:
            if joined:
                sounds[-1] = replace(sounds[-1], stop=stop)
        else:
            sounds.append(TimedPhoneme(_IPA.get(letter, letter), start if onset is None else onset, stop))
            belongs.append(owner)
            onset = None
    if sounds:
        sounds[-1] = _fading(sounds[-1], loud)
    return _words_of(words, sounds, belongs), sounds


def _words_of(words: Sequence[_Word], sounds: Sequence[TimedPhoneme], belongs: Sequence[int]) -> list[TimedWord]:
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
