"""A voice's Whisper features: heard whole, in windows that are joined so that no seam shows, or as live; on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from musetalk.audio.feature_store import FeatureCache, FeatureFile, write_features
from musetalk.audio.live_voice import HOP_STEPS, LOOKAHEAD_STEPS, SlidingVoice
from musetalk.audio.mel import SILENCE, mel_of_segments, mel_of_voice, regroup
from musetalk.audio.seams import SeamPlan, fill_window, loudness_of, mix, plan_seams
from musetalk.audio.spool import Spool
from musetalk.audio.types import FRAMES_PER_STEP, SAMPLES_PER_STEP, Seams, SpeechEncoder, WholeSeams
from musetalk.progress import CancelToken
from musetalk.utils.arrays import Float32Array

_REVISION = 1  # raise with every change of what the features of a voice are


def measure_features(
    blocks: Iterable[Float32Array],
    encoder: SpeechEncoder,
    path: Path,
    *,
    seams: Seams = "smooth",
    lookahead_steps: int = LOOKAHEAD_STEPS,
    wanted: range | None = None,
    cache: FeatureCache | None = None,
    on_step: Callable[[int, int], None] | None = None,
    cancel: CancelToken | None = None,
) -> FeatureFile:
    """Measure the features of a voice.

    Reads the blocks as they come, once; how the samples are cut into blocks changes nothing. Memory does not grow
    with the voice: its log-mel (32 kB a second), or with "live" its samples (64 kB a second), wait in a temporary file,
    its features go to `path`.

    A voice that one window holds has the features that upstream gives it, with "smooth" as with "upstream" (all but the
    last 12 ms of a voice that fills the window to the brim). A longer voice gets windows that overlap, and passes from
    one to the next where it is quietest; its log-mel is that of the whole voice. With "upstream", windows follow end to
    end, each measured as upstream does, seams and all. With "live", a `SlidingVoice` hears it: each step as if the
    voice ended a look-ahead behind it, at the cost of a window for each 80 ms.

    Args:
        blocks: float32 [n] each, 16 kHz mono, about -1 to 1, of any lengths.
        encoder: Makes the features.
        path: The .npy file to make, in an existing folder with room for 192 kB per second (Whisper tiny) beside what
            waits.
        seams: How windows are joined.
        lookahead_steps: Steps that are heard beyond a step with "live".
        wanted: With "live", the steps that will be read: what only others need is left out. None: any.
        cache: Where the features may be found, and are put otherwise.
        on_step: Told steps done and steps in all after each window.
        cancel: Ends the work between two windows.

    Raises:
        OutputError: The disk is full or cannot be written to.
        Cancelled: `cancel` was set.
        ValueError: The encoder's window is too short for the look-ahead.
    """
    hearing: _Hearing = _Live(encoder, lookahead_steps, wanted) if seams == "live" else _Whole(encoder, seams)
    with Spool(path.parent, hearing.columns, hearing.what) as scratch:
        heard = _hear(blocks, hearing, encoder.window_steps * SAMPLES_PER_STEP, scratch, cancel)
        key = hashlib.sha256(f"{_REVISION} {hearing.name} {encoder.fingerprint} {heard.digest}".encode()).hexdigest()
        found = cache.fetch(key, path) if cache else None
        if found is not None:
            return found

        def watch(done: int) -> None:
            if on_step is not None:
                on_step(done, heard.steps)
            if cancel is not None:
                cancel.check()

        shape = (heard.steps, encoder.states, encoder.width)
        features = write_features(path, shape, hearing.encode(scratch, heard, watch))
    if cache is not None:
        cache.store(key, features)
    return features


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is known of a voice once it was read.

    Attributes:
        samples: Its length.
        largest: The largest number of what waits.
        digest: Of its samples.
    """

    samples: int
    largest: float
    digest: str

    @property
    def steps(self) -> int:
        """Encoder steps that it fills."""
        return self.samples // SAMPLES_PER_STEP


class _Hearing(Protocol):
    """How a voice is heard, in two turns: it is read once, what came of it waits on disk, and that is encoded."""

    @property
    def name(self) -> str:
        """What of it features depend on."""
        ...

    @property
    def columns(self) -> int:
        """Numbers in a row of what waits."""
        ...

    @property
    def what(self) -> str:
        """What waits, for errors."""
        ...

    def measure(self, pieces: Iterator[Float32Array]) -> Iterator[Float32Array]:
        """Yield what waits, float32 [n, columns] each, of a voice's samples."""
        ...

    def encode(self, scratch: Spool, heard: _Heard, watch: Callable[[int], None]) -> Iterator[Float32Array]:
        """Yield the states, float32 [n, states, width] each, in order; `watch` is told how many steps were encoded."""
        ...


def _hear(
    blocks: Iterable[Float32Array], hearing: _Hearing, piece_samples: int, scratch: Spool, cancel: CancelToken | None
) -> _Heard:
    """Read the voice, and put what waits of it into `scratch`."""
    digest = hashlib.sha256()
    samples = 0

    def pieces() -> Iterator[Float32Array]:
        nonlocal samples
        for piece in regroup(blocks, piece_samples):
            if cancel is not None:
                cancel.check()
            digest.update(piece.tobytes())
            samples += len(piece)
            yield piece

    largest = SILENCE
    for rows in hearing.measure(pieces()):
        largest = max(largest, float(rows.max(initial=SILENCE)))
        scratch.append(rows)
    return _Heard(samples, largest, digest.hexdigest())


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """One window's part of the voice.

    Attributes:
        start: Its first step.
        states: float32 [n, states, width].
        loudness: float32 [n], of each step.
    """

    start: int
    states: Float32Array
    loudness: Float32Array


@dataclass(frozen=True, slots=True)
class _Whole:
    """Hears a voice in windows that know all of it; its log-mel waits.

    Attributes:
        encoder: Makes the states.
        name: How windows are joined.
    """

    encoder: SpeechEncoder
    name: WholeSeams
    what: str = "the voice's spectrum"

    @property
    def columns(self) -> int:
        """Bands of the log-mel."""
        bands: int = self.encoder.filters.shape[1]
        return bands

    @property
    def _alone(self) -> bool:
        """Whether each window is measured and judged by itself."""
        return self.name == "upstream" and self.encoder.audio_spec.floor == "segment"

    def measure(self, pieces: Iterator[Float32Array]) -> Iterator[Float32Array]:
        """Yield the log-mel."""
        if self._alone:
            return mel_of_segments(pieces, self.encoder.filters, self.encoder.window_steps * FRAMES_PER_STEP)
        return mel_of_voice(pieces, self.encoder.filters, self.encoder.audio_spec.after_voice)

    def encode(self, scratch: Spool, heard: _Heard, watch: Callable[[int], None]) -> Iterator[Float32Array]:
        """Yield the states of the voice, in order, passing from window to window."""
        plan = plan_seams(heard.steps, self.encoder.window_steps, self.name)
        before: _Window | None = None
        used = 0  # steps of `before` that were yielded already, or lie before the passage into it
        for window in self._windows(scratch, heard, plan, watch):
            if before is not None:
                hop = window.start - before.start
                seam = _quietest(window.loudness[: len(before.states) - hop], plan) if plan.fade else 0
                yield before.states[used : hop + seam]
                used = seam + plan.fade
                share = np.arange(1, plan.fade + 1) / (plan.fade + 1)
                yield mix(before.states[hop + seam : hop + used], window.states[seam:used], share)
            before = window
        if before is not None:
            yield before.states[used:]

    def _windows(
        self, scratch: Spool, heard: _Heard, plan: SeamPlan, watch: Callable[[int], None]
    ) -> Iterator[_Window]:
        """Yield the windows of the voice, in order."""
        length = self.encoder.window_steps
        for start in plan.starts:
            mel = scratch.read(start * FRAMES_PER_STEP, length * FRAMES_PER_STEP)
            loudest = float(mel.max(initial=SILENCE)) if self._alone else heard.largest
            spectrum = fill_window(mel, loudest, self.encoder)
            loudness = loudness_of(spectrum)
            stop = min(start + length, heard.steps)
            yield _Window(start, self.encoder.encode(spectrum)[: stop - start], loudness[: stop - start])
            watch(stop)


def _quietest(loudness: Float32Array, plan: SeamPlan) -> int:
    """Return where in an overlap the passage begins, so that it is quiet during it and shortly before and after."""
    allowed = loudness[plan.margin : len(loudness) - plan.margin]
    average = np.convolve(allowed, np.ones(2 * plan.fade), mode="valid")
    return plan.margin + int(average.argmin()) + plan.fade // 2


@dataclass(frozen=True, slots=True)
class _Live:
    """Hears a voice as if it arrived; its samples wait.

    Attributes:
        encoder: Makes the states.
        lookahead: Steps that are heard beyond a step before it is known.
        wanted: Steps that will be read; None: any.
    """

    encoder: SpeechEncoder
    lookahead: int
    wanted: range | None
    columns: int = 1
    what: str = "the voice"

    @property
    def name(self) -> str:
        """What of it features depend on."""
        return f"live {HOP_STEPS} {self.lookahead} {self.wanted}"

    def measure(self, pieces: Iterator[Float32Array]) -> Iterator[Float32Array]:
        """Yield the samples as they are."""
        return (piece[:, None] for piece in pieces)

    def encode(self, scratch: Spool, heard: _Heard, watch: Callable[[int], None]) -> Iterator[Float32Array]:
        """Yield the states as they get known."""
        voice = SlidingVoice(self.encoder, HOP_STEPS, self.lookahead)
        known, hop = 0, HOP_STEPS * SAMPLES_PER_STEP
        if self.wanted is not None:
            voice.rest()
            voice.go_on(max(0, self.wanted.start))
        for start in range(0, heard.samples, hop):
            if self.wanted is not None and known >= self.wanted.stop:
                voice.rest()
            voice.push(scratch.read(start, hop)[:, 0])
            if start + hop >= heard.samples:
                voice.end()
            yield voice.read(known, voice.steps)
            known = voice.steps
            voice.forget(known)
            watch(known)
