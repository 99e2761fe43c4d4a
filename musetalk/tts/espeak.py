"""A hundred languages by espeak-ng, an extra; see `EspeakLibrary`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from musetalk.errors import SpeechError
from musetalk.tts.espeak_library import PHONEME, WORD, Event, espeak_library
from musetalk.tts.notes import read_notes, without_notes
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words

USUAL_LANGUAGE = "en-us"
_NO_SOUNDS = "_:ˈˌː;,|̩ ̯̃ʲʰ-‿͡ˑ"  # pauses, stress, length, what goes on into the sound before


class EspeakVoice:
    """Speaks the languages of espeak-ng. A `TextToSpeech`; may be shared by threads.

    Its pitch wavers, and goes on wavering from sentence to sentence: the same text sounds the same, but not to the
    sample, and its times differ by less than a millisecond.

    Args:
        language: As espeak-ng names it: "de", "pt-br", "cmn".
        speed: 1: as usual; 0.5 (slow) to 2.

    Raises:
        SpeechError: It does not speak that language.
    """

    def __init__(self, language: str = "", speed: float = 1.0) -> None:
        self._library, self._language, self._speed = espeak_library(), language or USUAL_LANGUAGE, speed
        self.rate = self._library.rate
        with self._library.lock:
            self._library.choose(self._language, self._speed)
        self.fingerprint = f"espeak {self._library.version} {self._language} {speed:g}"

    def speak(self, sentence: str) -> Speech:
        """See `TextToSpeech`."""
        pieces = read_notes(sentence)
        if noted := next((piece for piece in pieces if piece.ipa), None):
            problem = f"the note /{noted.ipa}/ cannot be read by this voice"
            raise SpeechError(problem, "write the word as others: [word](say: other words)")
        said = "".join(piece.said for piece in pieces)
        if not any(letter.isalnum() for letter in said):
            raise SpeechError(f'there is nothing to say in "{without_notes(sentence)}"', "write some words")
        with self._library.lock:
            self._library.choose(self._language, self._speed)
            samples, events = self._library.speak(said)
        phonemes = tuple(_phonemes(events, len(samples), self.rate))
        if not phonemes:
            raise SpeechError(f'"{said}" cannot be read aloud in "{self._language}"', "write it in that language")
        read = _words(said, events, phonemes, self.rate)
        sound = np.asarray(samples, np.float32) / np.float32(32768)
        return Speech(sound, self.rate, time_words(without_notes(sentence).split(), read), phonemes)


def _phonemes(events: Sequence[Event], samples: int, rate: int) -> Iterator[TimedPhoneme]:
    told = [(sample, sound) for kind, sample, _, sound in events if kind == PHONEME]
    for (start, sound), (stop, _) in pairwise([*told, (samples, "")]):
        ipa = "".join(letter for letter in sound if letter not in _NO_SOUNDS)
        if ipa and stop > start:
            yield TimedPhoneme(ipa, start / rate, stop / rate)


def _words(said: str, events: Sequence[Event], phonemes: Sequence[TimedPhoneme], rate: int) -> list[TimedWord]:
    """Return the words of a text with their times: from where the library begins one until where it begins another."""
    begun = [(place - 1, sample / rate) for kind, sample, place, _ in events if kind == WORD]
    words, now, at = list[TimedWord](), 0.0, 0
    for text in said.split():
        first = said.index(text, at)
        at = first + len(text)
        starts = [moment for place, moment in begun if first <= place < at]
        later = [moment for place, moment in begun if place >= at]
        if not starts:
            words.append(TimedWord(text, now, now))
            continue
        stop = later[0] if later else phonemes[-1].stop
        own = [sound for sound in phonemes if starts[0] - 1e-3 <= sound.start < stop]
        now = max(starts[0], min(stop, own[-1].stop)) if own else stop
        words.append(TimedWord(text, starts[0], now))
    return words
