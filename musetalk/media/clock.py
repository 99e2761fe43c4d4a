"""When a video's pictures are shown, and the constant rate that they are played at.

The pictures in a file are numbered as decoded (picture j); the pipeline counts frames of a constant rate (frame k).
At a constant source rate the two are the same; a variable-rate source shows some pictures twice and others never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from musetalk.arrays import Int64Array

# Broadcast, cinema, camera and screen-capture rates; fractions as SMPTE ST 12 and 2036 have them.
STANDARD_RATES: tuple[Fraction, ...] = (
    *(Fraction(n) for n in (5, 6, 8, 10, 12)),
    Fraction(25, 2),
    Fraction(15),
    *(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)),
    *(Fraction(n) for n in (20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240)),
)
# Pictures this far (in frames) from an even grid still count as evenly spaced: containers that round times to
# milliseconds reach 0.12 at 120 fps; real variable-rate sources miss by a whole frame.
EVEN_TOLERANCE = 0.35
# A stated rate so near to a standard one is that one, approximated (Matroska states nanoseconds a frame). An hour
# apart they would differ by a tenth of a frame.
_SAME_RATE = 1e-6
# Times that a parser adds up (raw streams) collect rounding errors; what they then differ by is 70 ms in an hour.
_ROUNDING = Fraction(2, 100_000)
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True, slots=True)
class FrameClock:
    """How the frames of a constant rate map to the pictures of a file.

    Attributes:
        fps: The constant rate.
        frame_count: Frames at that rate.
        picture_times: Seconds from the start of the file at which each picture is shown, ascending.
        pictures: Per frame the picture that it shows, or None where frame k is picture k.
        keyframes: Ascending frames from which decoding can start.
    """

    fps: Fraction
    frame_count: int
    picture_times: tuple[float, ...]
    pictures: Int64Array | None
    keyframes: tuple[int, ...]

    @property
    def variable(self) -> bool:
        """Whether the source's own rate varies."""
        return self.pictures is not None

    def picture(self, frame: int) -> int:
        """The picture that a frame shows."""
        return frame if self.pictures is None else int(self.pictures[frame])

    def seek_seconds(self, picture: int) -> float | None:
        """Where to seek so that `picture` is the first one decoded; None: no need to."""
        if picture == 0:
            return None
        if not self.picture_times:
            return float((picture - Fraction(1, 2)) / self.fps)
        return (self.picture_times[picture - 1] + self.picture_times[picture]) / 2


def build_clock(times: Sequence[int], keys: Sequence[bool], tick: Fraction, hint: Fraction | None) -> FrameClock:
    """Find the constant rate of a stream.

    Args:
        times: Presentation times of its pictures, in ticks, ascending.
        keys: Which of them are keyframes.
        tick: Length of a tick in seconds.
        hint: The rate that the container or codec states, if any. Believed only where the times agree.
    """
    ticks = np.asarray(times, dtype=np.int64)
    seconds = tuple((ticks * float(tick)).tolist())
    if len(ticks) < 2:
        return FrameClock(hint or DEFAULT_RATE, len(ticks), seconds, None, (0,))
    span = Fraction(int(ticks[-1] - ticks[0])) * tick
    measured = (len(ticks) - 1) / span
    even = np.linspace(ticks[0], ticks[-1], len(ticks))
    interval = float((ticks[-1] - ticks[0]) / (len(ticks) - 1))
    keyframes = tuple(np.flatnonzero(np.asarray(keys)).tolist())
    if np.abs(ticks - even).max() <= EVEN_TOLERANCE * interval:
        fps = _agreeing_rate(measured, span, tick, hint)
        return FrameClock(fps, len(ticks), seconds, None, keyframes)
    return _resampled(_nearest_standard(measured), np.asarray(seconds), interval * float(tick), keyframes)


def _agreeing_rate(measured: Fraction, span: Fraction, tick: Fraction, hint: Fraction | None) -> Fraction:
    """The stated rate, or the nearest standard one, if the times cannot tell it from the measured one; else that."""
    tolerance = max(2 * tick / span, _ROUNDING)  # both ends are rounded to a tick
    nearest = _nearest_standard(measured)
    if hint is not None and abs(_nearest_standard(hint) / hint - 1) < _SAME_RATE:
        hint = _nearest_standard(hint)
    for rate in (hint, nearest):
        if rate is not None and abs(rate / measured - 1) <= tolerance:
            return rate
    return measured.limit_denominator(100_000)


def _nearest_standard(fps: Fraction) -> Fraction:
    return min(STANDARD_RATES, key=lambda rate: abs(rate / fps - 1))


def _resampled(fps: Fraction, seconds: np.ndarray, interval: float, keyframes: tuple[int, ...]) -> FrameClock:
    length = seconds[-1] - seconds[0] + interval  # the last picture is shown for an average interval
    count = max(1, round(length * float(fps)))
    middles = seconds[0] + (np.arange(count) + 0.5) / float(fps)
    pictures = np.searchsorted(seconds, middles, side="right") - 1
    starts = np.searchsorted(pictures, np.asarray(keyframes), side="left")
    return FrameClock(
        fps, count, tuple(seconds.tolist()), pictures.astype(np.int64), tuple(sorted({*starts.tolist()} - {count}))
    )
