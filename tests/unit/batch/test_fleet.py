"""The simulated fleet of `benchmarks.fleet`: toy batches whose ends are known, and nothing lost where much fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.common import HERE
from benchmarks.fleet import stage_costs
from benchmarks.fleet_model import (
    Clip,
    DriverCosts,
    Failures,
    Fleet,
    RenderCosts,
    Shared,
    length_at,
    make_clips,
    read_clips,
)
from benchmarks.fleet_run import Simulated, batch_of, simulate

COSTS = RenderCosts(load=5.0, fixed=1.0, plan=0.002, frame=0.01, join=0.001)
HARSH = Failures(losses=20.0, replaced_after=30.0, deaths=2.0, passing=0.1, bad=0.05, poisoned=0.02)


def simulated(clips: list[Clip], workers: int, fleet: Fleet) -> Simulated:
    with batch_of(clips) as batch:
        return simulate(batch, workers, fleet)


def test_renders_that_were_measured_are_packed_as_the_driver_packs_them() -> None:
    clips = [Clip(number, number, 1.0, took=took) for number, took in enumerate((4.0, 2.0, 3.0))]
    fleet = Fleet(RenderCosts(load=1.0), driver=DriverCosts(take=0.25))
    assert simulated(clips, 1, fleet).seconds == pytest.approx(1 + 9 + 3 * 0.25)
    assert simulated(clips, 2, fleet).seconds == pytest.approx(1 + 2 + 0.25 + 3 + 0.25)  # its end passes the other's


def test_a_worker_finds_the_faces_of_a_source_once() -> None:
    one, two = Clip(0, 0, 10.0), Clip(0, 1, 10.0)
    first = 1 + 250 * (0.002 + 0.01 + 0.001)
    assert simulated([one], 1, Fleet(COSTS)).seconds == pytest.approx(5 + first)
    made = simulated([one, two], 1, Fleet(COSTS))
    assert made.seconds == pytest.approx(5 + first + first - 250 * 0.002)
    assert made.usage.plan == pytest.approx(250 * 0.002)


def test_a_long_clip_is_looked_at_cut_made_by_both_and_joined() -> None:
    clip = Clip(0, 0, 120.0)  # 3000 frames: two pieces
    alone = simulated([clip], 1, Fleet(COSTS))
    assert alone.seconds == pytest.approx(5 + 1 + 3000 * (0.002 + 0.01 + 0.001))
    assert alone.usage.tasks == 1
    both = simulated([clip], 2, Fleet(COSTS))
    look, pieces, join = 1, 1 + 3000 * 0.002 + 1500 * 0.01, 1 + 3000 * 0.001
    assert both.seconds == pytest.approx(5 + look + pieces + join)
    assert both.usage.tasks == 4
    assert both.report.counts["done"] == 1


def test_what_all_ask_of_storage_slows_all() -> None:
    clips = [Clip(number, number, 10.0) for number in range(2)]
    # Ten seconds of work each, in which an output is written, read and written again.
    fleet = Fleet(RenderCosts(frame=0.04), shared=Shared(storage=3.0, output_rate=1.0))
    one, two = simulated(clips, 1, fleet), simulated(clips, 2, fleet)
    assert (one.seconds, two.seconds) == (pytest.approx(20.0), pytest.approx(20.0))
    assert (one.bottleneck, two.bottleneck) == ("storage", "storage")
    wide = simulated(clips, 2, replace(fleet, shared=Shared(storage=12.0, output_rate=1.0)))
    assert wide.seconds == pytest.approx(10.0)
    assert (wide.bottleneck, wide.shares["storage"]) == ("workers", pytest.approx(0.5))


def test_processors_are_shared_with_others_thread_by_thread() -> None:
    clips = [Clip(number, number, 1.0, took=6.0) for number in range(2)]
    fleet = Fleet(RenderCosts(threads=1.0), shared=Shared(processors=2.0, others=2.0))
    assert simulated(clips, 2, fleet).seconds == pytest.approx(12.0)  # four threads on two


def test_a_deadly_clip_is_set_aside_after_two_workers() -> None:
    clips = [Clip(0, 0, 5.0, "poisoned"), Clip(1, 1, 5.0), Clip(2, 2, 5.0, "bad")]
    made = simulated(clips, 2, Fleet(COSTS))
    assert [row.state for row in made.report.rows] == ["set_aside", "done", "failed"]
    assert (made.usage.lost, made.usage.failed) == (2, 1)


@pytest.mark.parametrize("workers", [1, 7])
def test_nothing_is_lost_or_done_twice_where_much_fails(workers: int) -> None:
    clips = make_clips(60, HARSH, seed=3)
    made = simulated(clips, workers, Fleet(COSTS, HARSH))
    rows = made.report.rows
    assert [row.output for row in rows] == sorted({row.output for row in rows}, key=lambda each: int(Path(each).stem))
    states = {(clip.fate, row.state) for clip, row in zip(clips, rows, strict=True)}
    good = {("good", state) for state in ("done", "duplicate", "set_aside", "failed")}
    assert states <= good | {("bad", "failed"), ("bad", "set_aside"), ("poisoned", "set_aside")}
    assert made.usage.lost > 0
    done = [clip for clip, row in zip(clips, rows, strict=True) if row.state == "done"]
    assert made.usage.video_seconds == pytest.approx(sum(clip.frames for clip in done) / 25)
    assert made.seconds >= sum(clip.frames for clip in done) * COSTS.frame / workers
    assert all(share <= 1 + 1e-9 for share in made.shares.values())


def test_whole_parts_survive_their_worker_and_the_rest_is_made_again() -> None:
    costs, failures = RenderCosts(frame=0.1, load=10.0), Failures(losses=30.0, replaced_after=5.0, passing=0.05)
    clips = [Clip(number, number, seconds) for number, seconds in enumerate((300.0, 30.0, 95.0, 400.0))]
    made = simulated(clips, 3, Fleet(costs, failures))
    assert made.report.complete
    assert made.usage.redone > 0
    useful = sum(clip.frames for clip in clips) * costs.frame
    assert made.usage.work - made.usage.redone == pytest.approx(useful)
    assert made.usage.redone <= (made.usage.lost + made.usage.failed) * 250 * costs.frame  # a part each


def test_the_same_seed_is_the_same_fleet() -> None:
    clips = make_clips(30, HARSH)
    one, two = (simulated(clips, 5, Fleet(COSTS, HARSH)) for _ in range(2))
    assert (one.seconds, one.usage, Counter(one.report.counts)) == (two.seconds, two.usage, Counter(two.report.counts))


def test_lengths_are_those_that_were_published() -> None:
    assert [round(length_at(share)) for share in (0.35, 0.6, 0.9, 1.0)] == [60, 120, 1200, 3600]
    clips = make_clips(4000, Failures())
    assert sum(clip.seconds for clip in clips) / len(clips) == pytest.approx(6.5 * 60, rel=0.02)


def test_own_lengths_are_read(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("source,seconds\na.mp4,12.5\na.mp4,3\nb.mp4,60\n")
    assert [(clip.source, clip.voice, clip.seconds) for clip in read_clips(path)] == [
        (0, 0, 12.5), (0, 1, 3.0), (1, 2, 60.0),
    ]  # fmt: skip
    path.write_text("length\n3\n")
    with pytest.raises(ValueError, match="seconds"):
        read_clips(path)


def test_costs_are_those_of_the_page_of_stages() -> None:
    costs = stage_costs((HERE / "stages.md").read_text(encoding="utf-8"))
    assert 0 < costs.plan < costs.frame < 1
    assert costs.fixed > 0
