"""What is heard of a voice every 10 ms: energy in bands, and how noise-like it is."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

_Floats: TypeAlias = npt.NDArray[np.floating]

RATE = 16_000  # Hz
HOP = 160  # samples: 10 ms
HOPS_PER_SECOND = RATE // HOP
WINDOW = 512  # samples: 32 ms, centred on the hop
BLOCK = 5  # hops analysed and judged at once, always the same ones, so that the result cannot depend on the pushes
NOTHING = 1e-12  # mean square; the level of digital silence is taken as -120 dB

# What is kept of a hop: energy in bands (Hz), and how noise-like it is.
# The first holds the first two formants of open vowels but neither the hum of closed lips (m, b, v) nor hissing.
_BANDS = ((300, 2500), (1700, 3200), (500, 1400), (150, 550), (800, 3000))
LOUD, FRONT, MIDDLE, LOW, UPPER = range(5)
NOISINESS, _VOICED = 5, (200, 3500)  # geometric over arithmetic mean of the spectrum in between
HISSING, _HISS = 6, (3500, 7600)  # s, f and sh, which the loud band leaves out
FEATURES = 7

_LEAD_IN = (WINDOW - HOP) // 2  # samples of silence that centre the first window on the first hop
_NEEDED = (BLOCK - 1) * HOP + WINDOW  # samples that a block is made of


class HopAnalyser:
    """Measures the hops of a voice as its samples come."""

    def __init__(self) -> None:
        self._pending: list[Float32Array] = [np.zeros(_LEAD_IN, np.float32)]
        self._waiting = _LEAD_IN

    def push(self, samples: Float32Array) -> list[Float32Array]:
        """Return the blocks of hops that are known now: float32 [BLOCK, FEATURES] each.

        Args:
            samples: float32 [n], 16 kHz mono, nominally -1 to 1, of any length.
        """
        self._pending.append(np.array(samples, np.float32))
        self._waiting += len(samples)
        if self._waiting < _NEEDED:
            return []
        heard, blocks, start = np.concatenate(self._pending), [], 0
        while start + _NEEDED <= len(heard):
            blocks.append(_features(heard[start : start + _NEEDED]))
            start += BLOCK * HOP
        self._pending, self._waiting = [heard[start:].copy()], len(heard) - start
        return blocks

    def finish(self) -> tuple[list[Float32Array], int]:
        """Return the blocks at the end, filled up with silence, and how many hops of the last samples they hold."""
        left = max(0, -(-(self._waiting - _LEAD_IN) // HOP))
        count = -(-left // BLOCK)
        return self.push(np.zeros(count * BLOCK * HOP + WINDOW, np.float32))[:count], left


@lru_cache(maxsize=1)
def _tables() -> tuple[_Floats, _Floats, slice]:
    """Return the window, what turns a power spectrum into mean squares in bands and in hiss, the bins of noisiness."""
    window = np.hanning(WINDOW + 1)[:-1]
    frequency = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    low, high = np.transpose((*_BANDS, _HISS))
    inside = (frequency[:, None] >= low) & (frequency[:, None] < high)
    bands = inside * (2 / (WINDOW * np.square(window).sum()))
    return window, bands, slice(*np.searchsorted(frequency, _VOICED).tolist())


def _features(samples: Float32Array) -> Float32Array:
    """Return the features of the hops that fill BLOCK windows: float32 [BLOCK, FEATURES]."""
    window, bands, speech = _tables()
    windows = np.stack([samples[hop * HOP : hop * HOP + WINDOW] for hop in range(BLOCK)])
    spectrum = np.fft.rfft(windows * window, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    features = np.empty((BLOCK, FEATURES), np.float32)
    energy = power @ bands
    features[:, :NOISINESS], features[:, HISSING] = energy[:, :-1], energy[:, -1]
    heard = power[:, speech] + NOTHING
    features[:, NOISINESS] = np.exp(np.log(heard).mean(axis=1)) / heard.mean(axis=1)
    return features
