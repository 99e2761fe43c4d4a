"""Detection in a few consecutive frames: full searches at both ends, some faces followed in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from musetalk.faces.detection.boxes import distinct, same_face
from musetalk.faces.types import FaceBox, FaceDetector, FivePoints, Sought
from musetalk.progress import never_stop
from musetalk.utils.arrays import UInt8Array

_EDGES = ("x0", "y0", "x1", "y1")
_REST = 0.02  # how far edges and points of a face at rest move in two frames, as a fraction of its width


@runtime_checkable
class FollowingDetector(FaceDetector, Protocol):
    """A detector that finds a face again far sooner when told where it was."""

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were.

        Args:
            frame: uint8 RGB [H, W, 3].
            boxes: Where they were a moment before or after, in pixels of the frame.

        Returns:
            For each box the face as it is in this frame, None where it is not found.
        """
        ...


@runtime_checkable
class SearchingDetector(FollowingDetector, Protocol):
    """A detector whose `detect` is a search for all faces, and a closer look at each, which `follow` does as well."""

    def search(self, frames: Sequence[UInt8Array], sought: Sought | None = None) -> list[list[FaceBox]]:
        """As `detect`, without the closer look.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.
            sought: Faces that are enough, so that what it costs does not grow with their number; None: all are wanted.
        """
        ...


Choosing: TypeAlias = Callable[[Sequence[FaceBox]], list[FaceBox]]
"""Of the faces of a frame, in its pixels, those that are to be followed."""


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of one frame, in its pixels.

    Attributes:
        near: Looked at closely, or searched for, in this frame: these are followed.
        far: The others, as searches show them; between two searches on the straight way from one to the other.
    """

    near: list[FaceBox]
    far: list[FaceBox]

    @property
    def every(self) -> list[FaceBox]:
        """All of them."""
        return [*self.near, *self.far]


ANY_FACE = Sought(1, lambda _face: 0.0)
"""One face is enough, whichever."""


def search_frames(
    detector: FaceDetector, frames: Sequence[UInt8Array], sought: Sought | None = None
) -> list[list[FaceBox]]:
    """Return the faces of each frame, at the least cost: as a search shows them, no face looked at closely.

    Args:
        detector: What searches.
        frames: uint8 RGB [H, W, 3] each, of one size.
        sought: Faces that are enough; None: all are wanted.
    """
    return detector.search(frames, sought) if isinstance(detector, SearchingDetector) else detector.detect(frames)


def look_through(
    detector: FaceDetector,
    frames: Sequence[UInt8Array],
    known: FrameFaces | None,
    choose: Choosing = list,
    check: Callable[[], None] = never_stop,
    sought: Sought | None = None,
) -> list[FrameFaces]:
    """Find the faces of consecutive frames of one shot.

    A chosen face that either end shows is followed from there through the frames between, forwards and backwards, so
    that one that comes or goes is lost no sooner than by searching every frame.

    Args:
        detector: Searches every frame, or where it can follow, only the ends.
        frames: uint8 RGB [H, W, 3] each, of one size, at least one.
        known: Faces of the first frame, if it has been looked at before; they are returned as they are.
        choose: Which faces are followed; all, unless it says otherwise.
        check: Called before each piece of work; may raise, to end it.
        sought: Faces that are enough for a search; None: all are wanted.

    Returns:
        Per frame its faces.
    """
    if not isinstance(detector, FollowingDetector):
        before = [] if known is None else [known]
        fresh = frames[len(before) :]
        return before + [_parted(boxes, choose) for boxes in (detector.detect(fresh) if fresh else [])]
    check()
    first = _searched(detector, frames[0], choose, sought) if known is None else known
    if len(frames) == 1:
        return [first]
    check()
    end = _searched(detector, frames[-1], choose, sought)
    chosen = choose(first.every)
    ahead = _followed(detector, frames[1:], chosen, check)
    near = distinct([*end.near, *ahead[-1]])
    others = _without(first.every, chosen)
    late = _without(_without(near, ahead[-2] if len(ahead) > 1 else chosen), others)
    back = _followed(detector, frames[-2:0:-1], late, check)[::-1]
    last = FrameFaces(near, _without(end.far, near))
    pairs, between = _paired(others, last.every), list[FrameFaces]()
    for position, (forwards, backwards) in enumerate(zip(ahead[:-1], back, strict=True), start=1):
        followed = distinct([*forwards, *backwards])
        far = [_on_the_way(a, b, position / (len(frames) - 1)) for a, b in pairs]
        between.append(FrameFaces(followed, _without(far, followed)))
    return [first, *between, last]


def _searched(detector: FollowingDetector, frame: UInt8Array, choose: Choosing, sought: Sought | None) -> FrameFaces:
    """Search one frame as a whole; only chosen faces are looked at closely."""
    found = _parted(search_frames(detector, [frame], sought)[0], choose)
    if not isinstance(detector, SearchingDetector):
        return found  # `detect` has looked closely at each
    measured = detector.follow(frame, found.near) if found.near else []
    near = distinct(old if new is None else new for old, new in zip(found.near, measured, strict=True))
    return FrameFaces(near, _without(found.far, near))


def _parted(boxes: Sequence[FaceBox], choose: Choosing) -> FrameFaces:
    near = choose(boxes)
    return FrameFaces(near, [box for box in boxes if box not in near])


def _without(boxes: Sequence[FaceBox], others: Sequence[FaceBox]) -> list[FaceBox]:
    """Return the boxes that show none of the other faces."""
    return [box for box in boxes if not any(same_face(box, other) for other in others)]


def _paired(start: Sequence[FaceBox], end: Sequence[FaceBox]) -> list[tuple[FaceBox, FaceBox]]:
    """Faces that two searches show near one place, as each shows them."""
    pairs, left = [], list(end)
    for a in start:
        alike = [box for box in left if same_face(a, box)]
        if alike:
            b = min(alike, key=lambda box: abs(box.center[0] - a.center[0]) + abs(box.center[1] - a.center[1]))
            left.remove(b)
            pairs.append((a, b))
    return pairs


def _on_the_way(a: FaceBox, b: FaceBox, share: float) -> FaceBox:
    """So far on the straight way from one box to another, 0 to 1."""
    edges = ((1 - share) * getattr(a, name) + share * getattr(b, name) for name in (*_EDGES, "score"))
    points = None
    if a.points is not None and b.points is not None:
        points = FivePoints.of((1 - share) * a.points.array() + share * b.points.array())
    return replace(FaceBox(*edges), points=points)


def _followed(
    detector: FollowingDetector, frames: Sequence[UInt8Array], boxes: Sequence[FaceBox], check: Callable[[], None]
) -> list[list[FaceBox]]:
    """Follow faces through frames, and where one is lost look on in the same place: faces per frame.

    Of each two frames the second is looked at first. Where it shows all faces as they were, they are halfway in the
    first; else that is looked at, too.
    """
    last = list(boxes)
    found: list[list[FaceBox | None]] = []
    ahead: list[FaceBox | None] | None = None  # what the next frame shows, where it was looked at before this one
    for position, frame in enumerate(frames):
        if not last:
            found.append([])
            continue
        seen, ahead = ahead, None
        if seen is None and position + 1 < len(frames):
            check()
            ahead = detector.follow(frames[position + 1], last)
            seen = _halfway(last, ahead)
        if seen is None:
            check()
            seen = detector.follow(frame, last)
            if ahead is not None and any(new is None and old is not None for new, old in zip(ahead, seen, strict=True)):
                ahead = None  # it may be found from where it is now
        last = [old if new is None else new for old, new in zip(last, seen, strict=True)]
        found.append(seen)
    return [distinct(box for box in seen if box is not None) for seen in found]


def _halfway(before: Sequence[FaceBox], after: Sequence[FaceBox | None]) -> list[FaceBox | None] | None:
    """Return the faces of the frame between two; None: one of them is lost, or has moved."""
    middle: list[FaceBox | None] = []
    for a, b in zip(before, after, strict=True):
        if b is None or not _at_rest(a, b):
            return None
        middle.append(_on_the_way(a, b, 0.5))
    return middle


def _at_rest(a: FaceBox, b: FaceBox) -> bool:
    """Whether a face is where and as it was, by all that is known of it."""
    ways = [abs(getattr(a, name) - getattr(b, name)) for name in _EDGES]
    if a.points is not None and b.points is not None:
        ways.append(float(np.abs(a.points.array() - b.points.array()).max()))
    return bool(max(ways) <= _REST * b.width)
