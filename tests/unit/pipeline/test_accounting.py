"""Who painted what: fallbacks are counted once, joined, and told in one sentence a kind."""

from __future__ import annotations

from threading import Thread
from types import SimpleNamespace
from typing import cast

import numpy as np

from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.media.timing.timeline import Timeline
from musetalk.pipeline.accounting import (
    count_unenhanced_frames,
    enhance_failure_sentences,
    fallback_frames,
    fallback_sentences,
    is_all_fallback,
    join_enhance_failures,
    join_fallbacks,
    spans_of,
)
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.report import EnhanceFailure, Fallback
from musetalk.pipeline.segments import Segment, SegmentLimits, cut_segments
from musetalk.progress import RenderRun


def noted(*ranges: tuple[int, int, str]) -> tuple[Fallback, ...]:
    run = RenderRun()
    for start, stop, reason in ranges:
        run.record_fallback(start, stop, 0, "musetalk-v15", reason)
    return join_fallbacks(run.fallbacks)


def test_neighbours_with_one_reason_are_one_stretch() -> None:
    found = noted((8, 16, "memory"), (0, 8, "memory"), (16, 20, "numbers"), (24, 30, "numbers"))
    assert [(each.start, each.stop, each.reason) for each in found] == [
        (0, 16, "memory"),
        (16, 20, "numbers"),
        (24, 30, "numbers"),
    ]
    assert fallback_frames(found) == 26


def test_two_faces_in_one_frame_are_one_frame() -> None:
    run, segments = RenderRun(), (Segment(0, 8, (0, 1)), Segment(8, 12, ()))
    run.record_fallback(0, 8, 0, "musetalk-v15", "memory")
    assert not is_all_fallback(segments, run.fallbacks)
    run.record_fallback(0, 8, 1, "musetalk-v15", "memory")
    assert is_all_fallback(segments, run.fallbacks)
    assert join_fallbacks(run.fallbacks) == (Fallback(0, 8, "memory", "musetalk-v15"),)
    assert fallback_frames(join_fallbacks(run.fallbacks)) == 8
    assert not is_all_fallback((Segment(8, 12, ()),), ())


def test_each_kind_is_a_sentence() -> None:
    found = noted((0, 4, "memory"), (8, 10, "memory"), (10, 13, "numbers"))
    assert fallback_sentences(found, "latentsync-1.5", 20, whole=False) == (
        "6 of 20 frames were painted by musetalk-v15, not by latentsync-1.5 (memory)",
        "3 of 20 frames were painted by musetalk-v15, not by latentsync-1.5 (numbers)",
    )
    assert fallback_sentences((), "latentsync-1.5", 20, whole=False) == ()


def test_a_whole_fallback_is_one_sentence_whatever_the_reasons() -> None:
    found = noted((0, 4, "memory"), (4, 8, "numbers"))
    assert fallback_sentences(found, "latentsync-1.5", 8, whole=True) == (
        "this result is musetalk-v15's: latentsync-1.5 painted nothing of it (memory; numbers)",
    )


def test_notes_from_several_threads_are_all_kept() -> None:
    run = RenderRun()
    threads = [Thread(target=run.record_fallback, args=(k, k + 1, 0, "musetalk-v15", "memory")) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert join_fallbacks(run.fallbacks) == (Fallback(0, 20, "memory", "musetalk-v15"),)


def prepared(faces: list[bool], presence: list[float] | None, spoken: int) -> RenderPlan:
    """As much of a render as its spans are made of: a face in some frames of one shot, and a voice."""
    shown = np.flatnonzero(faces)
    plan = FacePlan(
        frame_count=len(faces),
        width=100,
        height=100,
        shots=np.zeros(len(faces), np.int32),
        frame=shown.astype(np.int64),
        track=np.zeros(len(shown), np.int32),
        boxes=np.tile(np.float32([10, 10, 50, 50, 1]), (len(shown), 1)),
        mouths=np.tile(np.float32([30, 40, 8, 0]), (len(shown), 1)),
    )
    timeline = Timeline(len(faces), spoken, len(faces), "hold")
    values = None if presence is None else np.array(presence, np.float32)
    segments = cut_segments(plan, timeline, SegmentLimits(3), values)
    return cast(RenderPlan, SimpleNamespace(face_plan=plan, timeline=timeline, segments=segments))


def kinds(plan: RenderPlan, *fallbacks: Fallback) -> list[tuple[int, int, str]]:
    return [(span.start, span.stop, span.kind) for span in spans_of(plan, fallbacks)]


def test_a_face_left_alone_in_a_pause_is_at_rest_and_what_shows_no_face_is_not() -> None:
    faces = [True] * 8 + [False] * 4 + [True] * 6
    pause = [1.0] * 4 + [0.5, 0, 0, 0] + [0] * 6 + [0.5, 1, 1, 1]
    assert kinds(prepared(faces, pause, 16), Fallback(0, 2, "memory")) == [
        (0, 2, "fallback"),
        (2, 5, "face"),
        (5, 8, "rest"),
        (8, 12, "cutaway"),
        (12, 14, "rest"),
        (14, 16, "face"),
        (16, 18, "tail"),
    ]
    assert kinds(prepared(faces, None, 18)) == [(0, 8, "face"), (8, 12, "cutaway"), (12, 18, "face")]


def test_a_silent_voice_is_rest_throughout() -> None:
    assert kinds(prepared([True] * 9, [0.0] * 9, 9)) == [(0, 9, "rest")]


def test_what_was_not_enhanced_is_told_by_its_reason() -> None:
    run = RenderRun()
    for start, stop, track, reason in (
        (4, 8, 0, "memory"),
        (0, 4, 0, "memory"),
        (0, 4, 1, "memory"),
        (9, 10, 0, "NaN"),
    ):
        run.record_enhance_failure(start, stop, track, reason, "compute")
    left = join_enhance_failures(run.enhance_failures)
    assert left == (EnhanceFailure(0, 8, "memory", "compute"), EnhanceFailure(9, 10, "NaN", "compute"))
    assert count_unenhanced_frames(left) == 9
    assert enhance_failure_sentences(left, 12) == (
        "8 of 12 frames keep the face as it was painted: it could not be enhanced (memory)",
        "1 of 12 frames keep the face as it was painted: it could not be enhanced (NaN)",
    )
    assert join_enhance_failures(()) == enhance_failure_sentences((), 12) == ()
