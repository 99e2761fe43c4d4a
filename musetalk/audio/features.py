"""A voice's Whisper features: log-mel, encoder, and windows joined so that no seam shows; streamed to disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from musetalk.audio.feature_store import FeatureCache, FeatureFile, write_features
from musetalk.audio.mel import SILENCE, mel_of_segments, mel_of_voice, regroup, scale_log_mel
from musetalk.audio.spool import Spool
from musetalk.audio.types import FRAMES_PER_STEP, SAMPLES_PER_STEP, Seams, SpeechEncoder
from musetalk.progress import CancelToken
from musetalk.utils.arrays import Float32Array

_REVISION = 1  # raise with every change of what the features of a voice are


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


def plan_seams(steps: int, window_steps: int, seams: Seams) -> SeamPlan:
    """Lay windows of `window_steps` over a voice of `steps`.

    "smooth": they overlap by a third (10 s of 30), the last one by more, so that it is as full as the others. But for
    2.5 s at either end, an overlap is where the passage may lie: 5 s, and speech rarely goes on for that long without
    a pause. "upstream": end to end, the last one filled up with what `AudioFeatureSpec.after_voice` says.
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


def measure_features(
    blocks: Iterable[Float32Array],
    encoder: SpeechEncoder,
    path: Path,
    *,
    seams: Seams = "smooth",
    cache: FeatureCache | None = None,
    on_step: Callable[[int, int], None] | None = None,
    cancel: CancelToken | None = None,
) -> FeatureFile:
    """Measure the features of a voice.

    Reads the blocks as they come, once; how the samples are cut into blocks changes nothing. Memory does not grow
    with the voice: its log-mel (32 kB a second) waits in a temporary file, its features go to `path`.

    A voice that one window holds has the features that upstream gives it, whatever `seams` says (all but the last
    12 ms of a voice that fills the window to the brim). A longer voice gets windows that overlap, and passes from one
    to the next where it is quietest; its log-mel is that of the whole voice. With "upstream", windows follow end to
    end, each measured as upstream does, seams and all.

    Args:
        blocks: float32 [n] each, 16 kHz mono, about -1 to 1, of any lengths.
        encoder: Makes the features.
        path: The .npy file to make, in an existing folder with room for 192 kB per second (Whisper tiny) beside the
            log-mel.
        seams: How windows are joined.
        cache: Where the features may be found, and are put otherwise.
        on_step: Told steps done and steps in all after each window.
        cancel: Ends the work between two windows.

    Raises:
        OutputError: The disk is full or cannot be written to.
        Cancelled: `cancel` was set.
    """
    with Spool(path.parent, encoder.filters.shape[1], "the voice's spectrum") as scratch:
        heard = _hear(blocks, encoder, seams, scratch, cancel)
        key = _key(heard.digest, encoder, seams)
        found = cache.fetch(key, path) if cache else None
        if found is not None:
            return found
        plan = plan_seams(heard.steps, encoder.window_steps, seams)
        windows = _encode_windows(scratch, heard, plan, encoder, on_step=on_step, cancel=cancel)
        shape = (heard.steps, encoder.states, encoder.width)
        features = write_features(path, shape, _join(windows, plan))
    if cache is not None:
        cache.store(key, features)
    return features


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is known of a voice once it was read.

    Attributes:
        steps: Encoder steps that it fills.
        loudest: Its largest log-mel; None: each window is judged by its own.
        digest: Of its samples.
    """

    steps: int
    loudest: float | None
    digest: str


def _hear(
    blocks: Iterable[Float32Array], encoder: SpeechEncoder, seams: Seams, scratch: Spool, cancel: CancelToken | None
) -> _Heard:
    """Read the voice, and put its log-mel into `scratch`."""
    digest = hashlib.sha256()
    samples = 0

    def pieces() -> Iterator[Float32Array]:
        nonlocal samples
        for piece in regroup(blocks, encoder.window_steps * SAMPLES_PER_STEP):
            if cancel is not None:
                cancel.check()
            digest.update(piece.tobytes())
            samples += len(piece)
            yield piece

    alone = seams == "upstream" and encoder.audio_spec.floor == "segment"
    if alone:
        mels = mel_of_segments(pieces(), encoder.filters, encoder.window_steps * FRAMES_PER_STEP)
    else:
        mels = mel_of_voice(pieces(), encoder.filters, encoder.audio_spec.after_voice)
    loudest = SILENCE
    for mel in mels:
        loudest = max(loudest, float(mel.max(initial=SILENCE)))
        scratch.append(mel)
    return _Heard(samples // SAMPLES_PER_STEP, None if alone else loudest, digest.hexdigest())


def _key(digest: str, encoder: SpeechEncoder, seams: Seams) -> str:
    """Return what features depend on."""
    return hashlib.sha256(f"{_REVISION} {seams} {encoder.fingerprint} {digest}".encode()).hexdigest()


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


def _encode_windows(
    scratch: Spool,
    heard: _Heard,
    plan: SeamPlan,
    encoder: SpeechEncoder,
    *,
    on_step: Callable[[int, int], None] | None,
    cancel: CancelToken | None,
) -> Iterator[_Window]:
    """Yield the windows of a voice, in order."""
    length = encoder.window_steps
    for start in plan.starts:
        if cancel is not None:
            cancel.check()
        mel = scratch.read(start * FRAMES_PER_STEP, length * FRAMES_PER_STEP)
        loudest = float(mel.max(initial=SILENCE)) if heard.loudest is None else heard.loudest
        spectrum = fill_window(mel, loudest, encoder)
        loudness = loudness_of(spectrum)
        stop = min(start + length, heard.steps)
        yield _Window(start, encoder.encode(spectrum)[: stop - start], loudness[: stop - start])
        if on_step is not None:
            on_step(stop, heard.steps)


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


def _join(windows: Iterable[_Window], plan: SeamPlan) -> Iterator[Float32Array]:
    """Yield the states of the voice, in order, passing from window to window."""
    before: _Window | None = None
    used = 0  # steps of `before` that were yielded already, or lie before the passage into it
    for window in windows:
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


def _quietest(loudness: Float32Array, plan: SeamPlan) -> int:
    """Return where in an overlap the passage begins, so that it is quiet during it and shortly before and after."""
    allowed = loudness[plan.margin : len(loudness) - plan.margin]
    average = np.convolve(allowed, np.ones(2 * plan.fade), mode="valid")
    return plan.margin + int(average.argmin()) + plan.fade // 2


def mix(before: Float32Array, after: Float32Array, share: npt.NDArray[np.float64]) -> Float32Array:
    """Return states between two windows': float32 [n, states, width], of which `share` [n] is `after`'s."""
    return np.asarray(before + share.astype(np.float32)[:, None, None] * (after - before), np.float32)
