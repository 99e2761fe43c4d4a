"""Whether two boxes show the same face."""

from __future__ import annotations

from collections.abc import Iterable

from musetalk.faces.types import FaceBox

_SAME_FACE = 1 / 3  # boxes that share more than this part of the smaller one show the same face


def same_face(a: FaceBox, b: FaceBox) -> bool:
    """Return whether two boxes of one frame show the same face; one inside the other counts as such."""
    return shared_area(a, b) > _SAME_FACE * min(a.area, b.area)


def shared_area(a: FaceBox, b: FaceBox) -> float:
    """Return what two boxes of one frame share, in square pixels."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, width) * max(0.0, height)


def distinct(boxes: Iterable[FaceBox]) -> list[FaceBox]:
    """Of all boxes on one face keep the one with the best score; best first."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda item: -item.score):
        if not any(same_face(box, other) for other in kept):
            kept.append(box)
    return kept
