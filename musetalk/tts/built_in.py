"""The voices that come with the program: what they are called, what they need, how they are loaded."""

from __future__ import annotations

from importlib.util import find_spec

from musetalk.tts.espeak_library import lacks_espeak
from musetalk.tts.spec import Reading, VoiceSpec
from musetalk.tts.types import TextToSpeech
from musetalk.weights.part_spec import Place


def _hibari(reading: Reading, _place: Place) -> TextToSpeech:
    from musetalk.tts.hibari import HibariVoice  # noqa: PLC0415

    return HibariVoice(reading.speed)


def _hibari_lacks() -> tuple[str, ...]:
    if find_spec("hibari") is not None:
        return ()
    return ("the package hibari-tts is not installed: pip install --constraint requirements.lock hibari-tts",)


def _espeak(reading: Reading, _place: Place) -> TextToSpeech:
    from musetalk.tts.espeak import EspeakVoice  # noqa: PLC0415

    return EspeakVoice(reading.language, reading.speed)


HIBARI = VoiceSpec("hibari", "Heart, American English", ("en-us",), _hibari, missing=_hibari_lacks)
ESPEAK = VoiceSpec("espeak", "espeak-ng, a hundred languages", (), _espeak, missing=lacks_espeak)
