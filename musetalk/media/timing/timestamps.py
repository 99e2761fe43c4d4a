"""The times that a file gives its pictures, as far as they can be believed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musetalk.utils.arrays import BoolArray, Float64Array, Int64Array

NO_TIME = -(2**63)  # how ffmpeg writes that a packet has no time
_BELIEVABLE = 2**60  # ticks; what lies beyond is no time either, and would overflow
_REORDERED = 16  # H.264 and HEVC store a picture at most so many places away from where it is shown
_MOST_STRAY = 0.1  # of the pictures; where more are out of place, the times start over
_PAUSE = 2.5  # usual distances between two pictures; what is longer is a pause
_FAST = 0.25  # of all distances: the rate is that of the fastest quarter
_ALIKE, _SIMILAR = 0.05, 0.15  # distances that differ by so much
_COARSE = 2  # ticks between two pictures, up to which a tick more is another distance: a picture is missing
_WINDOW = 8  # distances that are averaged where they jitter
_SETTLED = 20  # steps after which an average of averages has long settled


@dataclass(frozen=True, slots=True)
class PictureTimes:
    """When the pictures of a file are shown.

    Attributes:
        order: Places in the file of the pictures, in the order in which they are shown.
        ticks: Ascending times of these (two may be the same), in ticks.
        repaired: How many of them are a guess.
    """

    order: Int64Array
    ticks: Int64Array
    repaired: int


def order_times(times: Sequence[int], longest_pause: float) -> PictureTimes | None:
    """Sort the times of pictures, and guess those that are missing or out of the question.

    Args:
        times: In the order of the file, in ticks; `NO_TIME` where there is none.
        longest_pause: In ticks; where more lies between two pictures, the times are wrong and the pause is closed.

    Returns:
        None where too few times can be believed; then pictures are best spaced evenly.
    """
    ticks = np.asarray(times, dtype=np.int64)
    known = np.flatnonzero((ticks > -_BELIEVABLE) & (ticks < _BELIEVABLE))
    if len(known) < 2 or (strays := _strays(ticks[known])) is None:
        return None
    known = known[~strays]
    if len(known) < 2 or len(known) < (1 - _MOST_STRAY) * len(ticks) - 1:
        return None
    filled = _filled(ticks, known)
    order = np.argsort(filled, kind="stable")
    ordered, closed = _without_long_pauses(filled[order], longest_pause)
    if 2 * np.count_nonzero(np.diff(ordered) == 0) >= len(ordered):
        return None
    return PictureTimes(order, ordered, len(ticks) - len(known) + closed)


def complete_times(times: Sequence[int], decoded: Sequence[int]) -> list[int]:
    """Return the times of pictures with those that a file need not say, and that follow from when pictures are decoded.

    MPEG gives times to some pictures only. A picture that later ones are predicted from is shown when the next one of
    that kind is decoded, so that pictures are decoded, and shown, at the same moments.

    Args:
        times: When pictures are shown, in the order of the file, in ticks; `NO_TIME` where that is not said.
        decoded: When they are decoded.

    Returns:
        The same times; still `NO_TIME` where nothing follows.
    """
    shown, read = np.asarray(times, np.int64), np.asarray(decoded, np.int64)
    known = (shown != NO_TIME) & (np.abs(read) < _BELIEVABLE)
    if not known.any() or (np.diff(read) <= 0).any() or (shown < read)[known].any():
        return list(times)
    step = round(usual_distance(read))
    moments = np.concatenate([read, read[-1] + step * np.arange(1, _REORDERED + 1)])
    least = 1 if (shown > read)[known].any() else 0  # ticks between decoding and showing
    free = moments[~np.isin(moments, shown[known])].tolist()
    for place in np.flatnonzero(shown == NO_TIME):
        at = bisect_left(free, read[place] + least)
        if at == len(free) or free[at] > read[place] + _REORDERED * step:
            continue
        shown[place] = free.pop(at)
    return [int(time) for time in shown]


def _strays(ticks: Int64Array) -> BoolArray | None:
    """Return which pictures are shown where no codec would put them.

    None: so many are out of place that the times start over.

    Args:
        ticks: In the order of the file. Codecs move pictures by a few places; a stray lands many places and a long time
            from its neighbours in the file. (One that lands at an end of its own accord is a pause.)
    """
    ranks = np.empty(len(ticks), np.int64)
    ranks[np.argsort(ticks, kind="stable")] = np.arange(len(ticks))
    moved = np.abs(ranks - np.arange(len(ticks)))
    usual = int(np.quantile(moved, 1 - _MOST_STRAY))
    if usual > _REORDERED + _MOST_STRAY * len(ticks):
        return None
    stray: BoolArray = moved > 2 * usual + 2
    reach = 2 * _REORDERED * usual_distance(np.sort(ticks))
    for place in np.flatnonzero(stray):
        around = np.median(ticks[max(0, place - _REORDERED // 2) : place + _REORDERED // 2 + 1])
        stray[place] = abs(ticks[place] - around) > reach
    return stray


def _filled(ticks: Int64Array, known: Int64Array) -> Int64Array:
    """Return the times with guesses for all that are not `known`: between those of their neighbours in the file."""
    ordered = np.sort(ticks[known])
    if len(known) == len(ticks):
        return ticks
    places = np.setdiff1d(np.arange(len(ticks)), known)
    step = usual_distance(ordered)
    guesses = np.interp(places, known, ordered)
    guesses -= np.maximum(known[0] - places, 0) * step
    guesses += np.maximum(places - known[-1], 0) * step
    filled = ticks.copy()
    filled[places] = np.round(guesses).astype(np.int64)
    return filled


def _without_long_pauses(ticks: Int64Array, longest: float) -> tuple[Int64Array, int]:
    """Return the times with pauses beyond belief closed, and how many there were."""
    gaps = np.diff(ticks)
    beyond = gaps > longest
    if not beyond.any():
        return ticks, 0
    gaps[beyond] = round(usual_distance(np.concatenate([[0], np.cumsum(gaps[~beyond])])))
    return ticks[0] + np.concatenate([[0], np.cumsum(gaps)]), int(beyond.sum())


def usual_distance(ticks: Int64Array) -> float:
    """Median of the distances between pictures that are not shown at the same time, at least one tick."""
    gaps = np.diff(ticks)
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def distance_in_bursts(ticks: Int64Array, least: float = 0.0) -> float:
    """Return how far apart pictures are where they follow each other without a pause; of several rates a fast one.

    Args:
        ticks: Ascending times of at least two pictures, not all of them the same.
        least: Pictures nearer to each other, in ticks, have piled up behind a delay, unless they are most of all.

    Returns:
        Ticks, averaged over all places of that rate.
    """
    close = np.diff(ticks)
    close = close[close <= _PAUSE * usual_distance(ticks)]
    apart = close[(close >= least) | (close == 0)]
    close = apart if apart.any() and 2 * len(apart) >= len(close) else close
    gaps = close[close > 0].astype(np.float64)
    fast = float(np.quantile(gaps, _FAST, method="nearest"))  # one of them, so that there are some like it
    off = np.abs(gaps - fast)
    rounding = 1 if fast > _COARSE else 0  # a tick is what that makes of two distances that are the same
    alike = off <= _ALIKE * fast + rounding
    similar = (off <= _SIMILAR * fast + 1) & ~alike
    if alike.sum() > 2 * similar.sum() or len(gaps) < 2 * _WINDOW:
        return float(gaps[alike].mean())
    means = _moving_means(close, _WINDOW)
    means = means[means > 0]
    distance = float(np.quantile(means, _FAST, method="nearest"))
    for _ in range(_SETTLED):  # from a fast one to what most around it are
        around = means[np.abs(means / distance - 1) <= _SIMILAR]
        if not len(around):
            break
        distance = float(around.mean())
    return distance


def _moving_means(values: Int64Array, width: int) -> Float64Array:
    sums = np.concatenate([[0], np.cumsum(values)])
    return np.asarray((sums[width:] - sums[:-width]) / width, dtype=np.float64)
