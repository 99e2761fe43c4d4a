"""How frames are cut into clips, and how much each clip counts where they overlap."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybrid.clips import clip_weights, mirrored, phases, plan_clips, shared_frames


@given(st.integers(1, 200), st.integers(1, 24), st.integers(0, 23))
def test_clips_cover_all_frames_and_are_of_one_length(count: int, length: int, overlap: int) -> None:
    count, overlap = max(count, length), min(overlap, length - 1)
    clips = plan_clips(count, length, overlap)
    assert {len(clip) for clip in clips} == {length}
    assert clips[0].start == 0
    assert clips[-1].stop == count
    for before, after in itertools.pairwise(clips):
        assert before.start < after.start <= before.stop - overlap
    assert len(clips) == 1 + math.ceil((count - length) / (length - overlap))
    weights = clip_weights(clips)
    total = torch.zeros(count)
    for clip, weight in zip(clips, weights, strict=True):
        assert bool((weight > 0).all())
        total[clip.start : clip.stop] += weight
    assert torch.allclose(total, torch.ones(count))


@pytest.mark.parametrize(
    ("count", "starts"), [(16, [0]), (17, [0, 1]), (28, [0, 12]), (33, [0, 8, 17]), (64, [0, 12, 24, 36, 48])]
)
def test_a_rest_makes_clips_overlap_more_not_shorter(count: int, starts: list[int]) -> None:
    assert [clip.start for clip in plan_clips(count, 16, 4)] == starts


def test_weights_run_straight_from_one_clip_to_the_next() -> None:
    first, second = clip_weights(plan_clips(12, 8, 4))
    assert first.tolist() == pytest.approx([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert torch.allclose(second, first.flip(0))


@pytest.mark.parametrize(("count", "length", "overlap"), [(16, 16, 16), (8, 16, 4), (16, 8, -1)])
def test_clips_that_cannot_be_are_refused(count: int, length: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=f"{length} frames"):
        plan_clips(count, length, overlap)


@pytest.mark.parametrize(
    ("count", "order"),
    [(1, [0] * 7), (2, [0, 1, 0, 1, 0, 1, 0]), (3, [0, 1, 2, 1, 0, 1, 2]), (7, [*range(7)]), (9, [*range(9)])],
)
def test_few_frames_go_to_and_fro(count: int, order: list[int]) -> None:
    assert mirrored(count, 7) == order


@given(st.integers(1, 200), st.integers(1, 6))
def test_phases_hold_every_frame_once_and_every_nth_each(count: int, stride: int) -> None:
    runs = phases(count, stride)
    assert sorted(frame for run in runs for frame in run) == [*range(count)]
    assert len(runs) == min(stride, count)
    assert all(after - before == stride for run in runs for before, after in itertools.pairwise(run))
    assert max(map(len, runs)) - min(map(len, runs)) <= 1


@given(st.integers(16, 100), st.sampled_from([0, 4, 8]))
def test_frames_are_shared_from_where_a_clip_begins_to_where_the_one_before_ends(count: int, overlap: int) -> None:
    clips = plan_clips(count, 16, overlap)
    wanted = {k for before, after in itertools.pairwise(clips) for k in range(after.start, before.stop + 1)}
    assert shared_frames(count, 16, overlap) == tuple(sorted(wanted))


def test_phases_share_the_same_time() -> None:
    assert shared_frames(28, 16, 4) == (12, 13, 14, 15, 16)
    assert shared_frames(56, 16, 4, 2) == tuple(range(24, 33))  # twice the frames, twice the rate
    assert shared_frames(32, 16, 4, 2) == ()
    assert shared_frames(9, 16, 4, 2) == ()
