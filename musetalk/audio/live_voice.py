"""One voice's hidden states while it is heard: from a window that slides over it, or from the whole once it ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from musetalk.audio.feature_store import in_half_precision
from musetalk.audio.mel import SILENCE, MelStream, numbers_only
from musetalk.audio.seams import fill_window, loudness_of, mix
from musetalk.audio.sliding import SlidingWindow
from musetalk.audio.types import FRAMES_PER_STEP, SAMPLES_PER_STEP, HiddenStates, SpeechEncoder
from musetalk.utils.arrays import Float32Array

LOOKAHEAD_STEPS = 8  # 160 ms
HOP_STEPS = 4  # 80 ms


class LiveVoice(HiddenStates, Protocol):
    """A voice while it is heard. Its `steps` are those that are known for good; they grow."""

    @property
    def held_bytes(self) -> int:
        """What its arrays take in memory."""
        ...

    def push(self, samples: Float32Array) -> None:
        """Hear more: float32 [n], 16 kHz mono, about -1 to 1; what is no finite number is silence."""
        ...

    def rest(self) -> None:
        """Go on without the encoder: the steps that become known are not read, but for those that `go_on` names."""
        ...

    def go_on(self, step: int) -> None:
        """Know steps as before; those from `step` on are read, also where they became known meanwhile."""
        ...

    def end(self) -> None:
        """Know all steps: nothing follows."""
        ...

    def forget(self, step: int) -> None:
        """Let go of the steps before `step`, but for the last one of all."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class SlidingVoice:
    """A voice whose steps are known as soon as a bounded look-ahead was heard beyond them. A `LiveVoice`.

    After each hop the encoder hears what its window holds of the voice so far, and then silence: as if the voice ended
    there. Steps at least the look-ahead away from that end are taken and kept, in half precision. Memory: the log-mel
    of one window, and the steps that were not forgotten.

    Args:
        encoder: Makes the states.
        hop: Steps between two calls of the encoder.
        lookahead: Steps that are heard beyond a step before it is known.
    """

    def __init__(self, encoder: SpeechEncoder, hop: int, lookahead: int) -> None:
        self._encoder = encoder
        self._hop, self._lookahead = hop, lookahead
        self._window = SlidingWindow(encoder.window_steps, hop, lookahead)
        self._stream = MelStream(encoder.filters, encoder.audio_spec.after_voice)
        self._mel = np.zeros((0, encoder.filters.shape[1]), np.float32)  # from the window's first frame on
        self._loudest = SILENCE
        self._measured = 0  # samples
        self._waiting = np.zeros(0, np.float32)  # less than a hop of them
        self._kept: deque[npt.NDArray[np.float16]] = deque()  # [states, width] each, the last of the known steps
        self._unread = np.zeros((encoder.states, encoder.width), np.float16)  # in place of steps that nobody reads
        self._steps = 0
        self._read_from: int | None = 0  # the first step that is read of those to come; None: none, it rests
        self._ended = False

    @property
    def states(self) -> int:
        """Hidden states per step."""
        return self._encoder.states

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return self._encoder.width

    @property
    def steps(self) -> int:
        """Steps that are known for good."""
        return self._steps

    @property
    def held_bytes(self) -> int:
        """What its arrays take in memory."""
        arrays: Iterable[npt.NDArray[np.generic]] = (self._mel, self._waiting, *self._kept)
        return sum(array.nbytes for array in arrays)

    def push(self, samples: Float32Array) -> None:
        """Hear more; calls the encoder once for each hop that is complete with it, twice in passages."""
        size = self._hop * SAMPLES_PER_STEP
        samples = np.concatenate([self._waiting, numbers_only(samples)])
        whole = len(samples) - len(samples) % size
        for start in range(0, whole, size):
            self._measure(samples[start : start + size])
            self._know(self._measured // SAMPLES_PER_STEP - self._lookahead)
        self._waiting = samples[whole:].copy()

    def rest(self) -> None:
        """Go on without the encoder: the steps that become known are not read, but for those that `go_on` names."""
        self._read_from = None

    def go_on(self, step: int) -> None:
        """Know steps as before; those from `step` on are read, also where they became known meanwhile."""
        if self._read_from is None:
            self._read_from = step

    def end(self) -> None:
        """Know all steps: nothing follows."""
        if self._ended:
            return
        self._ended = True
        if len(self._waiting):
            waiting, self._waiting = self._waiting, self._waiting[:0]
            self._measure(waiting)
        self._know(self._measured // SAMPLES_PER_STEP)
        self._finish()

    def read(self, start: int, stop: int) -> Float32Array:
        """Return steps [start, stop) of those known and not forgotten: float32 [stop - start, states, width]."""
        first = self._steps - len(self._kept)
        held = list(islice(self._kept, start - first, stop - first))
        return np.array(held, np.float32).reshape(stop - start, self.states, self.width)

    def forget(self, step: int) -> None:
        """Let go of the steps before `step`, but for the last one of all."""
        while len(self._kept) > 1 and self._steps - len(self._kept) < step:
            self._kept.popleft()

    def close(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._finish()

    def _finish(self) -> None:
        """Let go of what only a voice that goes on needs."""
        self._ended = True
        self._mel, self._waiting = self._mel[:0].copy(), self._waiting[:0].copy()

    def _measure(self, samples: Float32Array) -> None:
        mel = self._stream.push(samples)
        self._mel = np.concatenate([self._mel, mel])
        self._loudest = max(self._loudest, float(mel.max(initial=SILENCE)))
        self._measured += len(samples)

    def _know(self, stop: int) -> None:
        """Take the steps before `stop` that are not known yet."""
        if stop <= self._steps:
            return
        first, window = self._steps, self._window
        ending = self._stream.ending()
        mel = np.concatenate([self._mel, ending])
        if not self._ended:
            window.settle(first, lambda start, end: self._loudness(mel, start, end))
        wanted = stop if self._read_from is None else min(max(self._read_from, window.start), stop)
        if wanted < first:  # it rested, and the encoder has not heard these yet
            for _ in range(min(first - wanted, len(self._kept))):
                self._kept.pop()
        else:
            self._kept.extend([self._unread] * (wanted - first))
        if wanted < stop:
            self._kept.extend(in_half_precision(self._states(mel, wanted, stop)))
            self._read_from = stop
        self._steps = stop
        start = window.start
        window.took(stop)
        self._mel = self._mel[FRAMES_PER_STEP * (window.start - start) :].copy()

    def _states(self, mel: Float32Array, first: int, stop: int) -> Float32Array:
        """Return the states of steps [first, stop), which pass to the window that follows."""
        window = self._window
        states = self._encode(mel, window.start)[first - window.start : stop - window.start]
        if window.following is None:
            return states
        start = max(first, window.following)
        after = self._encode(mel, window.following)[start - window.following : stop - window.following]
        passing = mix(states[start - first :], after, window.shares(start, stop))
        return np.concatenate([states[: start - first], passing])

    def _encode(self, mel: Float32Array, start: int) -> Float32Array:
        """Return the states of the window that begins with step `start`."""
        length = FRAMES_PER_STEP * self._encoder.window_steps
        part = mel[FRAMES_PER_STEP * (start - self._window.start) :][:length]
        return self._encoder.encode(fill_window(part, self._reference(part), self._encoder))

    def _reference(self, mel: Float32Array) -> float:
        """Return the value that the floor lies below: the largest in the window, or in the voice so far."""
        loudest = float(mel.max(initial=SILENCE))
        return max(loudest, self._loudest) if self._encoder.audio_spec.floor == "voice" else loudest

    def _loudness(self, mel: Float32Array, start: int, stop: int) -> Float32Array:
        """Return how loud steps [start, stop) are, as far as they are known."""
        spectrum = fill_window(mel[: FRAMES_PER_STEP * self._encoder.window_steps], self._reference(mel), self._encoder)
        stop = min(stop, self._measured // SAMPLES_PER_STEP)
        return loudness_of(spectrum)[start - self._window.start : stop - self._window.start]
