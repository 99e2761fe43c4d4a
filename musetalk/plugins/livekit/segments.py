"""What an agent says, one segment after the other, and how far each was played."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Segment:
    """One stretch of speech, from its first sample to the end that the agent tells.

    A session may speak it as several voices, one after the other, where it arrives too slowly.

    Attributes:
        pushed: Seconds of it that arrived.
        voice: The number of its newest voice.
        shown_voice: The number of the one that was shown last.
        shown: Frames of it that were shown.
        shown_at: When the newest of them was.
        ended: Whether nothing more of it arrives.
        dropped: Whether it was interrupted.
    """

    pushed: float = 0.0
    voice: int | None = None
    shown_voice: int | None = None
    shown: int = 0
    shown_at: float = 0.0
    ended: bool = False
    dropped: bool = False


class Segments:
    """Those that were pushed and not yet played to their end.

    Args:
        period: Seconds that a frame is shown.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, period: float, now: Callable[[], float]) -> None:
        self._period, self._now = period, now
        self._open: deque[Segment] = deque()
        self._pushed: Segment | None = None  # the one that goes on

    @property
    def unplayed(self) -> float:
        """Seconds that were pushed and not yet shown."""
        return sum(max(0.0, each.pushed - each.shown * self._period) for each in self._open)

    def push(self, seconds: float) -> Segment:
        """Note that more arrives, and return what it belongs to."""
        if self._pushed is None:
            self._pushed = Segment()
            self._open.append(self._pushed)
        self._pushed.pushed += seconds
        return self._pushed

    def end(self) -> Segment | None:
        """Return the one that has arrived whole; None: none was arriving."""
        ended, self._pushed = self._pushed, None
        return ended

    def show(self, segment: Segment, voice: int | None) -> bool:
        """Note that a frame of one is shown now, and return whether it is its first."""
        segment.shown += 1
        segment.shown_voice, segment.shown_at = voice, self._now()
        return segment.shown == 1

    def played_before(self, segment: Segment | None) -> list[Segment]:
        """Return those that are over where a frame of another one, or of none, is shown; they are forgotten."""
        over = []
        while self._open and self._open[0] is not segment and self._is_over(self._open[0]):
            over.append(self._open.popleft())
        return over

    def drop(self) -> list[Segment]:
        """Return all of them; they are forgotten."""
        dropped = list(self._open)
        for segment in dropped:
            segment.dropped = True
        self._open.clear()
        self._pushed = None
        return dropped

    def position(self, segment: Segment) -> float:
        """Return how many seconds of one were heard until now."""
        if segment.shown == 0:
            return 0.0
        within = min(self._period, self._now() - segment.shown_at)
        return min(segment.pushed, (segment.shown - 1) * self._period + within)

    @staticmethod
    def _is_over(segment: Segment) -> bool:
        return segment.ended and segment.shown_voice == segment.voice
