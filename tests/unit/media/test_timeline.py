from __future__ import annotations

from fractions import Fraction
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.media.timing.timeline import Timeline, plan_timeline

Length = Literal["pingpong", "loop", "hold"]
RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60000, 1001)]
lengths = st.sampled_from(get_args(Length))


def expected_order(count: int, mode: Length, frames: int) -> list[int]:
    forwards = list(range(count))
    if mode == "hold":
        return (forwards + [count - 1] * frames)[:frames]
    lap = forwards if mode == "loop" or count == 1 else forwards + forwards[-2:0:-1]
    return (lap * (frames // len(lap) + 1))[:frames]


@given(count=st.integers(1, 12), frames=st.integers(1, 60), mode=lengths)
def test_order_is_the_written_out_one(count: int, frames: int, mode: Length) -> None:
    timeline = Timeline(frames, frames, count, mode)
    assert [timeline.source_frame(k) for k in range(frames)] == expected_order(count, mode, frames)


@given(
    count=st.integers(1, 12),
    frames=st.integers(1, 60),
    mode=lengths,
    cuts=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_runs_spell_out_any_range(count: int, frames: int, mode: Length, cuts: tuple[int, int]) -> None:
    start, stop = sorted(min(cut, frames) for cut in cuts)
    timeline = Timeline(frames, frames, count, mode)
    spelled = [
        (k, run.source + run.step * (k - run.start))
        for run in timeline.runs(start, stop)
        for k in range(run.start, run.stop)
    ]
    assert spelled == [(k, timeline.source_frame(k)) for k in range(start, stop)]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("seconds", [Fraction(1), Fraction(987, 100), Fraction(61), Fraction(600), Fraction(3599, 6)])
def test_picture_ends_within_half_a_frame_of_the_voice(fps: Fraction, seconds: Fraction) -> None:
    timeline = plan_timeline(1000, fps, seconds, length="pingpong", tail="cut")
    assert abs(timeline.frame_count / fps - seconds) <= 1 / fps / 2


def test_a_kept_tail_follows_in_order() -> None:
    timeline = plan_timeline(100, Fraction(25), Fraction(2), length="pingpong", tail="keep")
    assert (timeline.spoken_count, timeline.frame_count) == (50, 100)
    assert [timeline.source_frame(k) for k in range(100)] == list(range(100))
    assert timeline.sources_used == 50


def test_a_cut_tail_ends_with_the_voice() -> None:
    timeline = plan_timeline(100, Fraction(25), Fraction(2), length="pingpong", tail="cut")
    assert timeline.frame_count == timeline.spoken_count == 50


def test_the_shortest_voice_still_gets_a_frame() -> None:
    assert plan_timeline(5, Fraction(25), Fraction(1, 1000), length="hold", tail="cut").frame_count == 1
