"""How loud a voice is, and what lies behind it, as far as it was heard: in bounded memory, forgetting slowly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from musetalk.audio.hops import HOPS_PER_SECOND
from musetalk.utils.arrays import Float64Array

_REMEMBERED = 15.0 * HOPS_PER_SECOND  # hops after which one counts a third: of speech for the voice, else of any sound
_LOUD = 0.95  # share of the voice's hops that are softer than its loud ones
_EARLY, _EARLY_SECONDS = 0.13, 1.5  # less of them while little was heard, of which the loudest word is no rule
_PEAK, _BELOW_PEAK = 0.99, 30.0  # what is so many dB below the loudest hundredth is no voice
_BACKGROUND = 0.1  # share of all hops that are no louder than what lies behind a voice that pauses
_CONTRAST = 20.0  # dB between both, below which the quietest tenth is no background but voice
_FAINTEST = -75.0  # dB; what is fainter tells nothing about a voice
_EXPECTED, _DOUBTED = -20.0, 50.0  # dB: how loud an unheard voice is thought to be; less so by this after a second
_TELLING = 10.0  # dB above the quietest tenth: what is louder is no background

# Noise is steady for as long as no syllable is: over 0.4 s levels deviate by 0.5 to 1.9 dB in white to rumbling noise,
# by 2.5 dB and more in speech. A sung note is as steady, but no noise; for two seconds not even that.
STEADY_HOPS, _STEADY, _NOISY = 40, 2.0, 0.08
_SOON_HOPS, _SOON, _PLAINLY_NOISY = 20, 1.2, 0.3  # of noise of all frequencies this suffices, and at the beginning less
_TONE_HOPS, _TONE = 200, 0.25
_SINKING_HOPS, _SINKING = 10, 3.0  # a background that is that much quieter, for so long, is another one
ABOVE_NOISE = 6.0  # dB, by which a voice exceeds it


@dataclass(frozen=True, slots=True)
class Levels:
    """What is known of a voice at a moment, in dB relative to full scale.

    Attributes:
        loud: Of its loud parts.
        heard: Of the loud parts that were heard so far; `loud` is higher while little was.
        floor: Of the background in its pauses, or -inf.
        noise: Of steady noise behind it, or -inf.
    """

    loud: float
    heard: float
    floor: float
    noise: float


class Histogram:
    """How often values occurred, the newer ones counting more.

    Args:
        low: The lowest value that is told apart.
        high: The highest one.
        width: Of a bin.
    """

    def __init__(self, low: float, high: float, width: float) -> None:
        self._low, self._width = low, width
        self._counts: Float64Array = np.zeros(round((high - low) / width))

    def add(self, values: Float64Array) -> None:
        """Count values, and forget a little of those before."""
        if len(values) == 0:
            return
        self._counts *= math.exp(-len(values) / _REMEMBERED)
        for value in values.tolist():
            place = int((value - self._low) / self._width)
            self._counts[min(max(place, 0), len(self._counts) - 1)] += 1

    def above(self, value: float) -> int:
        """Return the first bin that lies above a value, which may be infinite."""
        place = (max(self._low, value) - self._low) / self._width
        return math.ceil(min(place, len(self._counts)))

    def count(self, first: int) -> float:
        """Return how much was counted from bin `first` on."""
        return float(self._counts[first:].sum())

    def quantiles(self, shares: tuple[float, ...], first: int = 0) -> list[float]:
        """Return below which values such shares of what was counted lie, from bin `first` on; -inf if nothing was."""
        sums = self._counts[first:].cumsum()
        total = float(sums[-1]) if len(sums) else 0.0
        if total <= 0:
            return [-math.inf] * len(shares)
        found = []
        for share in shares:
            place = min(int(sums.searchsorted(share * total)), len(sums) - 1)
            count = float(self._counts[first + place])
            inside = 1 - (float(sums[place]) - share * total) / count if count > 0 else 1.0
            found.append(self._low + (first + place + inside) * self._width)
        return found


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Some hops together: their level and by how much it deviates, in dB, and how noisy they are."""

    level: float
    deviation: float
    noisiness: float

    @classmethod
    def of(cls, hops: Float64Array) -> _Stretch:
        level, noisiness = (hops.sum(axis=0) / len(hops)).tolist()
        away = hops[:, 0] - level
        return cls(level, math.sqrt(float(away @ away) / len(hops)), noisiness)


class LevelTracker:
    """Follows the levels of a voice, a few hops at a time."""

    def __init__(self) -> None:
        self._voice, self._all = Histogram(-120, 20, 0.5), Histogram(-120, 20, 0.5)
        self._noise = -math.inf
        self._recent: Float64Array = np.zeros((0, 2))  # level and noisiness
        self._tone_hops = self._telling = 0

    def add(self, level: Float64Array, noisiness: Float64Array) -> Levels:
        """Return what is known after some more hops.

        Args:
            level: [n], of each hop, in dB.
            noisiness: [n], of each hop.
        """
        self._recent = np.concatenate([self._recent, np.stack([level, noisiness], axis=1)])[-STEADY_HOPS:]
        self._all.add(level)
        steady = self._steady_level(len(level))
        if steady is not None:
            self._noise = steady
        elif len(self._recent) >= _SINKING_HOPS:
            now = float(self._recent[-_SINKING_HOPS:, 0].max())
            self._noise = now if now < self._noise - _SINKING else self._noise
        self._voice.add(level[level > max(self._noise + ABOVE_NOISE, _FAINTEST)])
        return self._levels(level)

    def _steady_level(self, added: int) -> float | None:
        """Return the level of what was heard last, if it is steadier than any voice."""
        soon, long = _Stretch.of(self._recent[-_SOON_HOPS:]), _Stretch.of(self._recent)
        self._tone_hops = self._tone_hops + added if long.deviation < _TONE else 0
        if self._tone_hops >= _TONE_HOPS:
            return long.level
        if len(self._recent) == STEADY_HOPS and long.deviation < _STEADY and long.noisiness > _NOISY:
            return long.level
        least = _SOON if len(self._recent) >= _SOON_HOPS else _STEADY
        return soon.level if soon.deviation < least and soon.noisiness > _PLAINLY_NOISY else None

    def _levels(self, level: Float64Array) -> Levels:
        first = self._voice.above(self._noise + ABOVE_NOISE)
        peak = self._voice.quantiles((_PEAK,), first)[0]
        first = max(first, self._voice.above(peak - _BELOW_PEAK))
        share = _LOUD - _EARLY * math.exp(-self._voice.count(first) / HOPS_PER_SECOND / _EARLY_SECONDS)
        heard = self._voice.quantiles((share,), first)[0]
        background = self._all.quantiles((_BACKGROUND,))[0]
        self._telling += int(np.count_nonzero(level > background + _TELLING))
        loud = max(heard, _EXPECTED - _DOUBTED * self._telling / HOPS_PER_SECOND)
        return Levels(loud, heard, background if loud - background > _CONTRAST else -math.inf, self._noise)
