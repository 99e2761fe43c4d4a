"""`VoiceSpec`: the description of a voice that reads texts aloud, light to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from musetalk.tts.types import TextToSpeech
from musetalk.weights.part_spec import PartSpec, Place


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is to be read.

    Attributes:
        speed: 1: as usual; 0.5 (slow) to 2.
        language: As "de" or "pt-br", for voices that speak several; empty: the voice's own.
    """

    speed: float = 1.0
    language: str = ""


@dataclass(frozen=True, slots=True)
class VoiceSpec(PartSpec):
    """A voice that reads texts aloud.

    Attributes:
        title: What people call it.
        languages: Which it speaks, as "en-us"; empty: more than are listed here, it says itself which it does not.
        load: Loads it.
    """

    title: str
    languages: tuple[str, ...]
    load: Callable[[Reading, Place], TextToSpeech]
