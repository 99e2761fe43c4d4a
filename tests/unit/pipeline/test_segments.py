from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from musetalk.backends.types import GeneratorSpec
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.media.timing.timeline import Timeline
from musetalk.pipeline.borders import painted_borders
from musetalk.pipeline.segments import PASSTHROUGH_LENGTH, Segment, SegmentLimits, cut_segments, segment_limits
from musetalk.progress import FallbackEvent


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
    overlap=st.integers(0, 6),
    shown=st.none() | st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 20)), min_size=1, max_size=6),
)
def test_segments_cover_the_output_once_and_hold_one_thing_each(
    shots: list[tuple[int, bool]],
    frames: int,
    spoken: int,
    mode: str,
    clip_length: int,
    overlap: int,
    shown: list[tuple[float, int]] | None,
) -> None:
    tracks = [shot if face else None for shot, (length, face) in enumerate(shots) for _ in range(length)]
    numbers = [shot for shot, (length, _) in enumerate(shots) for _ in range(length)]
    timeline = Timeline(frames, min(spoken, frames), len(tracks), mode)  # type: ignore[arg-type]
    lengths = SegmentLimits(clip_length, min(overlap, clip_length - 1), min(8, clip_length))
    presence = None if shown is None else np.resize(np.repeat(*map(np.array, zip(*shown, strict=True))), frames)
    segments = cut_segments(plan_of(tracks, numbers), timeline, lengths, presence)
    assert segments[0].start == 0
    assert segments[-1].stop == frames
    assert all(a.stop == b.start for a, b in pairwise(segments))
    for segment in segments:
        assert not segment.lead or segment.tracks
        assert 0 <= segment.first <= segment.start
        sources = [timeline.source_frame(k) for k in range(segment.first, segment.stop)]
        expected = {
            (tracks[source],)
            if tracks[source] is not None and k < timeline.spoken_count and (presence is None or presence[k] > 0)
            else ()
            for k, source in enumerate(sources, segment.first)
        }
        assert expected == {segment.tracks}
        assert len(sources) <= (clip_length if segment.tracks else PASSTHROUGH_LENGTH)
        if segment.tracks:
            assert len({numbers[source] for source in sources}) == 1
            assert all(abs(b - a) <= 1 for a, b in pairwise(sources))
    for a, b in pairwise(segments):
        assert b.first >= a.start  # two segments at most paint a frame
        borders = timeline.source_frame(a.stop - 1), timeline.source_frame(b.start)
        same = a.tracks == b.tracks and (a.stop - 1 < timeline.spoken_count) == (b.start < timeline.spoken_count)
        shots_there = {numbers[source] for source in borders} if b.start < timeline.spoken_count else {0}
        assert b.joined == (same and len(shots_there) == 1 and abs(borders[1] - borders[0]) <= 1)
    assert not segments[0].joined


def cut(frames: int, *lengths: int) -> list[tuple[int, int, int]]:
    plan, timeline = plan_of([0] * frames, [0] * frames), Timeline(frames, frames, frames, "hold")
    return [(s.first, s.start, s.stop) for s in cut_segments(plan, timeline, SegmentLimits(*lengths))]


def test_pieces_of_one_stretch_share_frames_and_the_last_one_is_no_shorter_than_the_network_needs() -> None:
    assert cut(16, 28, 4, 16) == [(0, 0, 16)]
    assert cut(52, 28, 4, 16) == [(0, 0, 28), (24, 28, 52)]
    assert cut(54, 28, 4, 16) == [(0, 0, 28), (24, 28, 52), (38, 52, 54)]
    assert cut(9, 4) == [(0, 0, 4), (4, 4, 8), (8, 8, 9)]


def test_frames_that_show_nothing_painted_are_not_painted() -> None:
    plan, timeline = plan_of([0] * 20, [0] * 20), Timeline(20, 20, 20, "hold")
    presence = np.array([1] * 6 + [0.5, 0] + [0] * 5 + [0.1] + [1] * 6, np.float32)
    assert cut_segments(plan, timeline, SegmentLimits(5, 2), presence) == (
        Segment(0, 5, (0,)),
        Segment(5, 7, (0,), 2, joined=True),
        Segment(7, 11, ()),
        Segment(11, 13, (), joined=True),
        Segment(13, 18, (0,)),
        Segment(18, 20, (0,), 2, joined=True),
    )
    assert {s.tracks for s in cut_segments(plan, timeline, SegmentLimits(5), np.zeros(20, np.float32))} == {()}


def test_a_single_frame_is_cut_out_as_a_render_cuts_it() -> None:
    plan, timeline = plan_of([0] * 20, [0] * 20), Timeline(20, 20, 20, "hold")
    presence = np.array([1] * 6 + [0] * 3 + [1] * 11, np.float32)
    for segment in cut_segments(plan, timeline, SegmentLimits(4), presence):
        [found] = cut_segments(plan, timeline, SegmentLimits(4), presence, range(segment.start, segment.stop))
        assert (found.start, found.stop, found.tracks) == (segment.start, segment.stop, segment.tracks)
    window = range(4, 8)
    assert cut_segments(plan, timeline, SegmentLimits(4), presence, window) == (Segment(4, 6, (0,)), Segment(6, 8, ()))
    assert cut_segments(plan, timeline, SegmentLimits(4), frames=window) == (Segment(4, 8, (0,)),)


def test_borders_are_where_pieces_meet_and_where_their_parts_do() -> None:
    segments = (Segment(0, 4, ()), Segment(4, 20, (0,)), Segment(20, 30, (0,), 2), Segment(30, 34, ()))
    spec = GeneratorSpec(seams=lambda frames, stride: range(frames // 2, frames // 2 + stride))
    assert painted_borders(segments, spec, 1) == (12, 18, 19, 20, 24)
    assert painted_borders(segments, spec, 3) == (12, 13, 14, 18, 19, 20, 24, 25, 26)
    assert painted_borders(segments, spec, 1, [FallbackEvent(4, 20, 0, "musetalk-v15", "memory")]) == (18, 19, 20, 24)
    assert painted_borders(segments[:2], GeneratorSpec(), 1) == ()


class Painter:
    """As much of a generator as tells how long its pieces are."""

    def __init__(self, clip_length: int, **spec: int) -> None:
        self.clip_length, self.spec = clip_length, GeneratorSpec(**spec)  # type: ignore[arg-type]


def lengths_of(painter: Painter, frame_bytes: int, fps: Fraction = Fraction(25)) -> SegmentLimits:
    return segment_limits(painter, frame_bytes, fps)  # type: ignore[arg-type]


def test_pieces_of_large_frames_are_short_but_never_shorter_than_a_network_needs() -> None:
    hd, uhd = 1920 * 1080 * 3, 3840 * 2160 * 3
    video = Painter(52, clip_overlap=4, min_clip=16)
    sizes = (hd // 4, hd, uhd, 4 * uhd)
    assert [lengths_of(video, size) for size in sizes] == [
        SegmentLimits(longest, 4, 16) for longest in (52, 28, 16, 16)
    ]
    assert lengths_of(Painter(52, clip_overlap=12, min_clip=16), uhd) == SegmentLimits(16, 8, 16)
    assert lengths_of(Painter(64, min_clip=16), 2560 * 1440 * 3) == SegmentLimits(16, 0, 16)
    assert lengths_of(Painter(8), uhd) == SegmentLimits(8)
    assert lengths_of(Painter(6, clip_overlap=4, min_clip=16), hd) == SegmentLimits(6, 3, 6)


def test_pieces_of_every_nth_frame_last_as_long() -> None:
    hd = 1920 * 1080 * 3
    video = Painter(52, clip_overlap=4, min_clip=16, trained_fps=25)
    for rate, stride in (("24000/1001", 1), ("12", 1), ("30", 1), ("37", 1), ("50", 2), ("60000/1001", 2), ("120", 5)):
        assert video.spec.stride_at(Fraction(rate)) == stride
        assert lengths_of(video, 1000, Fraction(rate)) == SegmentLimits(52 * stride, 4 * stride, 16 * stride)
    assert lengths_of(video, hd, Fraction(60)) == SegmentLimits(32, 8, 32)
    assert lengths_of(video, hd // 2, Fraction(60)) == SegmentLimits(56, 8, 32)
    assert lengths_of(Painter(8), hd, Fraction(60)) == SegmentLimits(8)


def test_a_rate_far_below_that_of_the_training_is_told() -> None:
    video = GeneratorSpec(trained_fps=25)
    assert [bool(video.note_on(Fraction(rate))) for rate in ("10", "19.9", "20", "24", "120")] == [
        *(True, True),
        *(False, False, False),
    ]
    assert "trained on 25 frames a second: at 12.5 it sees" in video.note_on(Fraction(25, 2))
    assert not GeneratorSpec().note_on(Fraction(5))
