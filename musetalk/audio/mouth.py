"""What a mouth would do at every hop of a voice, before its motion is smoothed: one hop after the other."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from musetalk.audio.hops import FRONT, HISSING, HOPS_PER_SECOND, LOUD, LOW, MIDDLE, NOISINESS, NOTHING, UPPER
from musetalk.audio.voice_level import ABOVE_NOISE, STEADY_HOPS, Histogram, Levels, LevelTracker
from musetalk.utils.arrays import BoolArray, Float32Array, Float64Array

# What is told of a hop.
SPEAKING, HISSES, OPENNESS, SHAPE, WEIGHT = range(
    5
)  # the shape: wide (to 1) or rounded (to -1); and how much it counts
KINDS = 5

# Front vowels and rounded ones over those in between, in dB: what is common, and for how many hops that counts.
_USUAL_FRONT, _USUAL_LOW, _USUAL_SPREAD, _USUAL_HOPS = -8.0, 11.0, 10.0, 100
_LEAST_SPREAD = 3.0  # dB


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


class MouthFollower:
    """Follows a voice hop by hop: whether it speaks, how far the mouth is open, and its shape.

    Args:
        settings: How loudness becomes openness.
    """

    def __init__(self, settings: EnvelopeSettings) -> None:
        self._settings = settings
        self._levels, self._hiss = LevelTracker(), Histogram(-120, 20, 0.5)
        self._front, self._low = _usual(_USUAL_FRONT), _usual(_USUAL_LOW)
        self._speaking, self._openness = False, 0.0
        # Levels of hops of speech, or -inf of others, which may yet turn out to be noise.
        self._doubtful = deque([-math.inf] * STEADY_HOPS, STEADY_HOPS)
        self._spoke, self._least = False, -math.inf

    @property
    def speaks(self) -> bool:
        """Whether anything was speech so far; what turned out to be steady noise was none."""
        return self._spoke or max(self._doubtful) > self._least

    def follow(self, hops: Float32Array) -> Float64Array:
        """Return what is to be told of the next hops: [n, KINDS].

        Args:
            hops: float32 [n, FEATURES], see `HopAnalyser`.
        """
        settings = self._settings
        decibels = 10 * np.log10(hops.astype(np.float64) + NOTHING)
        level, hiss = decibels[:, LOUD], decibels[:, HISSING]
        levels = self._levels.add(level, hops[:, NOISINESS].astype(np.float64))
        self._hiss.add(hiss)
        told = np.zeros((len(hops), KINDS))
        speaking = self._gate(level, levels)
        target = _target(level, speaking, levels.loud, settings)
        told[:, SPEAKING] = speaking
        told[:, HISSES] = hiss >= max(
            levels.loud + settings.gate_open, self._hiss.quantiles((0.1,))[0] + settings.above_noise
        )
        told[:, OPENNESS] = self._ease(target)
        told[:, WEIGHT] = np.where(speaking, np.sqrt(hops[:, LOUD].astype(np.float64)), 0.0) + 1e-9
        told[:, SHAPE] = self._shape(decibels, speaking) * told[:, WEIGHT]
        self._settle(level, speaking, levels.noise)
        return told

    def _gate(self, level: Float64Array, levels: Levels) -> BoolArray:
        """Return which hops lie in speech: bool [n]. In between the two levels, what was last certain holds."""
        settings = self._settings
        opens = max(levels.loud + settings.gate_open, levels.floor + settings.above_noise, levels.noise + ABOVE_NOISE)
        closes = max(
            levels.loud + settings.gate_close, levels.floor + settings.above_noise / 2, levels.noise + ABOVE_NOISE / 2
        )
        if levels.heard < settings.quietest:
            opens = closes = math.inf
        speaking = []
        for value in level.tolist():
            self._speaking = value >= opens or (self._speaking and value >= closes)
            speaking.append(self._speaking)
        return np.array(speaking)

    def _ease(self, target: Float64Array) -> list[float]:
        """Return openness with separate time constants up and down; it closes altogether."""
        hop = 1000 / HOPS_PER_SECOND
        rising, falling = (
            1 - math.exp(-hop / max(constant, 1e-3)) for constant in (self._settings.attack, self._settings.release)
        )
        followed = []
        for wanted in target.tolist():
            self._openness += (rising if wanted > self._openness else falling) * (wanted - self._openness)
            if wanted == 0.0 and self._openness < 0.02:
                self._openness = 0.0
            followed.append(self._openness)
        return followed

    def _shape(self, decibels: Float64Array, speaking: BoolArray) -> Float64Array:
        """Return how wide (to 1) or rounded (to -1) the mouth is, judged against what is usual for the voice: [n].

        Front vowels ("ee") are strong around their high second formant; rounded ones ("oo") have both formants low.
        """
        front, low = decibels[:, FRONT] - decibels[:, MIDDLE], decibels[:, LOW] - decibels[:, UPPER]
        self._front.add(front[speaking])
        self._low.add(low[speaking])
        wide = np.maximum(_deviation(front, self._front), 0)
        rounded = np.maximum(_deviation(low, self._low) - 1.5 * wide, 0)
        return np.minimum(np.maximum(0.6 * wide - 0.8 * rounded, -1), 1)

    def _settle(self, level: Float64Array, speaking: BoolArray, noise: float) -> None:
        """Hold it that there was speech once it is too long ago to turn out to be noise."""
        self._least = noise + ABOVE_NOISE
        for value, speaks in zip(level.tolist(), speaking.tolist(), strict=True):
            self._spoke |= self._doubtful[0] > self._least
            self._doubtful.append(value if speaks else -math.inf)


def _target(level: Float64Array, speaking: BoolArray, loud: float, settings: EnvelopeSettings) -> Float64Array:
    """Return how far each hop would open the mouth if it had the time, 0 to 1."""
    amplitude = np.power(10.0, (level - loud) / 20 * settings.exponent)
    least = 10.0 ** (settings.gate_close / 20 * settings.exponent)
    return np.where(speaking, np.minimum(np.maximum((amplitude - least) / (1 - least), 0), 1), 0.0)


def _deviation(values: Float64Array, usual: Histogram) -> Float64Array:
    """Return by how many of its usual deviations each value lies above the middle of those in speech."""
    low, middle, high = usual.quantiles((0.15, 0.5, 0.85))
    return (values - middle) / max((high - low) / 2, _LEAST_SPREAD)


def _usual(middle: float) -> Histogram:
    """Return what is usual for voices; a voice's own values soon outweigh it."""
    usual = Histogram(-80, 80, 1.0)
    usual.add(middle + _USUAL_SPREAD * np.linspace(-1.5, 1.5, _USUAL_HOPS))
    return usual
