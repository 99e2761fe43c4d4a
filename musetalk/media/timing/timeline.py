"""Which frame of the source each frame of the output shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, slots=True)
class Run:
    """Output frames in a row that show source frames in a row.

    Attributes:
        start, stop: Output frames [start, stop).
        source: Source frame of the first one.
        step: 1 forwards, -1 backwards, 0 the same frame held.
    """

    start: int
    stop: int
    source: int
    step: Literal[-1, 0, 1]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The order in which an output shows its source.

    Attributes:
        frame_count: Output frames.
        spoken_count: Output frames that the voice covers; after them the source follows untouched.
        source_count: Frames of the source.
        mode: What happens when the source is used up: "pingpong" plays it backwards and forwards again,
            "loop" starts over, "hold" stays on the last frame.
    """

    frame_count: int
    spoken_count: int
    source_count: int
    mode: Literal["pingpong", "loop", "hold"]

    def source_frame(self, frame: int) -> int:
        """Return the source frame that output frame `frame` shows."""
        run = self._run_at(frame)
        return run.source + run.step * (frame - run.start)

    def runs(self, start: int, stop: int) -> Iterator[Run]:
        """Split output frames [start, stop) into runs, in order."""
        while start < stop:
            whole = self._run_at(start)
            end = min(stop, whole.stop)
            yield Run(start, end, whole.source + whole.step * (start - whole.start), whole.step)
            start = end

    @property
    def sources_used(self) -> int:
        """Source frames [0, n) that the voice can reach."""
        return min(self.source_count, self.spoken_count)

    def _run_at(self, frame: int) -> Run:
        """Return the longest run around an output frame, bounded by the source's ends, not by `frame_count`."""
        count = self.source_count
        if frame < count:
            return Run(0, count, 0, 1)
        if self.mode == "hold" or count == 1:
            return Run(count, max(self.frame_count, frame + 1), count - 1, 0)
        if self.mode == "loop":
            start = frame - frame % count
            return Run(start, start + count, 0, 1)
        # Ping-pong turns on a frame without showing it twice: 0 .. n-1, n-2 .. 0, 1 .. n-1, ...
        lap = (frame - count) // (count - 1)
        start = count + lap * (count - 1)
        return Run(start, start + count - 1, count - 2, -1) if lap % 2 == 0 else Run(start, start + count - 1, 1, 1)


def plan_timeline(
    source_count: int,
    fps: Fraction,
    voice_seconds: Fraction,
    *,
    length: Literal["pingpong", "loop", "hold"],
    tail: Literal["cut", "keep"],
) -> Timeline:
    """Lay a voice over a source: round(voice seconds x fps) frames, at least one.

    Args:
        source_count: Frames of the source, at least one.
        fps: Its exact rate.
        voice_seconds: Exact length of the voice (samples / sample rate).
        length: Where the voice is longer.
        tail: Where it is shorter: "cut" ends with the voice, "keep" lets the rest of the source follow.
    """
    spoken = max(1, round(voice_seconds * fps))
    count = max(spoken, source_count) if tail == "keep" else spoken
    return Timeline(count, spoken, source_count, length)


def plan_source(source_count: int, length: Literal["pingpong", "loop", "hold"]) -> Timeline:
    """Lay out a source once, from its first frame to its last, as if a voice of its length spoke.

    Args:
        source_count: Frames of the source, at least one.
        length: How it goes on for whoever asks for later frames.
    """
    return Timeline(source_count, source_count, source_count, length)
