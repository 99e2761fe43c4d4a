"""Windows of an encoder over a longer voice: where they lie, how they are filled, and how one passes to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from musetalk.audio.mel import SILENCE, scale_log_mel
from musetalk.audio.types import FRAMES_PER_STEP, SpeechEncoder, WholeSeams
from musetalk.utils.arrays import Float32Array


@dataclass(frozen=True, slots=True)
class SeamPlan:
    """How the encoder's windows follow each other, in steps.

    Attributes:
        starts: First step of each window, in order.
        margin: Steps beside a window's border that are not used where another window has them.
        fade: Length of the passage from one window to the next; 0: none.
    """

    starts: tuple[int, ...]
    margin: int
    fade: int


def plan_seams(steps: int, window_steps: int, seams: WholeSeams) -> SeamPlan:
    """Lay windows of `window_steps` over a voice of `steps`.

    "smooth": they overlap by a third (10 s of 30), the last one by more, so that it is as full as the others. But for
    2.5 s at either end, an overlap is where the passage may lie: 5 s, and speech rarely goes on for that long without
    a pause. "upstream": end to end, the last one filled up with what `AudioFeatureSpec.after_voice` says.

    Where windows of a voice lie that is heard live, `SlidingWindow` says.
    """
    if seams == "upstream":
        return SeamPlan(tuple(range(0, steps, window_steps)), 0, 0)
    overlap = overlap_of(window_steps)
    hop = window_steps - overlap
    last = max(steps - window_steps, 0)
    starts = (*range(0, last, hop), last) if steps else ()
    return SeamPlan(starts, overlap // 4, fade_of(window_steps))


def overlap_of(window_steps: int) -> int:
    """Return the steps that windows share with the one before: a third, 10 s of Whisper's 30."""
    return window_steps // 3


def fade_of(window_steps: int) -> int:
    """Return the length of the passage from one window to the next, in steps: 200 ms of Whisper's 30 s."""
    return max(window_steps // 150, 1)


def fill_window(mel: Float32Array, loudest: float, encoder: SpeechEncoder) -> Float32Array:
    """Scale the log-mel of one window, and fill what the voice leaves of it: float32 [bands, frames]."""
    scaled = scale_log_mel(mel, loudest)
    nothing = scale_log_mel(np.array([SILENCE], np.float32), loudest)[0]
    after = nothing if encoder.audio_spec.after_voice == "silence" else np.float32(0)
    spectrum = np.full((mel.shape[1], encoder.window_steps * FRAMES_PER_STEP), after, np.float32)
    spectrum[:, : len(scaled)] = scaled.T
    return spectrum


def loudness_of(spectrum: Float32Array) -> Float32Array:
    """Return how loud each step of a scaled log-mel, float32 [bands, frames], is: float32 [frames / 2]."""
    steps = spectrum.mean(axis=0).reshape(-1, FRAMES_PER_STEP)
    return np.asarray(steps.mean(axis=1), np.float32)


def mix(before: Float32Array, after: Float32Array, share: npt.NDArray[np.float64]) -> Float32Array:
    """Return states between two windows': float32 [n, states, width], of which `share` [n] is `after`'s."""
    return np.asarray(before + share.astype(np.float32)[:, None, None] * (after - before), np.float32)
