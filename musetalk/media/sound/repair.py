"""Repair of float samples in place: NaN, and far too large values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from musetalk.errors import VoiceError
from musetalk.media.sound.wav import WavFile
from musetalk.progress import CancelToken
from musetalk.utils.arrays import Float32Array

LOUDEST = 8.0  # times full scale, 18 dB over: no recording is
_FLAWED = Fraction(1, 2)  # of all samples: what is left is no recording
_FEW = Fraction(1, 100)  # of all samples too large: errors; more of them are another scale
_GAP_SECONDS = 0.002  # up to here missing samples are drawn as a line, which is not heard
_BLOCK = 2**18  # samples


def repair(file: WavFile, what: str, cancel: CancelToken | None = None) -> tuple[str, ...]:
    """Fill in samples that are NaN, infinite or far too large, and turn down what was written in another scale.

    Args:
        file: The recording; is changed.
        what: "the voice "a.wav"", for messages.
        cancel: Ends the work.

    Returns:
        What was done, a sentence each.

    Raises:
        VoiceError: So much is wrong that nothing can be made of it.
    """
    total = max(1, file.samples * file.channels)
    numbers = [_numbers(block) for block in file.blocks(_BLOCK, cancel)]
    unknown, large = (sum(count) for count in zip(*((n[0], n[1]) for n in numbers), strict=True))
    if Fraction(unknown, total) > _FLAWED:
        raise VoiceError(f"{what} holds no sound: most of its samples are no numbers", "save it again, as 16-bit WAV")
    peak = max(number[2] for number in numbers)
    rescaled = Fraction(large, total) > _FEW
    filled = 0
    for block in file.blocks(_BLOCK, cancel):  # they lie in the file
        wrong = ~np.isfinite(block) if rescaled else ~(np.abs(block) <= LOUDEST)
        filled += int(np.count_nonzero(wrong))
        for channel in np.flatnonzero(wrong.any(axis=0)):
            block[:, channel] = _filled(block[:, channel], wrong[:, channel], round(_GAP_SECONDS * file.rate))
        if rescaled:
            np.divide(block, np.float32(peak), out=block)
    said = []
    if filled:
        said.append(
            f"{what} holds {filled} samples that are no sound (NaN, infinite or far too large): they are filled in"
        )
    if rescaled:
        said.append(f"{what} is up to {peak:.0f} times as loud as full scale: it is turned down")
    return tuple(said)


def _numbers(block: Float32Array) -> tuple[int, int, float]:
    """Return how many samples of a block are NaN, how many too large, and the largest."""
    size = np.abs(block)
    finite = np.isfinite(size)
    return (
        int(np.count_nonzero(~finite)),
        int(np.count_nonzero(size[finite] > LOUDEST)),
        float(size[finite].max(initial=0)),
    )


def _filled(samples: Float32Array, wrong: np.ndarray, longest: int) -> Float32Array:
    """Return the samples of a channel with the wrong ones on a line between their neighbours.

    Silent where many follow.
    """
    good = np.flatnonzero(~wrong)
    if len(good) == 0:
        return np.zeros_like(samples)
    places = np.flatnonzero(wrong)
    values = np.interp(places, good, samples[good])
    after = np.searchsorted(good, places)
    gap = np.append(good, len(samples))[after] - np.concatenate([[-1], good])[after] - 1
    values[gap > longest] = 0
    result = samples.copy()
    result[places] = values
    return result
