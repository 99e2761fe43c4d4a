"""The window of encoder steps for each output frame, at any frame rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from musetalk.audio.types import MUSETALK_FEATURES, STEPS_PER_SECOND, AudioFeatureSpec, HiddenStates
from musetalk.utils.arrays import Float32Array, Int64Array

# MuseTalk's audio_padding_length_left and _right, LatentSync's audio_feat_length: in video frames at 25 fps.
PADDING_LEFT = PADDING_RIGHT = 2
STEPS_PER_FRAME = 2  # at the 25 fps that both were trained on


def step_numbers(
    start: int, stop: int, fps: Fraction, left: int = PADDING_LEFT, right: int = PADDING_RIGHT
) -> Int64Array:
    """Return which encoder steps belong to output frames [start, stop).

    Frame k hears steps [floor(50 k / fps) - 2 left, floor(50 k / fps) + 2 (right + 1)): its own 40 ms, and what is
    around them. Numbers below 0 and beyond the voice's last step are not left out. In whole numbers, so that nothing
    drifts at rates like 30000/1001.

    Returns:
        int64 [stop - start, 2 (left + right + 1)].
    """
    frames = np.arange(start, stop, dtype=np.int64)
    own = STEPS_PER_SECOND * frames * fps.denominator // fps.numerator
    around = np.arange(-STEPS_PER_FRAME * left, STEPS_PER_FRAME * (right + 1), dtype=np.int64)
    return own[:, None] + around


def steps_beyond(lookahead: Fraction, right: int) -> int:
    """Return how many steps a look-ahead reaches beyond those that a frame hears itself.

    Args:
        lookahead: Seconds, from the frame's end on.
        right: The frame's context after it, in frames at 25 fps.
    """
    return max(0, round(lookahead * STEPS_PER_SECOND) - right * STEPS_PER_FRAME)


def windows_with_zeros(features: Float32Array, numbers: Int64Array) -> Float32Array:
    """Gather windows; steps outside the voice are zeros, as in MuseTalk.

    Args:
        features: float32 [T, states, width].
        numbers: int64 [n, steps], see `step_numbers`.

    Returns:
        float32 [n, steps x states, width]: the states of the first step, then those of the second, and so on.
    """
    inside = (numbers >= 0) & (numbers < len(features))
    windows = np.zeros((*numbers.shape, *features.shape[1:]), np.float32)
    windows[inside] = features[numbers[inside]]
    return _flat(windows)


def windows_with_edges(features: Float32Array, numbers: Int64Array) -> Float32Array:
    """Gather windows; before and after the voice its first and last step go on, as in LatentSync.

    Takes and returns what `windows_with_zeros` does. T is at least 1.
    """
    return _flat(features[np.clip(numbers, 0, len(features) - 1)])


class FeatureTrack:
    """A voice's hidden states, one window per output frame. A `SpeechTrack`; safe to share between threads.

    Args:
        features: The voice's hidden states.
        fps: Output frames a second.
        frame_count: Output frames that the voice covers.
        audio_spec: Whose windows to make.
        left: Context before each frame, in frames at 25 fps.
        right: Context after it, in frames at 25 fps.
        first_step: The voice's step that the features begin with, where they are those of an excerpt.
    """

    def __init__(
        self,
        features: HiddenStates,
        *,
        fps: Fraction,
        frame_count: int,
        audio_spec: AudioFeatureSpec = MUSETALK_FEATURES,
        left: int = PADDING_LEFT,
        right: int = PADDING_RIGHT,
        first_step: int = 0,
    ) -> None:
        self._features = features
        self._fps = fps
        self._frame_count = frame_count
        self._audio_spec = audio_spec
        self._left, self._right = left, right
        self._first_step = first_step

    @property
    def frame_count(self) -> int:
        """Output frames that the voice covers."""
        return self._frame_count

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), 0 <= start <= stop: float32 [stop - start, 50, 384].

        With other paddings or another encoder: [stop - start, 2 (left + right + 1) states, width]. Reads what is asked
        for and nothing else.
        """
        numbers = step_numbers(start, stop, self._fps, self._left, self._right) - self._first_step
        total = self._features.steps
        if total == 0 or start == stop:
            rows = numbers.shape[1] * self._features.states
            return np.zeros((stop - start, rows, self._features.width), np.float32)
        first = min(max(int(numbers.min()), 0), total - 1)
        last = min(max(int(numbers.max()), first), total - 1)
        held = self._features.read(first, last + 1)
        gather = windows_with_edges if self._audio_spec.edges == "clamp" else windows_with_zeros
        return gather(held, numbers - first)


def _flat(windows: Float32Array) -> Float32Array:
    count, steps, states, width = windows.shape
    return windows.reshape(count, steps * states, width)
