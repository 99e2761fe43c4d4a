"""Sampling of a few source frames for faces, before a render and for errors; bounded in time."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from musetalk.errors import Cancelled
from musetalk.faces.absence import unusual_light, upside_down
from musetalk.faces.detection.opencv import shrunk
from musetalk.faces.tracking.following import ANY_FACE, search_frames
from musetalk.faces.types import FaceDetector
from musetalk.media.reader import read_frames
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.progress import CancelToken, Deadline
from musetalk.utils.arrays import UInt8Array

SAMPLING_SECONDS = 1.2  # most that the looks take, up to the one that is being taken
MAX_SAMPLES = 3  # frames in which faces are looked for: each costs a decoder that has to start
_SMALLEST_SIDE = 160  # pixels of the first look: a sixteenth of the work that one at 640 is
_PRUDENCE = 1.5  # by how much a larger look may cost more than its pixels say


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a few looks have shown.

    Attributes:
        frames: How many frames were looked at.
        with_face: In how many of them a face was seen.
        oddity: What is unusual in the light of these frames or the way faces stand, as a sentence about the source;
            empty: nothing.
    """

    frames: int
    with_face: int
    oddity: str = ""


def sample_faces(
    source: Source,
    timeline: Timeline,
    detector: FaceDetector,
    cancel: CancelToken,
    now: Callable[[], float] = time.monotonic,
) -> Sampling:
    """Look for faces in a few frames: at a small size first, larger where that shows none and there is time.

    As many frames, and as large, as the time allows by what looks have cost so far; the first look is always taken.

    Args:
        source: The source.
        timeline: Which of its frames are used.
        detector: What looks.
        cancel: Ends it.
        now: A clock, in seconds.

    Raises:
        Cancelled: Through `cancel`.
    """
    deadline = Deadline(cancel, SAMPLING_SECONDS, now)
    full = min(detector.max_side, max(source.width, source.height))
    looks = _Looks(detector, full, deadline, now)
    pictures, showing = list[UInt8Array](), list[UInt8Array]()
    for place in _places(source, timeline):
        cancel.check()
        if not looks.affordable():
            break
        picture = _picture(source, place, full, deadline)
        if picture is None:
            break
        pictures.append(picture)
        if looks.show_face(picture):
            showing.append(picture)
    alone = timeline.sources_used == 1
    return Sampling(len(pictures), len(showing), find_oddity(pictures, showing, alone=alone))


def find_oddity(pictures: Sequence[UInt8Array], showing: Sequence[UInt8Array], *, alone: bool) -> str:
    """Return what is unusual in the light of a source or the way its faces stand, as a sentence; empty: nothing.

    Args:
        pictures: Some frames, far apart: uint8 RGB [H, W, 3] each.
        showing: Those of them that show a face.
        alone: Whether one picture is all that the source has: of a film one frame does not tell how the others are,
            for many begin black.
    """
    if len(pictures) < 2 and not alone:
        return ""
    if odd := unusual_light(pictures, "the source"):
        return odd.reason
    if odd := upside_down(showing):
        return f"the faces in the source look upside down: {odd.remedy}"
    return ""


class _Looks:
    """Looks at frames that keep to a deadline, by what looks of each size have cost."""

    def __init__(self, detector: FaceDetector, full: int, deadline: Deadline, now: Callable[[], float]) -> None:
        self._detector, self._full, self._deadline, self._now = detector, full, deadline, now
        self._side = min(_SMALLEST_SIDE, full)
        self._costs: dict[int, float] = {}  # by side; the least seen, for the first look of a program loads things

    def affordable(self) -> bool:
        """Return whether there is time for a look at the smallest size."""
        return not self._costs or self._costs[self._side] <= self._deadline.left

    def show_face(self, picture: UInt8Array) -> bool:
        """Return whether a frame shows a face."""
        side = self._side
        while True:
            if self._look(picture, side):
                return True
            larger = min(2 * side, self._full)
            cost = self._costs.get(larger, _PRUDENCE * self._costs[side] * (larger / side) ** 2)
            if larger == side or cost > self._deadline.left:
                return False
            side = larger

    def _look(self, picture: UInt8Array, side: int) -> bool:
        started = self._now()
        faces = search_frames(self._detector, [shrunk(picture, side)[0]], ANY_FACE)[0]
        seconds = self._now() - started
        self._costs[side] = min(seconds, self._costs.get(side, seconds))
        return bool(faces)


def _places(source: Source, timeline: Timeline) -> list[int]:
    """Source frames to look at, those far apart first.

    Keyframes, because decoding one costs no other frame; of a film with no more than one, its middle, too.
    """
    used = timeline.sources_used
    keys = source.clock.keyframes or (0,)
    samples = min(MAX_SAMPLES, used)
    wanted = ((2 * index + 1) * used // (2 * samples) for index in range(samples))
    places = sorted({keys[max(0, bisect.bisect_right(keys, at) - 1)] for at in wanted})
    if len(places) == 1 and used > 1:
        places.append(max(places[0] + 1, used // 2))  # though it costs those before it
    if not source.seekable:  # each costs all that lies before it
        return places
    spread = sorted(range(len(places)), key=lambda index: f"{index:03b}"[::-1])
    return [places[index] for index in spread]


def _picture(source: Source, place: int, side: int, deadline: Deadline) -> UInt8Array | None:
    """Return one frame, shrunk for a look: uint8 RGB [H, W, 3]; None: it cannot be had in time, or not at all."""
    try:
        with closing(read_frames(source, place, place + 1, max_side=side, cancel=deadline)) as frames:
            return next(frames, None)
    except Cancelled:
        return None
