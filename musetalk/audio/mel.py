"""Whisper's log-mel spectrum, computed piece by piece: memory does not grow with the voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

# Whisper's analysis (Radford et al., 2022, section 2.2): windows of 25 ms every 10 ms at 16 kHz.
FFT_SIZE = 400
HOP = 160
SILENCE = -10.0  # log10 of the least power told apart
_LEAST = 1e-10
_RANGE = 8.0  # in log10 of power: 80 dB
_REACH = FFT_SIZE // 2  # how far a frame reaches to either side of its centre, in samples


def log_mel(samples: Float32Array, filters: npt.NDArray[np.float64]) -> Float32Array:
    """Measure the frames that lie wholly within the samples.

    Args:
        samples: float32 [n], 16 kHz.
        filters: [201, bands], see `SpeechEncoder.filters`.

    Returns:
        float32 [frames, bands], log10 of power, at least `SILENCE`; frame i is centred on sample 200 + 160 i.
    """
    if len(samples) < FFT_SIZE:
        return np.zeros((0, filters.shape[1]), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SIZE)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * _window(), axis=1)))
    return np.log10(np.maximum(power @ filters, _LEAST)).astype(np.float32)


def scale_log_mel(mel: Float32Array, loudest: float) -> Float32Array:
    """Cut off what lies 80 dB or more below the loudest (in log10 of power), and scale as Whisper expects it."""
    return ((np.maximum(mel, np.float32(loudest - _RANGE)) + 4) / 4).astype(np.float32)


def regroup(blocks: Iterable[Float32Array], size: int) -> Iterator[Float32Array]:
    """Cut a voice into pieces of `size` samples, the last one shorter; NaN becomes silence."""
    pending: list[Float32Array] = []
    waiting = 0
    for block in blocks:
        pending.append(numbers_only(block))
        waiting += len(block)
        if waiting < size:
            continue
        samples = np.concatenate(pending)
        whole = waiting - waiting % size
        for start in range(0, whole, size):
            yield samples[start : start + size]
        pending, waiting = [samples[whole:].copy()], waiting - whole
    if waiting:
        yield np.concatenate(pending)


def numbers_only(samples: Float32Array) -> Float32Array:
    """Return the samples with silence where there is no finite number, as float32."""
    return np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def mel_of_voice(
    pieces: Iterable[Float32Array], filters: npt.NDArray[np.float64], after_voice: Literal["silence", "zero"]
) -> Iterator[Float32Array]:
    """Measure a voice as one: no frame depends on where the pieces end.

    Args:
        pieces: float32 [n] each, all but the last of at least 201 samples.
        filters: See `log_mel`.
        after_voice: "silence": zero samples follow the voice, up to the last frame that hears any of it.
            "zero": the end is mirrored, and frames end with the voice (see `AudioFeatureSpec.after_voice`).

    Yields:
        float32 [frames, bands] as `log_mel` does; frame i of all is centred on sample 160 i of the voice.
    """
    stream = MelStream(filters, after_voice)
    for piece in pieces:
        yield stream.push(piece)
    if stream.started:
        yield stream.ending()


class MelStream:
    """A voice's log-mel, measured while it is heard: each frame once, from less than 25 ms of samples that are kept.

    How the voice is cut into pieces changes no bit of it. `copy.copy` keeps it as it is now.

    Args:
        filters: See `log_mel`.
        after_voice: See `mel_of_voice`.
    """

    def __init__(self, filters: npt.NDArray[np.float64], after_voice: Literal["silence", "zero"]) -> None:
        self._filters = filters
        self._after_voice = after_voice
        self._rest: Float32Array | None = None  # replaced, never written to

    @property
    def started(self) -> bool:
        """Whether anything was heard."""
        return self._rest is not None

    def push(self, piece: Float32Array) -> Float32Array:
        """Return the frames, float32 [frames, bands], that are known with this piece, float32 [n].

        The first piece has at least 201 samples, unless it is all of the voice.
        """
        samples = _mirrored_start(piece) if self._rest is None else np.concatenate([self._rest, piece])
        mel = log_mel(samples, self._filters)
        self._rest = samples[len(mel) * HOP :].copy()
        return mel

    def ending(self) -> Float32Array:
        """Return the frames that are left if the voice ends here: float32 [frames, bands]. It may go on."""
        if self._rest is None:
            return np.zeros((0, self._filters.shape[1]), np.float32)
        if self._after_voice == "silence":
            return log_mel(np.pad(self._rest, (0, FFT_SIZE - 1)), self._filters)
        # Without this frame count, a voice of a length that 160 does not divide would end in one frame more.
        frames = max(len(self._rest) - _REACH, 0) // HOP
        ending = np.concatenate([self._rest, self._rest[-_REACH - 1 : -1][::-1]])
        return log_mel(ending, self._filters)[:frames]


def mel_of_segments(
    pieces: Iterable[Float32Array], filters: npt.NDArray[np.float64], frames: int
) -> Iterator[Float32Array]:
    """Measure each piece of a voice for itself, as transformers' feature extractor does: padded, both ends mirrored.

    Args:
        pieces: float32 [160 frames] each, the last one may be shorter.
        filters: See `log_mel`.
        frames: Frames wanted of each.

    Yields:
        float32 [frames, bands] as `log_mel` does.
    """
    for piece in pieces:
        whole = np.pad(piece, (0, frames * HOP - len(piece)))
        yield log_mel(np.pad(whole, _REACH, mode="reflect"), filters)[:frames]


def _mirrored_start(piece: Float32Array) -> Float32Array:
    padded = np.pad(piece, (0, max(_REACH + 1 - len(piece), 0)))
    return np.concatenate([padded[_REACH:0:-1], piece])


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float64]:
    window = np.hanning(FFT_SIZE + 1)[:-1]
    window.setflags(write=False)
    return window
