"""A hundred languages by espeak-ng, of the package `espeakng-loader`: an extra, for the library is GPL 3."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from musetalk.errors import PackageError, SpeechError
from musetalk.tts.notes import read_notes, without_notes
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord
from musetalk.tts.word_times import time_words

USUAL_LANGUAGE = "en-us"
_WORDS_A_MINUTE = 165
# From espeak-ng's speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 0x0001 | 0x0002
_UTF8, _BY_CHARACTER, _RATE = 1, 1, 1
_END, _WORD, _PHONEME = 0, 1, 7
_OK = 0
_NO_SOUNDS = "_:ˈˌː;,|̩ ̯̃ʲʰ-‿͡ˑ"  # pauses, stress, length, what goes on into the sound before


_Told: TypeAlias = tuple[int, int, int, str]  # type, sample, place in the text from 1 on, sound in IPA


class _Event(ctypes.Structure):
    """`espeak_EVENT`."""

    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


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
        self._library, self._language, self._speed = _library(), language or USUAL_LANGUAGE, speed
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


class _Library:
    """The shared library, of which a process has one state: whoever uses it holds the lock."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # noqa: PLC0415 - an extra
        except ImportError as error:
            remedy = 'pip install ".[espeak]" in the checkout'
            raise PackageError("the package espeakng-loader is not installed", remedy) from error
        self.lock = threading.Lock()
        self._espeak: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        number, size, pointer = ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p
        text: list[Any] = [ctypes.c_char_p, size, number, ctypes.c_int, number, number, pointer, pointer]
        self._espeak.espeak_Synth.argtypes = text
        self._espeak.espeak_Info.restype = ctypes.c_char_p
        self._heard: list[np.ndarray[Any, Any]] = []
        self._events: list[_Told] = []
        self._callback = _Callback(self._take)  # kept, for the library keeps it, too
        folder = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self.rate = int(self._espeak.espeak_Initialize(_SYNCHRONOUS, 0, folder, _PHONEME_EVENTS_IN_IPA))
        if self.rate <= 0:
            raise SpeechError("espeak-ng cannot read its data", "install espeakng-loader again")
        self._espeak.espeak_SetSynthCallback(self._callback)
        self.version = self._espeak.espeak_Info(None).decode().split()[0]

    def choose(self, language: str, speed: float) -> None:
        """Let it speak a language from now on.

        Raises:
            SpeechError: It does not speak it.
        """
        if self._espeak.espeak_SetVoiceByName(language.encode()) != _OK:
            raise SpeechError(
                f'espeak-ng does not speak "{language}"', 'name one of its languages, as "de", "fr" or "cmn"'
            )
        self._espeak.espeak_SetParameter(_RATE, round(_WORDS_A_MINUTE * speed), 0)

    def speak(self, text: str) -> tuple[np.ndarray[Any, Any], list[_Told]]:
        """Return the sound, int16 [n], and its events."""
        self._heard, self._events = [], []
        data = text.encode()
        state = self._espeak.espeak_Synth(data, len(data) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        if state != _OK:
            raise SpeechError("espeak-ng failed", "write the sentence otherwise")
        return np.concatenate([np.zeros(0, np.int16), *self._heard]), self._events

    def _take(self, samples: Any, count: int, events: Any) -> int:  # noqa: ANN401 - pointers of ctypes
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        number = 0
        while events[number].type != _END:
            event = events[number]
            sound = event.id.decode("utf-8", "ignore") if event.type == _PHONEME else ""
            self._events.append((event.type, event.sample, event.text_position, sound))
            number += 1
        return 0


@lru_cache(maxsize=1)
def _library() -> _Library:
    return _Library()


def _phonemes(events: Sequence[_Told], samples: int, rate: int) -> Iterator[TimedPhoneme]:
    told = [(sample, sound) for kind, sample, _, sound in events if kind == _PHONEME]
    for (start, sound), (stop, _) in pairwise([*told, (samples, "")]):
        ipa = "".join(letter for letter in sound if letter not in _NO_SOUNDS)
        if ipa and stop > start:
            yield TimedPhoneme(ipa, start / rate, stop / rate)


def _words(said: str, events: Sequence[_Told], phonemes: Sequence[TimedPhoneme], rate: int) -> list[TimedWord]:
    """Return the words of a text with their times: from where the library begins one until where it begins another."""
    begun = [(place - 1, sample / rate) for kind, sample, place, _ in events if kind == _WORD]
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
