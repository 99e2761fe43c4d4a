"""Which voices read texts aloud here, and how one is opened."""

from __future__ import annotations

import threading
from pathlib import Path

from musetalk.errors import PackageError, SpeechError
from musetalk.tts.spec import AnyVoice, Reading, VoiceFamily, VoiceSpec
from musetalk.tts.types import TextToSpeech
from musetalk.utils.extensions import VOICES, Registry
from musetalk.weights.part_spec import Place

USUAL = "hibari"
_SPEEDS = (0.5, 2.0)


class SharedVoice:
    """A voice for several that read at the same time; it is opened when the first of them asks.

    Args:
        place: Where its weights are, and what it runs on.
        name: Which; see `VoiceRegistry`.
    """

    def __init__(self, place: Place, name: str = USUAL) -> None:
        self._name, self._place = name, place
        self._opening = threading.Lock()
        self._voice: TextToSpeech | None = None

    def __call__(self) -> TextToSpeech:
        """Return it.

        Raises:
            SpeechError: There is none of that name.
            PackageError: A package or a file of it is missing; says how to get it.
        """
        with self._opening:
            if self._voice is None:
                self._voice = VoiceRegistry().open(self._name, self._place)
            return self._voice


class VoiceRegistry(Registry[AnyVoice]):
    """The voices that can be chosen by name, and families of them; see `Registry`."""

    extension, spec_type, unknown = VOICES, AnyVoice, SpeechError

    def voices(self, models_dir: Path) -> tuple[VoiceSpec, ...]:
        """Return all voices, those of families each, whether anything is missing for them (`lacks`) or not."""
        return tuple(voice for spec in self for voice in _voices_of(spec, models_dir))

    def find(self, name: str, models_dir: Path) -> VoiceSpec:
        """Return the voice of a name; of a family's own name, the first that is ready, or else the first.

        Raises:
            SpeechError: There is none.
            PackageError: It is installed and broken.
        """
        spec = self.get(name.partition(":")[0])
        voices = _voices_of(spec, models_dir)
        if name == spec.name and voices:
            return next((voice for voice in voices if not voice.lacks(models_dir)), voices[0])
        found = next((voice for voice in voices if voice.name == name), None)
        if found is None:
            remedy = spec.remedy if isinstance(spec, VoiceFamily) else f'write "{spec.name}" alone'
            raise SpeechError(f'there is no speaking voice "{name}"', remedy)
        return found

    def open(self, name: str, place: Place, reading: Reading | None = None) -> TextToSpeech:
        """Load a voice.

        Args:
            name: Which.
            place: Where its weights are, and what it runs on.
            reading: How it reads; None: as usual.

        Raises:
            SpeechError: There is none of that name, or it cannot read so.
            PackageError: A package or a file of it is missing; says how to get it.
        """
        spec, reading = self.find(name, place.models_dir), reading or Reading()
        slowest, fastest = _SPEEDS
        if not slowest <= reading.speed <= fastest:
            raise SpeechError(f"a speed of {reading.speed:g} cannot be spoken", f"choose {slowest:g} to {fastest:g}")
        if reading.language and spec.languages and reading.language not in spec.languages:
            known = ", ".join(spec.languages)
            raise SpeechError(f'the voice "{name}" does not speak "{reading.language}"', f"choose one of: {known}")
        lacks = spec.lacks(place.models_dir)
        if lacks:
            raise PackageError("; ".join(lacks))
        return spec.load(reading, place)


def _voices_of(spec: AnyVoice, models_dir: Path) -> tuple[VoiceSpec, ...]:
    if isinstance(spec, VoiceFamily):
        return spec.voices(models_dir)
    return (spec,) if isinstance(spec, VoiceSpec) else ()
