from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from musetalk.media.timing.timeline import Timeline
from musetalk.pipeline.composite import JUDGED
from musetalk.pipeline.segments import Segment, SegmentLimits, cut_segments
from musetalk.streaming.cutter import LiveCutter
from tests.unit.pipeline.test_segments import plan_of


@dataclass
class Speaking:
    """A voice over all frames, of which some are known."""

    frame_count: int = 0
    ended: int | None = None

    def span_end(self, _frame: int) -> int | None:
        return self.ended

    def paints(self, _frame: int) -> bool:
        return True


@given(
    shots=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=5),
    mode=st.sampled_from(["pingpong", "loop", "hold"]),
    longest=st.integers(1, 16),
    steps=st.lists(st.integers(0, 20), min_size=1, max_size=12),
)
def test_parts_make_the_pieces_that_a_whole_voice_is_cut_into(
    shots: list[tuple[int, bool]], mode: str, longest: int, steps: list[int]
) -> None:
    tracks = [shot if face else None for shot, (length, face) in enumerate(shots) for _ in range(length)]
    plan = plan_of(tracks, [shot for shot, (length, _) in enumerate(shots) for _ in range(length)])
    count = max(1, sum(steps))
    endless = Timeline(2**40, 2**40, len(tracks), mode)  # type: ignore[arg-type]
    cutter, speaking, parts = LiveCutter(plan, endless, longest), Speaking(), list[Segment]()
    for step in steps:
        speaking.frame_count += step
        while (part := cutter.next(speaking)) is not None:
            parts.append(part)
    speaking.frame_count = speaking.ended = count
    while (part := cutter.next(speaking)) is not None:
        parts.append(part)
    assert [frame for part in parts for frame in range(part.first, part.stop)] == list(range(count))
    for part in parts:
        if part.tracks and not part.handed_on and part.stop < min(count, part.first + longest):
            same = plan.faces(endless.source_frame(part.stop)) and part.stop - part.first < JUDGED
            assert not same or plan.shot(endless.source_frame(part.stop)) != plan.shot(endless.source_frame(part.first))
    pieces = [list(own) for _, own in groupby(parts, lambda part: part.first - part.handed_on)]
    joined = [Segment(own[0].first, own[-1].stop, own[0].tracks, joined=own[0].joined) for own in pieces]
    timeline = Timeline(count, count, len(tracks), mode)  # type: ignore[arg-type]
    whole = cut_segments(plan, timeline, SegmentLimits(longest))
    assert [piece for piece in joined if piece.tracks] == [piece for piece in whole if piece.tracks]


def test_a_piece_waits_for_the_frames_that_it_is_judged_by() -> None:
    cutter, speaking = LiveCutter(plan_of([0] * 20, [0] * 20), Timeline(2**40, 2**40, 20, "loop"), 4), Speaking(1)
    assert cutter.next(speaking) is None
    speaking.frame_count = 3
    assert cutter.next(speaking) == Segment(0, 3, (0,))
    speaking.frame_count = 5
    assert cutter.next(speaking) == Segment(3, 4, (0,), joined=True, handed_on=3)
    assert cutter.next(speaking) is None
    speaking.ended = 5
    assert cutter.next(speaking) == Segment(4, 5, (0,), joined=True)
