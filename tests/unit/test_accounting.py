"""Who painted what: fallbacks are counted once, joined, and told in one sentence a kind."""

from __future__ import annotations

from threading import Thread

from musetalk.accounting import all_fell_back, fallback_frames, fallback_sentences, joined
from musetalk.progress import RenderRun
from musetalk.report import Fallback
from musetalk.segments import Segment


def noted(*ranges: tuple[int, int, str]) -> tuple[Fallback, ...]:
    run = RenderRun()
    for start, stop, reason in ranges:
        run.fell_back(start, stop, 0, "musetalk-v15", reason)
    return joined(run.fallbacks)


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
    run.fell_back(0, 8, 0, "musetalk-v15", "memory")
    assert not all_fell_back(segments, run.fallbacks)
    run.fell_back(0, 8, 1, "musetalk-v15", "memory")
    assert all_fell_back(segments, run.fallbacks)
    assert joined(run.fallbacks) == (Fallback(0, 8, "memory", "musetalk-v15"),)
    assert fallback_frames(joined(run.fallbacks)) == 8
    assert not all_fell_back((Segment(8, 12, ()),), ())


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
    threads = [Thread(target=run.fell_back, args=(k, k + 1, 0, "musetalk-v15", "memory")) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert joined(run.fallbacks) == (Fallback(0, 20, "memory", "musetalk-v15"),)
