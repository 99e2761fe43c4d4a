"""What a mouth does for known phonemes, frame by frame, with each sound's neighbours in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from musetalk.audio.ipa import REST, Articulation, articulations
from musetalk.audio.phonemes import TimedPhoneme
from musetalk.audio.track import SpeechTrack
from musetalk.utils.arrays import Float32Array, Float64Array
from musetalk.utils.easing import smoothstep

# What is told of a frame. The first two are as in the envelope, but that lips meet at an openness of 0, whatever the
# source's do. Of the others, each is 0 to 1: lips pressed together, the lower one under the upper teeth, rows of teeth
# that meet, the tongue between them, its tip going up behind them.
OPENNESS, SPREAD, PRESS, BITE, TEETH, TONGUE, TIP = range(7)
VISEME_KINDS = 7

_JAW_REACH = 0.11  # seconds by which a jaw's way to a sound begins before its core, and ends after it
_CORE = 0.25  # of a sound's length, to either side of its middle: there it is most itself
_HELD = 0.15, 0.65  # of a closure's length, from and to where it is held; then the lips burst open
_RAMP = 0.065  # seconds in which lips, teeth and tongue get to where a sound has them
_REST_RAMP = 0.11
_PAUSE = 0.07, 0.22  # seconds: in a shorter one the mouth does not close at all, in a longer one it does
_LIPS_AT_REST = 0.12  # how much their rest counts beside what sounds ask of them
_REACH = 0.45  # seconds from a sound within which it may be seen
_QUIETEST, _LOUDEST = 0.82, 1.15  # what loudness makes of openness
_FOREVER = 1e6  # seconds
_FIRST_PART = 0.55  # of a diphthong's or an affricate's time


@dataclass(frozen=True, slots=True)
class _Sound:
    """A sound or a pause, in seconds; `weight` is how much of a pause it is."""

    seen: Articulation
    start: float
    stop: float
    weight: float = 1.0


class VisemeTrack:
    """A mouth by the phonemes of its voice. A `SpeechTrack`: a pure function of them, the same for any range.

    What lips must do for a sound (meet, touch the teeth) they do in its middle: there is a frame of it, at any rate.
    Jaw and lips are between those of all sounds around, the nearer and the more demanding ones first.

    Args:
        phonemes: In order, none of them overlapping.
        fps: Output frames a second; frame k shows from k / fps to (k + 1) / fps.
        frame_count: Output frames that the voice covers.
        loudness: The voice's envelope, whose openness opens vowels a little more or less; None: all alike.
    """

    def __init__(
        self,
        phonemes: Sequence[TimedPhoneme],
        fps: Fraction,
        frame_count: int,
        loudness: SpeechTrack | None = None,
    ) -> None:
        self._fps, self._frame_count, self._loudness = fps, frame_count, loudness
        self._sounds = tuple(_with_pauses(phonemes))
        self._stops = [sound.stop for sound in self._sounds]

    @property
    def frame_count(self) -> int:
        """Output frames that the voice covers."""
        return self._frame_count

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the mouth of output frames [start, stop), 0 <= start <= stop: float32 [stop - start, VISEME_KINDS]."""
        told = np.zeros((stop - start, VISEME_KINDS))
        if start == stop:
            return told.astype(np.float32)
        middles: Float64Array = (np.arange(start, stop, dtype=np.float64) + 0.5) / float(self._fps)
        near = list(self._near(float(middles[0]) - _REACH, float(middles[-1]) + _REACH))
        # 1. Jaw and lips, as all sounds around agree on them.
        told[:, OPENNESS] = _jaw(near, middles) * self._gain(start, stop)
        told[:, SPREAD] = _lips(near, middles)
        # 2. What single sounds insist on.
        insisting = np.zeros(stop - start)
        for sound in near:
            if sound.seen.firm and not sound.seen.closes:
                level = self._level(sound, middles)
                _add_gesture(told, sound.seen, level)
                insisting = np.maximum(insisting, level * sound.seen.firm)
        # 3. Lips that meet hide all else. Where they are held, nothing parts them.
        closed = np.zeros(stop - start)
        for sound in near:
            if sound.seen.closes:
                level = self._level(sound, middles) * sound.weight
                closed = np.maximum(closed, level)
                told[:, PRESS] = np.maximum(told[:, PRESS], level * sound.seen.presses)
        closed *= np.where(closed == 1, 1, 1 - insisting)
        told[:, [OPENNESS, BITE, TEETH, TONGUE, TIP]] *= (1 - closed)[:, None]
        return told.astype(np.float32)

    def _near(self, start: float, stop: float) -> Iterator[_Sound]:
        for sound in self._sounds[bisect_left(self._stops, start) :]:
            if sound.start > stop:
                return
            yield sound

    def _gain(self, start: int, stop: int) -> Float64Array | float:
        if self._loudness is None:
            return 1.0
        loud = np.clip(self._loudness.window(start, stop)[:, 0].astype(np.float64), 0, 1)
        return np.asarray(_QUIETEST + (_LOUDEST - _QUIETEST) * loud)

    def _level(self, sound: _Sound, middles: Float64Array) -> Float64Array:
        """Return how far lips, teeth and tongue are in a sound's place, 0 to 1: 1 in at least one frame of it."""
        length, middle, half = sound.stop - sound.start, (sound.start + sound.stop) / 2, 0.5 / float(self._fps)
        if sound.seen is REST:
            ramp = _REST_RAMP
            first, last = sound.start + min(ramp, length / 2), sound.stop - min(ramp, length / 2)
        else:
            ramp = _RAMP
            share = _HELD if sound.seen.closes else (0.5 - _CORE, 0.5 + _CORE)
            # The frame that shows the middle is at most half a frame from it.
            first = min(sound.start + share[0] * length, middle - half)
            last = max(sound.start + share[1] * length, middle + half)
        away = np.maximum(np.maximum(first - middles, middles - last), 0) / ramp
        return np.asarray(smoothstep(1 - away), np.float64)


def unknown_symbols(phonemes: Iterable[TimedPhoneme]) -> tuple[str, ...]:
    """Return the symbols of phonemes that are none of the IPA, each once: for them the mouth is neutral."""
    return tuple(
        dict.fromkeys(symbol for ipa in {each.ipa: None for each in phonemes} for symbol in articulations(ipa)[1])
    )


def _with_pauses(phonemes: Sequence[TimedPhoneme]) -> Iterator[_Sound]:
    """Yield sounds, the parts of diphthongs apart, with the pauses between them, and before and after all of them."""
    now = -_FOREVER
    for phoneme in phonemes:
        yield from _pause(now, phoneme.start)
        parts, _ = articulations(phoneme.ipa)
        edges = _edges(phoneme, len(parts))
        yield from (_Sound(seen, *within) for seen, within in zip(parts, pairwise(edges), strict=True))
        now = phoneme.stop
    yield from _pause(now, _FOREVER)


def _edges(phoneme: TimedPhoneme, parts: int) -> list[float]:
    """Return where the parts of a phoneme begin, and its end; the first takes a little more than its share."""
    length = phoneme.stop - phoneme.start
    first = 1.0 if parts == 1 else 2 * _FIRST_PART / parts
    rest = (1 - first) / max(parts - 1, 1)
    shares = [0.0, *(first + rest * number for number in range(parts))]
    return [phoneme.start + length * share for share in shares]


def _pause(start: float, stop: float) -> Iterator[_Sound]:
    least, most = _PAUSE
    weight = min(max((stop - start - least) / (most - least), 0.0), 1.0)
    if weight:
        yield _Sound(REST, start, stop, weight)


def _jaw(near: Iterable[_Sound], middles: Float64Array) -> Float64Array:
    """Return the openness that sounds agree on: the mean of theirs, by their weight at each moment."""
    weighed, weights = np.zeros_like(middles), np.zeros_like(middles)
    for sound in near:
        weight = sound.seen.jaw * sound.weight * _presence(sound, middles, _JAW_REACH, _JAW_REACH)
        weighed += weight * sound.seen.openness
        weights += weight
    return weighed / np.maximum(weights, 1e-6)


def _add_gesture(told: Float64Array, seen: Articulation, level: Float64Array) -> None:
    """Let a sound have its way as far as its level, 0 to 1, says, instead of those before it."""
    told[:, OPENNESS] += (seen.openness - told[:, OPENNESS]) * (level * seen.firm)
    for kind, amount in ((BITE, seen.bites), (TEETH, seen.teeth), (TONGUE, seen.tongue), (TIP, seen.tip)):
        told[:, kind] = np.maximum(told[:, kind] * (1 - level), level * amount)


def _lips(near: Iterable[_Sound], middles: Float64Array) -> Float64Array:
    """Return the spread that sounds agree on: rounded ones begin early, and most consonants let others through."""
    weighed, weights = np.zeros_like(middles), np.full_like(middles, _LIPS_AT_REST)
    for sound in near:
        seen = sound.seen
        if not seen.lips:
            continue
        weight = seen.lips * sound.weight * _presence(sound, middles, seen.before, seen.after)
        weighed += weight * seen.spread
        weights += weight
    return weighed / weights


def _presence(sound: _Sound, middles: Float64Array, before: float, after: float) -> Float64Array:
    """Return how present a sound is at each moment: 1 in its core, fading to 0 `before` and `after` it."""
    core = _CORE * (sound.stop - sound.start)
    middle = (sound.start + sound.stop) / 2
    if sound.seen is REST:  # all of a pause is one
        early, late = sound.start - middles, middles - sound.stop
    else:
        early, late = middle - core - middles, middles - middle - core
    away = np.maximum(np.maximum(early / before, late / after), 0)
    return np.asarray(smoothstep(1 - away), np.float64)
