from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from musetalk.faces.plan import FacePlan
from musetalk.segments import PASSTHROUGH_LENGTH, cut_segments, segment_length
from musetalk.timeline import Timeline


def plan_of(tracks: list[int | None], shots: list[int]) -> FacePlan:
    """A plan whose frame k shows track `tracks[k]`, or no face."""
    rows = [(frame, track) for frame, track in enumerate(tracks) if track is not None]
    return FacePlan(
        frame_count=len(tracks),
        width=100,
        height=100,
        shots=np.array(shots, np.int32),
        frame=np.array([frame for frame, _ in rows], np.int64),
        track=np.array([track for _, track in rows], np.int32),
        boxes=np.tile(np.float32([10, 10, 50, 50, 1]), (len(rows), 1)),
        mouths=np.tile(np.float32([30, 40, 8, 0]), (len(rows), 1)),
    )


@given(
    shots=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=5),
    frames=st.integers(1, 70),
    spoken=st.integers(1, 70),
    mode=st.sampled_from(["pingpong", "loop", "hold"]),
    clip_length=st.integers(1, 16),
)
def test_segments_cover_the_output_once_and_hold_one_thing_each(
    shots: list[tuple[int, bool]], frames: int, spoken: int, mode: str, clip_length: int
) -> None:
    tracks = [shot if face else None for shot, (length, face) in enumerate(shots) for _ in range(length)]
    numbers = [shot for shot, (length, _) in enumerate(shots) for _ in range(length)]
    timeline = Timeline(frames, min(spoken, frames), len(tracks), mode)  # type: ignore[arg-type]
    segments = cut_segments(plan_of(tracks, numbers), timeline, clip_length)
    assert segments[0].start == 0
    assert segments[-1].stop == frames
    assert all(a.stop == b.start for a, b in pairwise(segments))
    for segment in segments:
        sources = [timeline.source_frame(k) for k in range(segment.start, segment.stop)]
        expected = {
            (tracks[source],) if tracks[source] is not None and k < timeline.spoken_count else ()
            for k, source in enumerate(sources, segment.start)
        }
        assert expected == {segment.tracks}
        assert len(sources) <= (clip_length if segment.tracks else PASSTHROUGH_LENGTH)
        if segment.tracks:
            assert len({numbers[source] for source in sources}) == 1
            assert all(abs(b - a) <= 1 for a, b in pairwise(sources))


def test_pieces_of_large_frames_are_short_but_never_shorter_than_a_network_needs() -> None:
    hd, uhd = 1920 * 1080 * 3, 3840 * 2160 * 3
    assert [segment_length(52, size) for size in (hd, uhd, 4 * uhd)] == [52, 16, 16]
    assert segment_length(4, uhd) == 4
