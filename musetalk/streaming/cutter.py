"""The frames of a live session cut into what is painted together, as the voice arrives."""

from __future__ import annotations

from typing import Protocol

from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.media.timing.timeline import Timeline
from musetalk.pipeline.composite import JUDGED
from musetalk.pipeline.segments import PASSTHROUGH_LENGTH, Segment


class Speaking(Protocol):
    """Who speaks in which frame."""

    @property
    def frame_count(self) -> int:
        """Frames that are known."""
        ...

    def span_end(self, frame: int) -> int | None:
        """Return where what is shown in a frame ends; None: that is not known yet."""
        ...

    def paints(self, frame: int) -> bool:
        """Whether faces are painted in a frame."""
        ...


class LiveCutter:
    """Cuts the same pieces as `cut_segments`, without knowing where the output ends; each may be cut into parts.

    Args:
        plan: The chosen faces.
        timeline: Which frame of the source each frame shows; it is asked of frames behind its end, too.
        longest: Most frames of a piece with a face.
    """

    def __init__(self, plan: FacePlan, timeline: Timeline, longest: int) -> None:
        self._plan, self._timeline, self._longest = plan, timeline, longest
        self._piece = 0  # its first frame
        self._known: tuple[bool, int, tuple[int, ...]] | None = None  # of the last frame that was cut
        self.position = 0

    def go_back(self, frame: int) -> None:
        """Begin anew with a frame: what was cut from it on is dropped."""
        self.position, self._known = frame, None

    def next(self, speaking: Speaking) -> Segment | None:
        """Return the next frames that can be painted together, as many as are known; None: too few are."""
        start, known = self.position, speaking.frame_count
        if start >= known:
            return None
        kind, piece, follows = self._kind(start, speaking), self._piece, self._goes_on(start, speaking)
        painted, _, tracks = kind
        longest = self._longest if tracks else PASSTHROUGH_LENGTH
        if not follows or start >= piece + longest:
            piece = start
        end, stop = speaking.span_end(start), start + 1
        last = min(known, piece + longest, known if end is None else end)
        while stop < last and self._kind(stop, speaking) == kind and self._adjacent(stop):
            stop += 1
        if painted and tracks and stop - piece < JUDGED <= longest and stop == known and end is None:
            return None  # a piece is judged by its first frames: they are painted together
        self.position, self._piece, self._known = stop, piece, kind
        return Segment(start, stop, tracks, joined=follows, handed_on=start - piece)

    def _kind(self, frame: int, speaking: Speaking) -> tuple[bool, int, tuple[int, ...]]:
        source = self._timeline.source_frame(frame)
        painted = speaking.paints(frame)
        tracks = tuple(face.track for face in self._plan.faces(source)) if painted else ()
        return painted, self._plan.shot(source), tracks

    def _goes_on(self, frame: int, speaking: Speaking) -> bool:
        return self._known == self._kind(frame, speaking) and self._adjacent(frame)

    def _adjacent(self, frame: int) -> bool:
        """Whether a frame follows on the one before it in the source, too."""
        here, before = self._timeline.source_frame(frame), self._timeline.source_frame(frame - 1)
        return abs(here - before) <= 1
