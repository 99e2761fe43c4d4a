"""One voice of a live session, from its first sample to its last."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from musetalk.media.sound.resampler import Resampler
from musetalk.media.sound.voice import SPEECH_RATE
from musetalk.streaming.types import LiveOptions, LiveSpeech
from musetalk.utils.arrays import Float32Array


class Utterance:
    """A voice that arrives: its sound, and what the generator hears of it, by output frames counted from its first.

    Args:
        number: Which of the session's, from 0 on.
        rate: Samples a second of what is pushed.
        fps: Output frames a second.
        speech: Hears it.
        options: Of the session.
    """

    def __init__(self, number: int, rate: int, fps: Fraction, speech: LiveSpeech, options: LiveOptions) -> None:
        self.number, self.rate = number, rate
        self._fps, self._speech, self._options = fps, speech, options
        self._hearing = Resampler(rate, SPEECH_RATE)
        self._sounding = Resampler(rate, options.rate)
        self._sound = np.zeros(0, np.float32)  # what was not yet taken
        self._samples = 0
        self._frame_count: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is pushed."""
        return self._frame_count is not None

    @property
    def frame_count(self) -> int | None:
        """Output frames that it covers; None: it goes on."""
        return self._frame_count

    @property
    def ready(self) -> int:
        """Output frames that can be painted."""
        return self._speech.ready

    @property
    def can_begin(self) -> bool:
        """Whether as much is known as the look-ahead asks for before its first frame is painted."""
        if self.ended:
            return True
        ahead = self._options.lookahead
        return ahead is not None and self._speech.ready > 0 and self._samples >= self.rate * (1 / self._fps + ahead)

    def push(self, samples: Float32Array) -> None:
        """Take more of it: float32 [n], mono, at its rate."""
        self._samples += len(samples)
        self._speech.push(self._hearing.push(samples))
        self._add_sound(self._sounding.push(samples))

    def end(self) -> None:
        """Take no more: what is known is all of it."""
        if self.ended:
            return
        self._speech.push(self._hearing.finish())
        self._add_sound(self._sounding.finish())
        self._frame_count = max(1, round(Fraction(self._samples, self.rate) * self._fps))
        self._speech.end(self._frame_count)

    def window(self, start: int, stop: int) -> Float32Array:
        """Return what the generator hears in output frames [start, stop)."""
        return self._speech.window(start, stop)

    def presence(self, frame: int) -> float:
        """Return how much of the painted faces an output frame shows: 0 to 1."""
        return self._speech.presence(frame)

    def take_sound(self, samples: int) -> Float32Array:
        """Return the next so many samples of its sound, as far as they are there: float32 [n]."""
        found, self._sound = np.split(self._sound, [max(0, samples)])
        return found

    def take_rest(self) -> Float32Array:
        """Return the sound beyond its last frame, less than half a frame."""
        found, self._sound = self._sound, np.zeros(0, np.float32)
        return found

    def forget(self, frame: int) -> None:
        """Keep nothing of what only frames before one hear."""
        self._speech.forget(frame)

    def close(self) -> None:
        """Hold nothing more."""
        self._speech.close()

    def _add_sound(self, samples: Float32Array) -> None:
        self._sound = np.concatenate([self._sound, samples])
