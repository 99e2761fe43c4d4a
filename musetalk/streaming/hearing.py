"""What hears a voice while it arrives: its envelope, or Whisper's features, as the generator takes them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from musetalk.audio.envelope import EnvelopeMeter
from musetalk.audio.live_features import LiveFeatures
from musetalk.audio.types import STEPS_PER_SECOND, SpeechEncoder
from musetalk.audio.windows import STEPS_PER_FRAME
from musetalk.settings import SpeechSettings
from musetalk.streaming.types import LiveOptions, LiveSpeech
from musetalk.utils.arrays import Float32Array


def hear_voice(
    encoder: SpeechEncoder | None, wanted: SpeechSettings, fps: Fraction, options: LiveOptions
) -> LiveSpeech:
    """Return what hears a new voice.

    Args:
        encoder: What the generator's features come from; None: it takes the envelope.
        wanted: How features are made.
        fps: Output frames a second.
        options: Of the session.
    """
    if encoder is None:
        return LiveEnvelope(fps)
    left, right = wanted.audio_padding_length_left, wanted.audio_padding_length_right
    ahead = None
    if options.lookahead is not None:  # of which a frame's own window takes a part
        ahead = max(0, round(options.lookahead * STEPS_PER_SECOND) - right * STEPS_PER_FRAME)
    seams = wanted.seams
    return LiveFeatures(encoder, fps, lookahead_steps=ahead, left=left, right=right, seams=seams)


class LiveEnvelope:
    """A voice's openness and spread, [N, 2], as they become known. A `LiveSpeech`.

    Args:
        fps: Output frames a second.
    """

    def __init__(self, fps: Fraction) -> None:
        self._meter = EnvelopeMeter(fps)
        self._values = np.zeros((0, 2), np.float32)
        self._first = 0  # the frame that they begin with

    @property
    def ready(self) -> int:
        """Output frames that are known."""
        return self._first + len(self._values)

    def push(self, samples: Float32Array) -> None:
        """Take more of the voice."""
        track = self._meter.push(samples)
        self._add(track.window(0, track.frame_count))

    def end(self, frame_count: int) -> None:
        """The voice has ended."""
        track = self._meter.finish(frame_count)
        self._add(track.window(0, track.frame_count))

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop)."""
        return self._values[start - self._first : stop - self._first]

    def forget(self, frame: int) -> None:
        """Keep nothing of what comes before a frame."""
        dropped = max(0, frame - self._first)
        self._values, self._first = self._values[dropped:], self._first + dropped

    def close(self) -> None:
        """Hold nothing more."""
        self._values = self._values[:0]

    def _add(self, values: Float32Array) -> None:
        self._values = np.concatenate([self._values, values])
