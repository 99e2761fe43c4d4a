"""How fast, how long still: from events that come in whole frames, in parts of them, and in bursts."""

from __future__ import annotations

from musetalk.jobs.job import JobProgress
from musetalk.jobs.meter import ProgressMeter
from musetalk.progress import ProgressEvent


def read(*events: ProgressEvent) -> list[JobProgress]:
    meter = ProgressMeter()
    return [meter.read(event) for event in events]


def test_what_is_under_way_counts_for_the_rate() -> None:
    progress = read(*(ProgressEvent("render", 0, 32, 10.0 * step, part=0.8 * step) for step in range(4)))
    assert [each.part for each in progress] == [0.0, 0.8, 1.6, 2.4]
    assert progress[-1].frames_per_second == 0.08
    assert progress[-1].seconds_left == 370.0
    assert {each.done for each in progress} == {0}


def test_writing_what_was_painted_is_neither_progress_nor_a_standstill() -> None:
    painted = [ProgressEvent("render", 0, 32, 10.0 * step, part=8.0 * step) for step in range(3)]
    written = [ProgressEvent("render", done, 32, 20.0 + done / 100, part=16.0 - done) for done in range(1, 17)]
    progress = read(*painted, *written)
    assert all(0.7 < each.frames_per_second <= 0.8 for each in progress[3:])
    assert all(each.seconds_left is not None and 19 < each.seconds_left < 22 for each in progress[3:])


def test_another_stage_is_another_rate() -> None:
    progress = read(ProgressEvent("plan", 90, 100, 9.0), ProgressEvent("render", 0, 100, 9.5, part=1.0))
    assert progress[-1].frames_per_second == 0.0
    assert progress[-1].seconds_left is None


def test_the_next_backend_of_a_comparison_is_another_rate() -> None:
    first = [ProgressEvent("render", 10 * step, 100, float(step)) for step in range(11)]
    for again in (ProgressEvent("render", 0, 100, 10.5), ProgressEvent("render", 100, 200, 10.5)):
        progress = read(*first, again)
        assert progress[-2].frames_per_second == 10.0
        assert progress[-1].frames_per_second == 0.0
        assert progress[-1].seconds_left is None
