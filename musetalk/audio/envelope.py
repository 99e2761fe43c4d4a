"""How loud and how bright a voice is from frame to frame: what opens and shapes the preview's mouth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array, Int64Array

_Floats: TypeAlias = npt.NDArray[np.floating]
_Bools: TypeAlias = npt.NDArray[np.bool_]

_RATE = 16_000  # Hz
_HOP = 160  # samples: 10 ms
_HOPS_PER_SECOND = _RATE // _HOP
_WINDOW = 512  # samples: 32 ms, centred on the hop
_CHUNK = 200  # hops analysed at once, always the same ones, so that the result cannot depend on the blocks

# What is kept of a hop: energy in bands (Hz), and how noise-like it is.
# The first holds the first two formants of open vowels but neither the hum of closed lips (m, b, v) nor hissing.
_BANDS = ((300, 2500), (1700, 3200), (500, 1400), (150, 550), (800, 3000))
_LOUD, _FRONT, _MIDDLE, _LOW, _UPPER = range(5)
_NOISINESS = 5  # geometric over arithmetic mean of the spectrum between 200 and 3500 Hz
_HISSING, _HISS = 6, (3500, 7600)  # s, f and sh, which the loud band leaves out
_FEATURES = 7
_HISS_REACH = 30  # hops around speech: the longest that a word hisses on
_NOTHING = 1e-12  # mean square; the level of digital silence is taken as -120 dB


@dataclass(frozen=True, slots=True)
class EnvelopeSettings:
    """How a voice's loudness becomes openness.

    Attributes:
        attack: Time constant of opening, in milliseconds.
        release: Time constant of closing, in milliseconds.
        easing: Length of the average that takes the corners off the motion, in milliseconds.
        lead: By how much the mouth runs ahead of the sound, in milliseconds; makes up for attack and release.
        gate_open: Level above which silence ends, in dB relative to the voice's loud parts.
        gate_close: Level below which silence begins, in dB relative to the voice's loud parts.
        above_noise: By how much a level has to exceed the background noise to end silence, in dB.
        quietest: Loud parts below this level are no voice, in dB relative to full scale.
        exponent: Openness grows with amplitude to this power; below 1, soft syllables open more.
        spread_smoothing: Length of the average over spread, in milliseconds.
    """

    attack: float = 20.0
    release: float = 50.0
    easing: float = 70.0
    lead: float = 20.0
    gate_open: float = -26.0
    gate_close: float = -31.0
    above_noise: float = 8.0
    quietest: float = -65.0
    exponent: float = 0.7
    spread_smoothing: float = 90.0


class EnvelopeTrack:
    """A voice's openness and spread, one pair per output frame.

    Args:
        values: float32 [N, 2]: openness 0 to 1, spread -1 (rounded) to 1 (wide).
        activity: bool [N]: whether the frame lies in speech.
        heard: bool [N]: whether any speech is heard in the frame, see the property; None: the activity.
    """

    def __init__(self, values: Float32Array, activity: _Bools, heard: _Bools | None = None) -> None:
        self._values = values
        self._activity = activity
        self._heard = activity if heard is None else heard

    @property
    def frame_count(self) -> int:
        """Output frames that the voice covers."""
        return len(self._values)

    @property
    def activity(self) -> _Bools:
        """Whether each frame lies in speech: bool [frame_count]. Not to be written to."""
        return self._activity

    @property
    def heard(self) -> _Bools:
        """Whether any speech is heard during each frame, hissing included, not ahead of it: bool [frame_count]."""
        return self._heard

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), 0 <= start <= stop: float32 [stop - start, 2].

        Silence beyond.
        """
        result = np.zeros((stop - start, 2), np.float32)
        inside = self._values[start:stop]
        result[: len(inside)] = inside
        return result


def measure_envelope(
    blocks: Iterable[Float32Array],
    *,
    fps: Fraction,
    frame_count: int,
    settings: EnvelopeSettings | None = None,
) -> EnvelopeTrack:
    """Measure the envelope of a voice.

    Reads the blocks as they come and keeps a few numbers per 10 ms. How the samples are cut into blocks changes
    nothing.

    Args:
        blocks: float32 [n] each, 16 kHz mono, nominally -1 to 1, of any lengths.
        fps: Output frames a second.
        frame_count: Output frames wanted; frame k shows from k / fps to (k + 1) / fps.
        settings: How loudness becomes openness; None: the defaults.
    """
    settings = settings or EnvelopeSettings()
    features = list(_analyse(blocks))
    hops = np.concatenate(features) if features else np.zeros((0, _FEATURES), np.float32)
    level = 10 * np.log10(hops[:, _LOUD] + _NOTHING)
    loud = _loud_level(level, hops[:, _NOISINESS], settings)
    if loud is None:
        return EnvelopeTrack(np.zeros((frame_count, 2), np.float32), np.zeros(frame_count, np.bool_))
    speaking = _gate(level, loud, settings)
    openness = _average(_follow(_target(level, speaking, loud, settings), settings), settings.easing)
    spread = _spread(hops, speaking, openness, settings)
    first, fraction = _hops_of_frames(fps, frame_count, settings)
    values = np.stack([_sample(curve, first, fraction) for curve in (openness, spread)], axis=1)
    activity = _sample(speaking.astype(np.float64), first, fraction) >= 0.5
    heard = _during_frames(speaking | _hissing(hops[:, _HISSING], speaking, loud, settings), fps, frame_count)
    return EnvelopeTrack(values.astype(np.float32), activity, heard)


def _analyse(blocks: Iterable[Float32Array]) -> Iterator[Float32Array]:
    """Yield the features of consecutive hops, float32 [n, _FEATURES], _CHUNK hops at a time."""
    lead_in = (_WINDOW - _HOP) // 2  # centres the first window on the first hop
    needed = (_CHUNK - 1) * _HOP + _WINDOW
    pending = [np.zeros(lead_in, np.float32)]
    waiting = lead_in
    for block in blocks:
        pending.append(np.asarray(block, np.float32))
        waiting += len(block)
        if waiting < needed:
            continue
        samples = np.concatenate(pending)
        while len(samples) >= needed:
            yield _hop_features(samples[:needed])
            samples = samples[_CHUNK * _HOP :]
        pending, waiting = [samples.copy()], len(samples)
    rest = np.concatenate(pending)
    left = -(-(len(rest) - lead_in) // _HOP)
    while left > 0:
        padded = np.zeros(needed, np.float32)
        padded[: len(rest)] = rest[:needed]
        yield _hop_features(padded)[:left]
        rest, left = rest[_CHUNK * _HOP :], left - _CHUNK


@lru_cache(maxsize=1)
def _analysis_tables() -> tuple[_Floats, _Floats, _Floats, _Bools]:
    """Return the window, what turns a power spectrum into mean squares in bands and in hiss, the bins of noisiness."""
    window = np.hanning(_WINDOW + 1)[:-1]
    frequency = np.arange(_WINDOW // 2 + 1) * _RATE / _WINDOW
    low, high = np.transpose((*_BANDS, _HISS))
    inside = (frequency[:, None] >= low) & (frequency[:, None] < high)
    bands = inside * (2 / (_WINDOW * np.square(window).sum()))
    return window, bands[:, :-1].copy(), bands[:, -1].copy(), (frequency >= 200) & (frequency < 3500)


def _hop_features(samples: Float32Array) -> Float32Array:
    """Return the features of the hops that fill _CHUNK windows: float32 [_CHUNK, _FEATURES]."""
    window, bands, hiss, speech = _analysis_tables()
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(windows * window, axis=1)))
    features = np.empty((len(windows), _FEATURES), np.float32)
    features[:, :_NOISINESS] = power @ bands
    features[:, _HISSING] = power @ hiss
    heard = power[:, speech] + _NOTHING
    features[:, _NOISINESS] = np.exp(np.log(heard).mean(axis=1)) / heard.mean(axis=1)
    return features


def _loud_level(level: _Floats, noisiness: _Floats, settings: EnvelopeSettings) -> float | None:
    """Return the level of the voice's loud parts in dB, or None where there is no voice."""
    if len(level) == 0:
        return None
    steady = np.convolve(np.power(10.0, level / 10), np.full(10, 0.1), mode="same")  # 100 ms: a click is no voice
    loudest = 10 * np.log10(float(steady.max()) + _NOTHING)
    voice = level > loudest - 30
    loud = float(np.percentile(level[voice], 95)) if voice.any() else loudest
    if loud < settings.quietest:
        return None
    unchanging = loud - float(np.percentile(level, 10)) < 12
    # Single windows of white noise measure 0.56 on average (e to the power of minus Euler's constant).
    if unchanging and float(np.median(noisiness[voice])) > 0.35:
        return None
    return loud


def _gate(level: _Floats, loud: float, settings: EnvelopeSettings) -> _Bools:
    """Return which hops lie in speech: bool [hops]."""
    noise, opens, closes = float(np.percentile(level, 10)), loud + settings.gate_open, loud + settings.gate_close
    if loud - noise > settings.above_noise + 12:  # otherwise the quietest tenth is no background but voice
        opens = max(opens, noise + settings.above_noise)
        closes = max(closes, noise + settings.above_noise / 2)
    certain = np.where(level >= opens, 1, np.where(level < closes, -1, 0))
    # In between, what was last certain holds.
    last = np.maximum.accumulate(np.where(certain != 0, np.arange(len(level)), 0))
    return np.asarray(certain[last] > 0)


def _hissing(power: _Floats, speaking: _Bools, loud: float, settings: EnvelopeSettings) -> _Bools:
    """Return which hops hiss as loud as speech does, and near enough to it to be a part of a word: bool [hops]."""
    level = 10 * np.log10(power + _NOTHING)
    least = max(loud + settings.gate_open, float(np.percentile(level, 10)) + settings.above_noise)
    near = np.convolve(speaking, np.ones(2 * _HISS_REACH + 1))[_HISS_REACH:-_HISS_REACH]
    return np.asarray((near > 0.5) & (level >= least))


def _during_frames(hops: _Bools, fps: Fraction, frame_count: int) -> _Bools:
    """Return for each frame whether any of the hops that it reaches into is set: bool [frame_count]."""
    counts = np.concatenate([[0], np.cumsum(hops)])
    edges = _HOPS_PER_SECOND * fps.denominator * np.arange(frame_count + 1, dtype=np.int64)
    first, stop = np.minimum((edges[:-1] // fps.numerator, -(-edges[1:] // fps.numerator)), len(hops))
    return np.asarray(counts[stop] > counts[first])


def _target(level: _Floats, speaking: _Bools, loud: float, settings: EnvelopeSettings) -> _Floats:
    """Return how far each hop would open the mouth if it had the time, 0 to 1."""
    amplitude = np.power(10.0, (level - loud) / 20 * settings.exponent)
    least = 10.0 ** (settings.gate_close / 20 * settings.exponent)
    return np.asarray(np.where(speaking, np.clip((amplitude - least) / (1 - least), 0, 1), 0.0))


def _follow(target: _Floats, settings: EnvelopeSettings) -> _Floats:
    """Smooth a curve of hops with separate time constants up and down; ends in exactly 0."""
    hop = 1000 / _HOPS_PER_SECOND
    up, down = 1 - np.exp(-hop / max(settings.attack, 1e-3)), 1 - np.exp(-hop / max(settings.release, 1e-3))
    rising, falling = float(up), float(down)
    value = 0.0
    followed = []
    for wanted in target.tolist():
        value += (rising if wanted > value else falling) * (wanted - value)
        if wanted == 0.0 and value < 0.02:
            value = 0.0
        followed.append(value)
    return np.array(followed)


def _spread(hops: Float32Array, speaking: _Bools, openness: _Floats, settings: EnvelopeSettings) -> _Floats:
    """Return how wide (to 1) or rounded (to -1) the mouth is at each hop, judged against the voice's own average.

    Front vowels ("ee") are strong around their high second formant; rounded ones ("oo") have both formants low.
    """
    decibels = 10 * np.log10(hops[:, :_NOISINESS] + _NOTHING)
    wide = np.maximum(_deviation(decibels[:, _FRONT] - decibels[:, _MIDDLE], speaking), 0)
    low = _deviation(decibels[:, _LOW] - decibels[:, _UPPER], speaking)
    rounded = np.maximum(low - 1.5 * wide, 0)
    weight = np.where(speaking, np.sqrt(hops[:, _LOUD]), 0.0) + 1e-9
    shape = np.clip(0.6 * wide - 0.8 * rounded, -1, 1) * weight
    smooth = _average(shape, settings.spread_smoothing) / _average(weight, settings.spread_smoothing)
    return np.asarray(smooth * np.clip(openness / 0.15, 0, 1))


def _average(curve: _Floats, milliseconds: float) -> _Floats:
    """Average a curve of hops over a window of that length around each (raised cosine)."""
    half = round(milliseconds / 2000 * _HOPS_PER_SECOND)
    kernel = np.hanning(2 * half + 3)[1:-1]
    return np.asarray(np.convolve(curve, kernel / kernel.sum())[half : half + len(curve)])


def _deviation(values: _Floats, speaking: _Bools) -> _Floats:
    """Return by how many of its usual deviations each value lies above the middle of those in speech."""
    low, middle, high = np.percentile(values[speaking], (15, 50, 85)) if speaking.any() else (0.0, 0.0, 0.0)
    return np.asarray((values - middle) / max(float(high - low) / 2, 3.0))


def _hops_of_frames(fps: Fraction, frame_count: int, settings: EnvelopeSettings) -> tuple[Int64Array, _Floats]:
    """Return for the middle of each frame the hop before it, and how far it is on the way to the next (0 to 1).

    In whole numbers until the last division, so that nothing drifts.
    """
    lead = Fraction(round(settings.lead * 1000), 1_000_000)  # seconds
    step = Fraction(_HOPS_PER_SECOND) / (2 * fps)
    start = lead * _HOPS_PER_SECOND - Fraction(1, 2)  # a hop's number belongs to its middle
    scale = int(np.lcm(step.denominator, start.denominator))
    odd = 2 * np.arange(frame_count, dtype=np.int64) + 1
    first, rest = np.divmod(odd * int(step * scale) + int(start * scale), scale)
    return first.astype(np.int64), rest / scale


def _sample(curve: _Floats, first: Int64Array, fraction: _Floats) -> _Floats:
    """Interpolate a curve of hops; 0 before its beginning and after its end."""
    padded = np.concatenate([[0.0], curve, [0.0, 0.0]])
    before = np.clip(first + 1, 0, len(curve) + 1)
    return np.asarray(padded[before] * (1 - fraction) + padded[before + 1] * fraction)
