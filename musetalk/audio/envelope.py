"""How loud and how bright a voice is from frame to frame: what opens and shapes the preview's mouth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from musetalk.audio.hops import BLOCK, HOP, HOPS_PER_SECOND, RATE, WINDOW, HopAnalyser
from musetalk.audio.mouth import HISSES, KINDS, OPENNESS, SHAPE, SPEAKING, WEIGHT, EnvelopeSettings, MouthFollower
from musetalk.utils.arrays import BoolArray, Float32Array, Float64Array, Int64Array

_HISS_BEFORE, _HISS_AFTER = 30, 8  # hops by which a hiss may come after speech, or before it: the longest of a word


class EnvelopeTrack:
    """A voice's openness and spread, one pair per output frame.

    Args:
        values: float32 [N, 2]: openness 0 to 1, spread -1 (rounded) to 1 (wide).
        activity: bool [N]: whether the frame lies in speech.
        heard: bool [N]: whether any speech is heard in the frame, see the property; None: the activity.
        speaks: Whether there is speech in the whole of it, see the property; None: if any is heard.
        soon: bool [N]: whether speech follows, see the property; None: that was not looked for.
    """

    def __init__(
        self,
        values: Float32Array,
        activity: BoolArray,
        heard: BoolArray | None = None,
        *,
        speaks: bool | None = None,
        soon: BoolArray | None = None,
    ) -> None:
        self._values = values
        self._activity = activity
        self._heard = activity if heard is None else heard
        self._speaks = bool(self._heard.any()) if speaks is None else speaks
        self._soon = np.zeros_like(self._heard) if soon is None else soon

    @property
    def frame_count(self) -> int:
        """Output frames that the voice covers."""
        return len(self._values)

    @property
    def activity(self) -> BoolArray:
        """Whether each frame lies in speech: bool [frame_count]. Not to be written to."""
        return self._activity

    @property
    def heard(self) -> BoolArray:
        """Whether any speech is heard during each frame, hissing included, not ahead of it: bool [frame_count]."""
        return self._heard

    @property
    def soon(self) -> BoolArray:
        """Whether speech is heard within 80 ms after the end of each frame: bool [frame_count]."""
        return self._soon

    @property
    def speaks(self) -> bool:
        """Whether the voice, heard to its end, speaks at all: noise may be taken for speech while it begins."""
        return self._speaks

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), 0 <= start <= stop: float32 [stop - start, 2].

        Silence beyond.
        """
        result = np.zeros((stop - start, 2), np.float32)
        inside = self._values[start:stop]
        result[: len(inside)] = inside
        return result


class EnvelopeMeter:
    """Measures the envelope of a voice as its samples come, in bounded memory.

    What is told of a frame rests on all that was heard before and on `lookahead` more. How the samples are cut changes
    nothing.

    Args:
        fps: Output frames a second; frame k shows from k / fps to (k + 1) / fps.
        settings: How loudness becomes openness; None: the defaults.
    """

    def __init__(self, fps: Fraction, settings: EnvelopeSettings | None = None) -> None:
        self._fps, self._settings = fps, settings or EnvelopeSettings()
        self._analyser, self._follower = HopAnalyser(), MouthFollower(self._settings)
        self._easing, self._smoothing = _kernel(self._settings.easing), _kernel(self._settings.spread_smoothing)
        self._around = max(len(self._easing), len(self._smoothing)) // 2  # hops that a curve is made of, on either side
        self._frames = 0
        self._first = self._first_needed()  # the first hop that frames to come are made of: before the voice
        self._told: Float64Array = np.zeros((-self._first, KINDS))  # of that one and those after it

    @property
    def frame_count(self) -> int:
        """Frames that were told so far."""
        return self._frames

    @property
    def soon(self) -> Fraction:
        """How many seconds after a frame's end speech is looked for that follows soon."""
        return Fraction(_HISS_AFTER, HOPS_PER_SECOND)

    @property
    def lookahead(self) -> Fraction:
        """How many seconds of sound after a frame's end have to be known at most before the frame is told."""
        after_middle = self._start + Fraction(2 + self._around) - 1 / (2 * self._fps) * HOPS_PER_SECOND
        hops = max(after_middle, Fraction(_HISS_AFTER)) + BLOCK
        return hops / HOPS_PER_SECOND + Fraction(WINDOW - HOP, 2 * RATE)

    def push(self, samples: Float32Array) -> EnvelopeTrack:
        """Return the frames that are known now, from `frame_count` before on.

        Args:
            samples: float32 [n], 16 kHz mono, nominally -1 to 1, of any length.
        """
        self._follow(self._analyser.push(samples))
        return self._tell(self._known_frames(self._first + len(self._told)), None)

    def finish(self, frame_count: int) -> EnvelopeTrack:
        """Return the rest of `frame_count` frames; after the last sample there is silence."""
        blocks, left = self._analyser.finish()
        end = self._first + len(self._told) + left
        if blocks:
            blocks[-1] = blocks[-1][: left - (len(blocks) - 1) * BLOCK]
        self._follow(blocks)
        last, _ = _hops_of_frames(self._fps, np.array([max(frame_count, self._frames)]), self._start)
        missing = int(last[0]) + math.ceil(HOPS_PER_SECOND / self._fps) + self._around + _HISS_AFTER - end
        self._told = np.concatenate([self._told, np.zeros((max(missing, 0), KINDS))])
        return self._tell(frame_count, end)

    @property
    def _start(self) -> Fraction:
        """How many hops after a frame's middle that is which it shows; a hop's number belongs to its middle."""
        return Fraction(round(self._settings.lead * 1000), 1_000_000) * HOPS_PER_SECOND - Fraction(1, 2)

    def _follow(self, blocks: list[Float32Array]) -> None:
        if blocks:
            self._told = np.concatenate([self._told, *(self._follower.follow(block) for block in blocks)])

    def _known_frames(self, hops: int) -> int:
        """Return how many frames can be told of if so many hops were judged."""
        step = HOPS_PER_SECOND / self._fps
        by_hearing = math.floor((hops - _HISS_AFTER) / step)
        by_curves = math.ceil((hops - self._around - 1 - self._start) / step - Fraction(1, 2))
        return max(self._frames, min(by_hearing, by_curves))

    def _tell(self, stop: int, end: int | None) -> EnvelopeTrack:
        """Return the frames from the next one up to `stop`; curves are 0 before the voice, and from hop `end` on."""
        if stop <= self._frames:
            nothing = np.zeros(0, np.bool_)
            return EnvelopeTrack(np.zeros((0, 2), np.float32), nothing, speaks=self._follower.speaks)
        start, self._frames = self._frames, stop
        first, fraction = _hops_of_frames(self._fps, np.arange(start, stop), self._start)
        hops = np.arange(first[0], first[-1] + 2)
        known = self._curves(hops)
        known[(hops < 0) | (hops >= (math.inf if end is None else end))] = 0
        at, share = first - first[0], fraction[:, None]
        curves = known[at] * (1 - share) + known[at + 1] * share
        heard, soon = self._heard(start, stop)
        needed = self._first_needed()
        self._told, self._first = self._told[needed - self._first :].copy(), needed
        values = curves[:, :2].astype(np.float32)
        return EnvelopeTrack(values, curves[:, 2] >= 0.5, heard, speaks=self._follower.speaks, soon=soon)

    def _curves(self, hops: Int64Array) -> Float64Array:
        """Return openness, spread, and whether there is speech, of consecutive hops: [n, 3]."""
        first = int(hops[0]) - self._first - self._around
        told = self._told[first : first + len(hops) + 2 * self._around]
        openness = self._average(told[:, OPENNESS], self._easing)
        shape = self._average(told[:, SHAPE], self._smoothing)
        weight = self._average(told[:, WEIGHT], self._smoothing)
        spread = np.where(weight > 0, shape / np.where(weight > 0, weight, 1), 0) * np.clip(openness / 0.15, 0, 1)
        return np.stack([openness, spread, told[self._around : self._around + len(hops), SPEAKING]], axis=1)

    def _average(self, curve: Float64Array, kernel: list[float]) -> Float64Array:
        """Average a curve around each hop that has its surroundings, always in the same order of sums."""
        margin, count = self._around - len(kernel) // 2, len(curve) - 2 * self._around
        result = np.zeros(count)
        for place, weight in enumerate(kernel, margin):
            result += weight * curve[place : place + count]
        return result

    def _heard(self, start: int, stop: int) -> tuple[BoolArray, BoolArray]:
        """Return what is heard in frames [start, stop): bool [stop - start] each.

        Returns:
            Whether any of the hops they reach into is speech, or hisses beside it; and whether any of those soon after
            is speech.
        """
        edges = HOPS_PER_SECOND * self._fps.denominator * np.arange(start, stop + 1, dtype=np.int64)
        first, last = edges[:-1] // self._fps.numerator, -(-edges[1:] // self._fps.numerator)
        begin, end = int(first[0]), int(last[-1])
        told = self._told[begin - _HISS_BEFORE - self._first : end + _HISS_AFTER - self._first]
        spoken = np.concatenate([[0], np.cumsum(told[:, SPEAKING])])
        near = spoken[_HISS_BEFORE + _HISS_AFTER + 1 :] > spoken[: -(_HISS_BEFORE + _HISS_AFTER + 1)]
        own = told[_HISS_BEFORE : len(told) - _HISS_AFTER]
        counts = np.concatenate([[0], np.cumsum((own[:, SPEAKING] > 0) | (near & (own[:, HISSES] > 0)))])
        after = last - (begin - _HISS_BEFORE)
        soon = spoken[after + _HISS_AFTER] > spoken[after]
        return np.asarray(counts[last - begin] > counts[first - begin]), np.asarray(soon)

    def _first_needed(self) -> int:
        """Return the first hop that frames to come are made of, 0 or less before the first frame."""
        first, _ = _hops_of_frames(self._fps, np.array([self._frames]), self._start)
        heard = math.floor(self._frames * HOPS_PER_SECOND / self._fps) - _HISS_BEFORE
        return min(int(first[0]) - self._around, heard)


def measure_envelope(
    blocks: Iterable[Float32Array],
    *,
    fps: Fraction,
    frame_count: int,
    settings: EnvelopeSettings | None = None,
) -> EnvelopeTrack:
    """Measure the envelope of a whole voice, as an `EnvelopeMeter` tells it.

    Args:
        blocks: float32 [n] each, 16 kHz mono, nominally -1 to 1, of any lengths.
        fps: Output frames a second.
        frame_count: Output frames wanted.
        settings: How loudness becomes openness; None: the defaults.
    """
    meter = EnvelopeMeter(fps, settings)
    parts = [meter.push(block) for block in blocks]
    parts.append(meter.finish(frame_count))
    values = np.concatenate([part.window(0, part.frame_count) for part in parts])[:frame_count]
    activity, heard, soon = (
        np.concatenate(each)[:frame_count]
        for each in zip(*((part.activity, part.heard, part.soon) for part in parts), strict=True)
    )
    return EnvelopeTrack(values, activity, heard, speaks=parts[-1].speaks, soon=soon)


def _kernel(milliseconds: float) -> list[float]:
    """Return the weights of an average over a window of that length around each hop (raised cosine)."""
    half = round(milliseconds / 2000 * HOPS_PER_SECOND)
    kernel = np.hanning(2 * half + 3)[1:-1]
    return [float(weight) for weight in kernel / kernel.sum()]


def _hops_of_frames(fps: Fraction, frames: Int64Array, start: Fraction) -> tuple[Int64Array, Float64Array]:
    """Return for the middle of each frame the hop before it, and how far it is on the way to the next (0 to 1).

    In whole numbers until the last division, so that nothing drifts.
    """
    step = Fraction(HOPS_PER_SECOND) / (2 * fps)
    scale = int(np.lcm(step.denominator, start.denominator))
    first, rest = np.divmod((2 * frames + 1) * int(step * scale) + int(start * scale), scale)
    return first.astype(np.int64), rest / scale
