"""The output cut into units of work, always at the same places, so that any range comes out the same."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.faces.plan import FacePlan
from musetalk.timeline import Timeline

PASSTHROUGH_LENGTH = 4  # frames handed on together where there is nothing to paint
_SEGMENT_BYTES = 320 * 2**20  # of frames in one piece: every stage holds one or two
_LEAST_LENGTH = 16  # frames that a piece may always have, however large: what video networks see together


@dataclass(frozen=True, slots=True)
class Segment:
    """Output frames [start, stop) that show the same faces of one shot, or none.

    Attributes:
        start, stop: Output frames.
        tracks: The faces in them; empty: the frames pass through.
    """

    start: int
    stop: int
    tracks: tuple[int, ...]


def segment_length(clip_length: int, frame_bytes: int) -> int:
    """Most frames in a piece with a face.

    Args:
        clip_length: Most frames that the generator takes.
        frame_bytes: Size of a decoded frame.
    """
    return min(clip_length, max(_LEAST_LENGTH, _SEGMENT_BYTES // frame_bytes))


def cut_segments(plan: FacePlan, timeline: Timeline, clip_length: int) -> tuple[Segment, ...]:
    """Cut where the shot, the faces in view or the voice's cover changes, and where the source jumps.

    Pieces with a face have at most `clip_length` frames.
    """
    found: list[Segment] = []
    start, last_source = 0, 0
    key: tuple[int, tuple[int, ...]] | None = None
    for frame in range(timeline.frame_count):
        source = timeline.source_frame(frame)
        spoken = frame < timeline.spoken_count
        tracks = tuple(face.track for face in plan.faces(source)) if spoken else ()
        this = (plan.shot(source) if spoken else -1, tracks)
        longest = clip_length if tracks else PASSTHROUGH_LENGTH
        if key is not None and (this != key or abs(source - last_source) > 1 or frame - start >= longest):
            found.append(Segment(start, frame, key[1]))
            start = frame
        key, last_source = this, source
    if key is not None:
        found.append(Segment(start, timeline.frame_count, key[1]))
    return tuple(found)
