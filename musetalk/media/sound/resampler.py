"""Resampling as samples come: band-limited, in phase, without drift, and the same however they are cut."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np

from musetalk.utils.arrays import Float32Array, Float64Array

_PASSED = 0.95  # of the lower of the two Nyquist frequencies: up to there nothing is lost
_ATTENUATION = 90.0  # dB, of what lies above that frequency, which would come back as other tones
_BETA = 0.1102 * (_ATTENUATION - 8.7)  # Kaiser's design: https://ccrma.stanford.edu/~jos/sasp/Kaiser_Window.html
_HALF = (_ATTENUATION - 7.95) / (2.285 * math.pi * (1 - _PASSED)) / 2  # samples at the lower rate: half a filter
_FINE = 1024  # places between samples at the lower rate where the filter is known; straight lines between: -118 dB
_BLOCK = 160  # samples whose filters are kept together
_GROUP = 8  # samples at most that are made of the same inputs
_UNDIVIDED = 9000  # numbers of a matrix up to which OpenBLAS multiplies it in one thread: to share less takes longer
_KEPT_BYTES = 2**26  # of filters; common rates need 0.1 to 2 MB


class Resampler:
    """Brings mono samples of any rate to another one.

    A windowed sinc (Kaiser): flat to 95 % of the lower Nyquist frequency, 90 dB down above it, in linear phase, its
    delay made up for: sample 0 stays at time 0. What comes before the first sample and after the last is silence.
    Positions are whole numbers, so nothing drifts. Cost and memory do not grow. Between equal rates nothing changes.

    Args:
        rate: Samples a second that are pushed.
        wanted: Samples a second that come back.
    """

    def __init__(self, rate: int, wanted: int) -> None:
        common, lower = math.gcd(rate, wanted), min(rate, wanted)
        self._rate, self._wanted = rate, wanted
        self._steps, self._per_step = rate // common, wanted // common  # a sample out is steps / per_step samples in
        self._lower = lower / rate  # samples at the lower rate to one that is pushed
        self._half = math.ceil(_HALF / self._lower)
        self._group = next((size for size in (_GROUP, 4, 2) if size * self._heard_by(size) < _UNDIVIDED), 1)
        self._heard = self._heard_by(self._group)  # inputs that a group is made of
        self._table = _filter_table()
        self._filters: dict[int, Float32Array] = {}
        self._pending: list[Float32Array] = [np.zeros(self._half, np.float32)]
        self._first = -self._half  # number of the first pending sample
        self._received = self._made = 0

    @property
    def lookahead(self) -> Fraction:
        """How many seconds of sound after a sample have to be known at most before it is handed out.

        Half the filter, 7 ms (from 8 kHz 14 ms), and half a millisecond, as samples are made in groups.
        """
        return Fraction(0) if self._rate == self._wanted else Fraction(self._heard - self._half, self._rate)

    def push(self, samples: Float32Array) -> Float32Array:
        """Return the samples that are known now, after more were heard: float32 [m].

        Args:
            samples: float32 [n], finite.
        """
        self._received += len(samples)
        if self._rate == self._wanted:
            self._made += len(samples)
            return np.array(samples, np.float32)
        self._pending.append(np.array(samples, np.float32))
        return self._make(self._received, None)

    def finish(self) -> Float32Array:
        """Return the rest: in all there are round(n * wanted / rate) samples, halves up."""
        total = (2 * self._received * self._wanted + self._rate) // (2 * self._rate)
        missing = self._heard + self._half
        self._pending.append(np.zeros(missing, np.float32))
        return self._make(self._received + missing, total)

    def _heard_by(self, group: int) -> int:
        return math.ceil(Fraction(group * self._steps, self._per_step)) + 2 * self._half

    def _make(self, known: int, stop: int | None) -> Float32Array:
        """Return the samples from the next one on, up to number `stop` or as far as inputs before `known` tell."""
        # The last group whose inputs are known; it begins at or before (known - heard + half).
        last = ((known - self._heard + self._half + 1) * self._per_step - 1) // self._steps // self._group * self._group
        end = last + self._group if stop is None else stop
        if self._made >= end:
            return np.zeros(0, np.float32)
        heard, made = np.concatenate(self._pending), []
        windows = np.lib.stride_tricks.sliding_window_view(heard, self._heard)
        at = self._made
        while at < end:
            block, inside = at // _BLOCK, at % _BLOCK // self._group
            groups = np.arange(at, min(end, (block + 1) * _BLOCK), self._group)
            starts = groups * self._steps // self._per_step - self._half - self._first
            filters = self._block_filters(block)[inside : inside + len(groups)]
            made.append(np.matmul(filters, windows[starts][:, :, None]).ravel())
            at += len(groups) * self._group
        result = np.concatenate(made)[: end - self._made]
        self._made = at
        first = at * self._steps // self._per_step - self._half
        self._pending = [heard[first - self._first :].copy()]
        self._first = first
        return result

    def _block_filters(self, block: int) -> Float32Array:
        """Return the filters of a block's groups: float32 [groups, samples of a group, heard]."""
        phase = block * _BLOCK * self._steps % self._per_step
        known = self._filters.get(phase)
        if known is None:
            known = self._design(phase)
            if (len(self._filters) + 1) * known.nbytes <= _KEPT_BYTES:
                self._filters[phase] = known
        return known

    def _design(self, phase: int) -> Float32Array:
        """Return the filters of a block that begins `phase` / per_step behind an input."""
        whole, rest = np.divmod((phase + self._steps * np.arange(_BLOCK)).reshape(-1, self._group), self._per_step)
        places = whole - whole[:, :1] + rest / self._per_step + self._half  # of each sample, in what its group hears
        away = np.abs(np.arange(self._heard) - places[:, :, None]) * (self._lower * _FINE)
        before = np.minimum(away.astype(np.int64), len(self._table) - 2)
        filters = self._table[before] + (away - before) * (self._table[before + 1] - self._table[before])
        filters[away >= len(self._table) - 1] = 0
        return np.asarray(filters / filters.sum(axis=2, keepdims=True), np.float32)


@cache
def _filter_table() -> Float64Array:
    """Return one half of the filter, from its middle on, at every _FINE-th of a sample at the lower rate; read-only.

    It is the same for all rates, and computed once: 117,000 Bessel functions take longer than a short voice.
    """
    away = np.arange(math.ceil(_HALF * _FINE) + 1) / _FINE
    inside = np.clip(1 - np.square(away / _HALF), 0, None)
    table = np.asarray(np.sinc((1 + _PASSED) / 2 * away) * np.i0(_BETA * np.sqrt(inside)) * (away <= _HALF))
    table.flags.writeable = False
    return table
