"""When a video's pictures are shown, and the constant rate that they are played at.

The pictures in a file are numbered as decoded (picture j); the pipeline counts frames of a constant rate (frame k).
Where a source of a constant rate is played at that rate the two are the same; else some pictures are shown more than
once, or never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from musetalk.errors import LimitError
from musetalk.media.timing.jumps import Witness, without_jumps
from musetalk.media.timing.rates import DEFAULT_RATE, WantedRate, believable, nearest_standard, played_at
from musetalk.media.timing.timestamps import NO_TIME, PictureTimes, distance_in_bursts, order_times
from musetalk.settings import FASTEST_RATE, Limits
from musetalk.utils.arrays import Float64Array, Int64Array

# Pictures this far (in frames) from an even grid still count as evenly spaced: containers that round times to
# milliseconds reach 0.12 at 120 fps; real variable-rate sources miss by a whole frame.
EVEN_TOLERANCE = 0.35
# A few pictures may miss it by about a whole frame, where all others before and after them keep to it: a time was
# written twice, or is missing.
_MISSED, _MOST_MISSED = 1.25, 0.1
# A stated rate so near to a standard one is that one, approximated (Matroska states nanoseconds a frame). An hour
# apart they would differ by a tenth of a frame.
_SAME_RATE = 1e-6
# Times that a parser adds up (raw streams) collect rounding errors; what they then differ by is 70 ms in an hour.
_ROUNDING = 2e-5
_SAME_LENGTH = 0.002  # rates that differ by less are one, told more exactly and less
_NEAR_STANDARD = 0.02  # rates of a variable source this near to a standard one are that one
_IN_PHASE = 0.5  # how much the places of pictures between two frames must agree, 0 to 1, to be moved to the middle
_FASTEST_CAMERA = 2000  # pictures a second; more, on average, are times in a wrong unit
_TIE = 1e-6  # frames; so near to the moment at which a picture changes, the new one counts


@dataclass(frozen=True, slots=True)
class FrameClock:
    """How the frames of a constant rate map to the pictures of a file.

    Attributes:
        fps: The constant rate.
        frame_count: Frames at that rate.
        picture_times: Seconds from the start of the file at which each picture is shown, ascending; empty where the
            file does not say, or some of what it says cannot be: there pictures are told by counting.
        pictures: Per frame the picture that it shows, ascending; None where frame k is picture k.
        keyframes: Ascending frames from which decoding can start.
        source_fps: The source's own rate; of a variable one that of its bursts; None: it is `fps`.
        variable: Whether the source's own rate varies.
        repaired: Pictures whose time is a guess.
    """

    fps: Fraction
    frame_count: int
    picture_times: tuple[float, ...]
    pictures: Int64Array | None
    keyframes: tuple[int, ...]
    source_fps: Fraction | None = None
    variable: bool = False
    repaired: int = 0

    @property
    def own_fps(self) -> Fraction:
        """The source's own rate; of a variable one that of its bursts."""
        return self.source_fps or self.fps

    def picture(self, frame: int) -> int:
        """Return the picture that a frame shows."""
        return frame if self.pictures is None else int(self.pictures[frame])


def build_clock(
    times: Sequence[int],
    keys: Sequence[int],
    tick: Fraction,
    hint: Fraction | None,
    *,
    fps: WantedRate = None,
    usual: int = 0,
    last: int = 0,
    longest: float = Limits().max_seconds,
    witness: Witness | None = None,
) -> FrameClock:
    """Find the rate of a stream, and lay the frames of a constant rate over it.

    A stream of one picture is a still: one frame, at the rate asked for or 25.

    Args:
        times: Presentation times of its pictures, in ticks, in the order of the file; `NO_TIME` where there is none.
        keys: Which of them are keyframes: not 0.
        tick: Length of a tick in seconds.
        hint: The rate that the container or codec states, if any. Believed only where the times agree.
        fps: The rate to play it at; "own": its own; None: its own, if lips can move at it (see `suiting_rate`).
        usual: How long the file shows most pictures, in ticks; counts where there are no times. 0: it does not say.
        last: How long the file shows the picture that comes last, in ticks; 0: it does not say.
        longest: Seconds that it may last; where more lie between two pictures, the times are wrong.
        witness: What else the file says of its times; None: they are as they are meant to be.

    Raises:
        LimitError: It lasts longer.
    """
    hint = believable(hint)
    if len(times) < 2:
        seconds = tuple(float(time * tick) for time in times if time != NO_TIME)
        return FrameClock(played_at(DEFAULT_RATE, fps), len(times), seconds, None, (0,))
    known = order_times(times, longest / float(tick))
    flags = np.asarray(keys, dtype=np.bool_)
    if known is not None and witness is not None:
        order, ticks, wrong = without_jumps(known.order, known.ticks, witness)
        known = PictureTimes(order, ticks, known.repaired + wrong)
    if known is None or _too_dense(known.ticks, tick):
        # Raw streams, or nothing to be believed: evenly spaced, in the order of the file.
        rate = _stated_rate(usual * tick, tick, hint)
        _check_length(len(times) / rate, longest)
        return _constant(rate, len(times), (), np.flatnonzero(flags), fps, repaired=0)
    seconds = tuple((known.ticks * float(tick)).tolist())
    keyframes = np.flatnonzero(flags[known.order])
    _check_length(seconds[-1] - seconds[0], longest)  # before anything is as long as the times say
    even = _even_rate(known.ticks, tick, hint)
    if known.repaired > times.count(NO_TIME):
        seconds = ()  # decoders tell the times as they are in the file, and mix them up from a wrong one on
    if even is not None:
        rate, missed = even
        return _constant(rate, len(times), seconds, keyframes, fps, repaired=max(missed, known.repaired))
    return _resampled(known, seconds, keyframes, tick, hint, fps, last)


def _stated_rate(length: Fraction, tick: Fraction, hint: Fraction | None) -> Fraction:
    """What the file says without times: the stated rate, unless its pictures last (`length`, seconds) otherwise."""
    rate = believable(1 / length) if length > 0 else None
    if hint is None or rate is None:
        return hint or rate or DEFAULT_RATE
    return hint if abs(1 / hint - length) < tick / 2 or abs(hint / rate - 1) < _SAME_LENGTH else rate


def _too_dense(ticks: Int64Array, tick: Fraction) -> bool:
    """Return whether so many pictures are said to be shown in so short a time that it cannot be meant."""
    return int(ticks[-1] - ticks[0]) * tick * _FASTEST_CAMERA < len(ticks) - 1


def _check_length(seconds: Fraction | float, longest: float) -> None:
    if seconds > longest:
        raise LimitError(
            f"the source lasts {float(seconds):.0f} s, more than the {longest:.0f} s allowed",
            "cut it shorter or raise limits.max_seconds",
            limit="max_seconds",
        )


def _even_rate(ticks: Int64Array, tick: Fraction, hint: Fraction | None) -> tuple[Fraction, int] | None:
    """Return the rate of evenly spaced pictures, and how many of them miss their place.

    None where they are not even.
    """
    count = len(ticks)
    apart = Fraction(int(ticks[-1] - ticks[0]))
    missing = _missing(ticks, float(apart / (count - 1)))
    if missing.max() <= EVEN_TOLERANCE * apart / (count - 1):
        return _agreeing_rate((count - 1) / (apart * tick), float(missing.max() / apart), 1 / apart, hint), 0
    half = count // 2
    apart = Fraction(float(np.median(ticks[half:] - ticks[:-half])))  # what a few single pictures do does not count
    interval = float(apart / half)
    missing = _missing(ticks, interval)
    off = missing > EVEN_TOLERANCE * interval
    if apart == 0 or off.sum() > max(2, _MOST_MISSED * count) or missing.max() > _MISSED * interval:
        return None
    return _agreeing_rate(half / (apart * tick), float(missing[~off].max() / apart), 1 / apart, hint), int(off.sum())


def _missing(ticks: Int64Array, interval: float) -> Float64Array:
    """Return how far pictures are from an even grid, in ticks."""
    off = (ticks - ticks[0]) - np.arange(len(ticks)) * interval
    return np.asarray(np.abs(off - np.median(off)), dtype=np.float64)


def _agreeing_rate(measured: Fraction, unrest: float, rounding: Fraction, hint: Fraction | None) -> Fraction:
    """Return the stated rate, or the nearest standard one, if the times cannot tell it from the measured one.

    Else return the measured one.

    Args:
        measured: By the first time and the last.
        unrest: By how much of the time between these pictures miss an even grid.
        rounding: A tick, as a part of that time; both ends are rounded to one.
        hint: The stated rate.
    """
    tolerance = max(2 * float(rounding), unrest, _ROUNDING)
    nearest = nearest_standard(measured)
    if hint is not None and abs(nearest_standard(hint) / hint - 1) < _SAME_RATE:
        hint = nearest_standard(hint)
    for rate in (hint, nearest):
        if rate is not None and abs(rate / measured - 1) <= tolerance:
            return rate
    return measured.limit_denominator(100_000)


def _constant(
    own: Fraction,
    count: int,
    seconds: tuple[float, ...],
    keyframes: Int64Array,
    wanted: WantedRate,
    *,
    repaired: int,
) -> FrameClock:
    """Return the clock of evenly spaced pictures, played at the rate that is wanted."""
    fps = played_at(own, wanted)
    if fps == own:
        return FrameClock(own, count, seconds, None, tuple(keyframes.tolist()), own, repaired=repaired)
    frames = max(1, round(count * fps / own))
    middles = (np.arange(frames) + 0.5) * float(own / fps)  # of the frames, in pictures
    pictures = np.minimum(np.floor(middles + _TIE).astype(np.int64), count - 1)
    starts = _starts(pictures, keyframes)
    return FrameClock(fps, frames, seconds, pictures, starts, own, repaired=repaired)


def _resampled(
    known: PictureTimes,
    seconds: tuple[float, ...],
    keyframes: Int64Array,
    tick: Fraction,
    hint: Fraction | None,
    wanted: WantedRate,
    last: int,
) -> FrameClock:
    """Return the clock of unevenly spaced pictures: every frame shows the picture of its moment."""
    own = _rate_of_bursts(known.ticks, tick, hint)
    fps = played_at(own, wanted)
    places = (known.ticks - known.ticks[0]) * float(tick * fps)  # of the pictures, in frames
    longest = float(np.diff(places).max())
    shown = min(max(last, 0) * float(tick * fps), longest) or float(fps / own)  # how long the last picture is
    count = max(1, round(float(places[-1]) + shown))
    middles = np.arange(count) + 0.5 + _phase(places)
    pictures = np.maximum(np.searchsorted(places, middles + _TIE, side="right") - 1, 0).astype(np.int64)
    starts = _starts(pictures, keyframes)
    return FrameClock(fps, count, seconds, pictures, starts, own, variable=True, repaired=known.repaired)


def _rate_of_bursts(ticks: Int64Array, tick: Fraction, hint: Fraction | None) -> Fraction:
    measured = 1 / (Fraction(distance_in_bursts(ticks, float(1 / (FASTEST_RATE * tick)))) * tick)
    for rate in (hint, nearest_standard(measured)):
        if rate is not None and abs(rate / measured - 1) <= _NEAR_STANDARD:
            return rate
    return max(measured.limit_denominator(2 if measured > 1 else 1000), Fraction(1, 100_000))


def _phase(places: Float64Array) -> float:
    """Return how far pictures lie behind the frames' beginnings, -0.5 to 0.5 frames, where they agree on it; else 0."""
    mean = np.exp(2j * np.pi * places).mean()
    return float(np.angle(mean) / (2 * np.pi)) if abs(mean) > _IN_PHASE else 0.0


def _starts(pictures: Int64Array, keyframes: Int64Array) -> tuple[int, ...]:
    """Return the first frame that shows each keyframe, or what comes after it."""
    starts = np.searchsorted(pictures, keyframes, side="left")
    return tuple(sorted({*starts.tolist()} - {len(pictures)}))
