"""A voice heard as nothing but how loud it is in each frame, live or whole."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np

from musetalk.utils.arrays import Float32Array

RATE = 16_000
REACH = 0.1  # seconds that are heard beyond a frame


class LoudSpeech:
    """A `LiveSpeech`, and once it has ended a `SpeechTrack`.

    Args:
        fps: Output frames a second.
        shown: How much of the painted faces each frame shows.
    """

    def __init__(self, fps: Fraction, shown: Callable[[int], float] = lambda _: 1.0) -> None:
        self.shown = shown
        self.fps, self.samples, self.frame_count = fps, np.zeros(0, np.float32), 0
        self.ended = self.closed = False
        self.forgotten = 0

    @property
    def ready(self) -> int:
        if self.ended:
            return self.frame_count
        return max(0, int((Fraction(len(self.samples), RATE) - Fraction(REACH)) * self.fps))

    def push(self, samples: Float32Array) -> None:
        self.samples = np.concatenate([self.samples, samples])

    def end(self, frame_count: int) -> None:
        self.ended, self.frame_count = True, frame_count

    def window(self, start: int, stop: int) -> Float32Array:
        assert self.forgotten <= start <= stop <= self.ready
        bounds = [int(frame * RATE / self.fps) for frame in range(start, stop + 1)]
        reach = round(REACH * RATE)
        heard = [self.samples[a : b + reach] for a, b in pairwise(bounds)]
        return np.array(
            [[min(1.0, 4 * float(np.abs(part).mean())), 0.0] if len(part) else [0, 0] for part in heard], np.float32
        )

    def presence(self, frame: int) -> float:
        return self.shown(frame)

    def forget(self, frame: int) -> None:
        self.forgotten = frame

    def close(self) -> None:
        self.closed = True


def whole(samples: Float32Array, fps: Fraction, frame_count: int) -> LoudSpeech:
    """A voice that has ended."""
    speech = LoudSpeech(fps)
    speech.push(samples)
    speech.end(frame_count)
    return speech
