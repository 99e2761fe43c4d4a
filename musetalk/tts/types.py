"""What a text becomes when it is spoken, and who speaks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from musetalk.audio.phonemes import TimedPhoneme
from musetalk.utils.arrays import Float32Array

__all__ = ["Speech", "TextToSpeech", "TimedPhoneme", "TimedWord"]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as it is written, and when it is spoken.

    Attributes:
        text: With its punctuation.
        start: Seconds from the beginning of the sound.
        stop: Where it ends; the same as the start where nothing is spoken of it (a dash, an emoji).
    """

    text: str
    start: float
    stop: float

    def later(self, seconds: float) -> TimedWord:
        """Return it so many seconds later."""
        return replace(self, start=self.start + seconds, stop=self.stop + seconds)


@dataclass(frozen=True, slots=True)
class Speech:
    """A text that was spoken.

    Attributes:
        samples: float32 [n], mono, -1 to 1.
        rate: Samples a second.
        words: All that was written, in order; none overlaps the next.
        phonemes: What is heard, in order; between words there may be silence.
    """

    samples: Float32Array
    rate: int
    words: tuple[TimedWord, ...]
    phonemes: tuple[TimedPhoneme, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


class TextToSpeech(Protocol):
    """Speaks texts. A pure function of its text: the same text sounds the same, whatever was spoken before.

    Attributes:
        rate: Samples a second of what it speaks.
        fingerprint: Of the voice and its version, for caches.
    """

    @property
    def rate(self) -> int:
        """See the class."""
        ...

    @property
    def fingerprint(self) -> str:
        """See the class."""
        ...

    def speak(self, sentence: str) -> Speech:
        """Speak one sentence, which may hold notes on pronunciation (see `read_notes`).

        Raises:
            SpeechError: Nothing of it, or not all of it, can be spoken by this voice.
        """
        ...
