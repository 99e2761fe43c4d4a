"""Looks through a few consecutive frames: whole searches at both ends, known faces followed in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from musetalk.arrays import UInt8Array
from musetalk.faces.overlap import distinct, same_face
from musetalk.faces.types import FaceBox, FaceDetector


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


def look_through(
    detector: FaceDetector, frames: Sequence[UInt8Array], known: list[FaceBox] | None
) -> list[list[FaceBox]]:
    """Find the faces of consecutive frames of one shot.

    A face that either end shows is followed from there through the frames between, forwards and backwards, so that
    one that comes or goes is lost no sooner than by searching every frame.

    Args:
        detector: Searches every frame, or where it can follow, only the ends.
        frames: uint8 RGB [H, W, 3] each, of one size, at least one.
        known: Faces of the first frame, if it has been looked at before; they are returned as they are.

    Returns:
        Per frame its faces, in pixels of the frame.
    """
    if not isinstance(detector, FollowingDetector):
        fresh = frames if known is None else frames[1:]
        searched = detector.detect(fresh) if fresh else []
        return searched if known is None else [known, *searched]
    first = detector.detect(frames[:1])[0] if known is None else known
    if len(frames) == 1:
        return [first]
    found = [first, *_followed(detector, frames[1:], first)]
    found[-1] = distinct([*detector.detect(frames[-1:])[0], *found[-1]])
    late = [box for box in found[-1] if not any(same_face(box, other) for other in found[-2])]
    backwards = _followed(detector, frames[-2:0:-1], late)
    for position, boxes in enumerate(reversed(backwards), start=1):
        found[position] = distinct([*found[position], *boxes])
    return found


def _followed(
    detector: FollowingDetector, frames: Sequence[UInt8Array], boxes: Sequence[FaceBox]
) -> list[list[FaceBox]]:
    """Follow faces through frames, and where one is lost look on in the same place: faces per frame."""
    last = list(boxes)
    found: list[list[FaceBox]] = []
    for frame in frames:
        seen = detector.follow(frame, last) if last else []
        last = [old if new is None else new for old, new in zip(last, seen, strict=True)]
        found.append(distinct(box for box in seen if box is not None))
    return found
