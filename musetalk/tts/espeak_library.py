"""The library of espeak-ng, of the package `espeakng-loader`: an extra, for it is GPL 3."""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from musetalk.errors import PackageError, SpeechError

WORD, PHONEME = 1, 7  # types of events
TIE = "^"  # between the letters of one sound, where several stand for it
_WORDS_A_MINUTE = 165
# From espeak-ng's speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 0x0001 | 0x0002
_UTF8, _BY_CHARACTER, _RATE = 1, 1, 1
_IN_IPA_TIED = 0x02 | 0x80 | ord(TIE) << 8
_END, _OK = 0, 0

Event: TypeAlias = tuple[int, int, int, str]  # type, sample, place in the text from 1 on, sound in IPA


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


def lacks_espeak() -> tuple[str, ...]:
    """Return what is missing, a sentence with the remedy; empty: nothing."""
    if find_spec("espeakng_loader") is not None:
        return ()
    return ('the package espeakng-loader is not installed: pip install "musetalk-hybrid[espeak]"',)


class EspeakLibrary:
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
        self._espeak.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(pointer), ctypes.c_int, ctypes.c_int]
        self._espeak.espeak_TextToPhonemes.restype = self._espeak.espeak_Info.restype = ctypes.c_char_p
        self._heard: list[np.ndarray[Any, Any]] = []
        self._events: list[Event] = []
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

    def speak(self, text: str) -> tuple[np.ndarray[Any, Any], list[Event]]:
        """Return the sound, int16 [n], and its events."""
        self._heard, self._events = [], []
        data = text.encode()
        state = self._espeak.espeak_Synth(data, len(data) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        if state != _OK:
            raise SpeechError("espeak-ng failed", "write the sentence otherwise")
        return np.concatenate([np.zeros(0, np.int16), *self._heard]), self._events

    def clauses(self, text: str) -> list[tuple[str, int]]:
        """Return the clauses of a text in IPA, words parted by spaces, and where each ends in the text or soon after.

        Sounds that several letters stand for have a `TIE` between these.
        """
        data = text.encode()
        buffer = ctypes.create_string_buffer(data)
        first, clauses = ctypes.addressof(buffer), list[tuple[str, int]]()
        place = ctypes.c_void_p(first)
        while place.value:
            sounds = self._espeak.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _IN_IPA_TIED).decode()
            read = len(data) if place.value is None else place.value - first
            clauses.append((sounds, len(data[:read].decode(errors="ignore"))))
        return clauses

    def _take(self, samples: Any, count: int, events: Any) -> int:  # noqa: ANN401 - pointers of ctypes
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        number = 0
        while events[number].type != _END:
            event = events[number]
            sound = event.id.decode("utf-8", "ignore") if event.type == PHONEME else ""
            self._events.append((event.type, event.sample, event.text_position, sound))
            number += 1
        return 0


@lru_cache(maxsize=1)
def espeak_library() -> EspeakLibrary:
    """Return the library, of which a process has one.

    Raises:
        PackageError: The package is missing.
        SpeechError: It does not work.
    """
    return EspeakLibrary()
