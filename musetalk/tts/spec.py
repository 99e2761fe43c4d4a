"""`VoiceSpec`: the description of a voice that reads texts aloud, light to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
class AnyVoice(PartSpec):
    """A voice, or several.

    Attributes:
        title: What people call it.
    """

    title: str


@dataclass(frozen=True, slots=True)
class VoiceSpec(AnyVoice):
    """A voice that reads texts aloud.

    Attributes:
        languages: Which it speaks, as "en-us"; empty: more than are listed here, it says itself which it does not.
        load: Loads it.
    """

    languages: tuple[str, ...]
    load: Callable[[Reading, Place], TextToSpeech]


@dataclass(frozen=True, slots=True)
class VoiceFamily(AnyVoice):
    """Voices of one kind, which are named with it: "piper:en_US-lessac-medium".

    Attributes:
        voices: Returns those that there are, given the folder of models: published ones, and whose files lie there.
        remedy: What to do about one that is not among them.
    """

    voices: Callable[[Path], tuple[VoiceSpec, ...]]
    remedy: str
