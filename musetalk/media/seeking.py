"""Verified seeking: decoding from the middle of a file, and checking that the right picture came.

Keyframes are not always what they are called: the pictures that a decoder gives after a seek may begin later than the
keyframe (open groups of pictures, gradual refresh), and containers look keyframes up by other times than those at which
pictures are shown. So every decoded picture is told apart by its time, as ffmpeg prints it, and a way that did not
lead to the picture is followed by one from further back.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from musetalk.media.kept_pictures import KeptPictures
from musetalk.media.timing.clock import FrameClock

# How far behind a keyframe to seek, so that this keyframe is found. ffmpeg itself looks 3/23 s earlier than asked
# wherever a file's index may hold decoding times and its pictures are stored out of order.
_BEHIND = 0.15
# How many keyframes further back to begin, one after the other. Where keyframes do not stand alone, pictures are
# renewed bit by bit from one to the next, and decoders take them for whole too early: after a second one they are.
_FURTHER_BACK = (0, 2, 4)
_NEXT = 1.5  # of that distance: so far a picture may have been moved
_SAME = 0.25  # of the distance to the nearest other picture: a time so near to a picture's is that picture's


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a picture: where the file is entered, and what is dropped unseen.

    Attributes:
        seek: Seconds of the file; decoding begins at the last keyframe before. None: at the beginning of the file.
        begins_by: It leads astray if the first decoded picture comes after this one; None: it cannot.
        skip_seconds: Pictures before this moment of the file are decoded and dropped; None: none are.
        skip_pictures: So many pictures are decoded and dropped.
        keys_back: How many keyframes before the usual one it begins at.
    """

    seek: float | None = None
    begins_by: int | None = None
    skip_seconds: float | None = None
    skip_pictures: int = 0
    keys_back: int = 0


@dataclass(slots=True)
class Experience:
    """What decoding has shown of a file so far.

    Attributes:
        keys_back: How many keyframes before the usual one decoding has to begin.
        frames: How many frames were read: the last one and all before.
        missing: Those of them whose picture cannot be decoded: they show the one before, or the first one.
        kept: What was decoded, where that is kept for whoever reads next; None: nothing is.
    """

    keys_back: int = 0
    frames: int = 0
    missing: set[int] = field(default_factory=set)
    kept: KeptPictures | None = None


def ways_to(picture: int, clock: FrameClock, *, seekable: bool, keys_back: int = 0) -> Iterator[Way]:
    """Yield ways to a picture, the cheapest first; the last one misses nothing that can be decoded.

    Args:
        picture: The picture that is to come.
        clock: When pictures are shown, and which are keyframes.
        seekable: Whether decoding may begin at a keyframe.
        keys_back: How many keyframes before the usual one decoding has to begin, as far as is known.
    """
    times = clock.picture_times
    if not times:  # pictures can only be counted
        yield Way(skip_pictures=picture)
        return
    if seekable:
        keys, least = _Keys(clock, picture), keys_back
        for further in _FURTHER_BACK:
            keys_back = least + further
            key = keys.back(keys_back)
            if key == 0:
                break
            # If the pictures behind a keyframe further back come and this one does not, it cannot be decoded: so none
            # of them is dropped.
            yield keys.way(keys_back, skip_before=key if further else picture)
        else:
            keys_back = len(times)
    if picture > 0:
        yield Way(skip_seconds=_before(picture, times), keys_back=keys_back)
    yield Way(keys_back=keys_back)


class _Keys:
    """The keyframes before a picture."""

    def __init__(self, clock: FrameClock, picture: int) -> None:
        self._clock = clock
        self._usual = bisect.bisect_right(clock.keyframes, picture, key=clock.picture) - 1

    def back(self, steps: int) -> int:
        """Return the picture of the usual keyframe, or of one so many before it; 0: there is none."""
        index = self._usual - steps
        return self._clock.picture(self._clock.keyframes[index]) if 0 <= index < len(self._clock.keyframes) else 0

    def way(self, steps: int, *, skip_before: int) -> Way:
        times, key = self._clock.picture_times, self.back(steps)
        following = self.back(steps - 1) or len(times) - 1
        seek = times[key] + min(_BEHIND, max(0.0, times[following] - times[key]) / 2)
        return Way(seek, self.back(min(steps, 1)), _before(skip_before, times), keys_back=steps)


def _before(picture: int, times: Sequence[float]) -> float:
    return (times[picture - 1] + times[picture]) / 2


def picture_at(seconds: float, times: Sequence[float], *, repeated: int | None = None) -> int:
    """Return the picture that is shown at a time.

    Args:
        seconds: A time as the decoder gives it.
        times: When pictures are shown, ascending; where the file gives two of them one time, one was moved.
        repeated: The picture that came before, if with the same time; None: it came with another one.

    Returns:
        The number of the picture whose time is nearest; of two that come with one time the second is the next one.
    """
    place = bisect.bisect_left(times, seconds)
    nearest = min((at for at in (place - 1, place) if 0 <= at < len(times)), key=lambda at: abs(times[at] - seconds))
    nearest = bisect.bisect_left(times, times[nearest])  # the first of those with one time
    if repeated is None or nearest > repeated or repeated + 1 >= len(times):
        return nearest
    following = times[repeated + 1]
    alike = following == times[repeated] or following - seconds <= _NEXT * _gap(repeated + 1, times)
    return repeated + 1 if alike else nearest


def is_certain(picture: int, seconds: float, times: Sequence[float]) -> bool:
    """Return whether a time can only be that of this picture."""
    return abs(times[picture] - seconds) < _SAME * _gap(picture, times)


def _gap(picture: int, times: Sequence[float]) -> float:
    """Seconds from a picture to its nearest neighbour."""
    around = times[max(0, picture - 1) : picture + 2]
    return min((late - early for early, late in pairwise(around)), default=1.0)
