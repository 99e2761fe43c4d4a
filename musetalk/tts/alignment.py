"""When the words of a recording are spoken that somebody wrote down: by `pocketsphinx`, English, an extra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from musetalk.errors import PackageError, SpeechError
from musetalk.tts.english import EnglishReader, ReadWord
from musetalk.tts.notes import without_notes
from musetalk.tts.types import TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words
from musetalk.utils.arrays import Float32Array

RATE = 16_000  # samples a second that the model hears
_REMEDY = 'pip install ".[align]" in the checkout'
_FRAMES = 100  # a second, in which it tells times

# ARPAbet, as the model's dictionary has it, of the sounds of `EnglishReader`; vowels take the r behind them along.
_ARPABET = {
    "ɑ": "AA",
    "a": "AA",
    "ɒ": "AA",
    "æ": "AE",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "ɔ": "AO",
    "aʊ": "AW",
    "aɪ": "AY",
    "b": "B",
    "tʃ": "CH",
    "d": "D",
    "ð": "DH",
    "ɛ": "EH",
    "ɜ": "ER",
    "ɚ": "ER",
    "e": "EY",
    "eɪ": "EY",
    "f": "F",
    "ɡ": "G",
    "h": "HH",
    "ɪ": "IH",
    "ɨ": "IH",
    "i": "IY",
    "dʒ": "JH",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "ŋ": "NG",
    "oʊ": "OW",
    "o": "OW",
    "əʊ": "OW",
    "ɔɪ": "OY",
    "p": "P",
    "ɹ": "R",
    "r": "R",
    "s": "S",
    "ʃ": "SH",
    "t": "T",
    "ɾ": "T",
    "ʔ": "T",
    "θ": "TH",
    "ʊ": "UH",
    "u": "UW",
    "v": "V",
    "w": "W",
    "j": "Y",
    "z": "Z",
    "ʒ": "ZH",
    "x": "K",
}
_ROUND_R = frozenset({"ɜ", "ə", "ɚ"})
_R_COLORED = "ɝ"


class SphinxAligner:
    """Finds written words in a recording of them.

    Args:
        reader: Says how words sound.

    Raises:
        PackageError: The package is missing.
    """

    def __init__(self, reader: EnglishReader) -> None:
        try:
            from pocketsphinx import Decoder  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise PackageError("the package pocketsphinx is not installed", _REMEDY) from error
        self._reader, self._decoder = reader, Decoder

    def align(
        self, samples: Float32Array, sentences: Sequence[str]
    ) -> tuple[tuple[tuple[TimedWord, ...], ...], tuple[TimedPhoneme, ...]]:
        """Return when the words of each sentence, as they are written, and all phonemes are spoken.

        Args:
            samples: float32 [n], mono, 16 kHz, -1 to 1: all of the sentences, one after the other.
            sentences: What is said in them; may hold notes on pronunciation.

        Raises:
            SpeechError: Something cannot be read, or what is said is something else.
        """
        read = [self._reader.read(sentence) for sentence in sentences]
        spoken = [word for words in read for word in words if _phones(word)]
        found = iter(
            _found(
                self._decoder(lm=None, loglevel="FATAL"),
                samples,
                [[phone for _, phone in _phones(word)] for word in spoken],
            )
        )
        timed, phonemes = list[tuple[TimedWord, ...]](), list[TimedPhoneme]()
        now = 0.0
        for sentence, words in zip(sentences, read, strict=True):
            own = list[TimedWord]()
            for word in words:
                sounds = _phones(word)
                times = next(found) if sounds else []
                phonemes += [
                    TimedPhoneme(ipa, start, stop) for (ipa, _), (start, stop) in zip(sounds, times, strict=True)
                ]
                start, now = (times[0][0], times[-1][1]) if times else (now, now)
                own.append(TimedWord(word.text, start, now))
            timed.append(time_words(without_notes(sentence).split(), own))
        return tuple(timed), tuple(phonemes)


def _phones(word: ReadWord) -> list[tuple[str, str]]:
    """Return a word's sounds, in IPA and in ARPAbet."""
    phones = list[tuple[str, str]]()
    for sound in word.sounds:
        if sound == "ɹ" and phones and phones[-1][0] in _ROUND_R:
            phones[-1] = (_R_COLORED, "ER")
        elif sound in _ARPABET:
            phones.append((sound, _ARPABET[sound]))
    return phones


def _found(
    decoder: Any,  # noqa: ANN401 - the package has no types
    samples: Float32Array,
    words: Sequence[Sequence[str]],
) -> list[list[tuple[float, float]]]:
    """Return when each phone of each word is spoken, in seconds.

    Raises:
        SpeechError: They are not found.
    """
    names = [f"word{number}" for number in range(len(words))]
    known = frozenset(names)
    for name, phones in zip(names, words, strict=True):
        decoder.add_word(name, " ".join(phones), False)
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(names))
        _decode(decoder, pcm)
        decoder.set_alignment()
        _decode(decoder, pcm)
        aligned = [_times(entry) for entry in decoder.get_alignment() or () if entry.name in known]
    except RuntimeError as error:
        raise _not_found() from error
    if [name for name, _ in aligned] != names:
        raise _not_found()
    return [times for _, times in aligned]


def _times(entry: Any) -> tuple[str, list[tuple[float, float]]]:  # noqa: ANN401 - the package has no types
    """Return a word's name and when its phones are spoken: at once, for the entry holds only until the next one."""
    return entry.name, [(phone.start / _FRAMES, (phone.start + phone.duration) / _FRAMES) for phone in entry]


def _decode(decoder: Any, pcm: bytes) -> None:  # noqa: ANN401 - the package has no types
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()


def _not_found() -> SpeechError:
    return SpeechError("the recording does not say what is written", "give the script that was read")
