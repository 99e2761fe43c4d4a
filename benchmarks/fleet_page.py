"""The page and the picture of simulated fleets."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.common import machine, table
from benchmarks.fleet_check import Checked
from benchmarks.fleet_model import Clip, Fleet
from benchmarks.fleet_run import Simulated

CURVE, WIDE = "the curve", "the curve, with ten times the storage"
OTHERS_SIZE = 64  # workers of all other simulations
_CHECK = "## The simulator against real batches"
_HEAD = (
    "workers", "hours", "video h / h", "worker h / video h", "cost / video h", "busy", "finding faces", "for nothing",
    "storage", "driver", "ledger", "bottleneck",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A simulation, and of which curve it is."""

    curve: str
    made: Simulated


def tell_fleet(page: Path, runs: Sequence[Run], clips: Sequence[Clip], price: float, *, own: bool) -> None:
    """Write the page, but for its section about the check, which stays as it is.

    Args:
        page: The file.
        runs: What was simulated.
        clips: Of the main curves.
        price: Of a worker's hour.
        own: Whether the lengths are somebody's own.
    """
    first = runs[0].made.fleet
    hours = [clip.seconds / 3600 for clip in clips]
    lengths = "their own lengths" if own else "lengths as of business videos (below)"
    text = f"""# A fleet

{len(clips):,} clips, {sum(hours):.0f} hours of video, {lengths}, by simulated workers. What is real: rows, digests, the
driver, its queue, cutting, retries, setting aside, the ledger's statements (`musetalk/batch`). What is not: time, which
passes by the costs below, and what fails. Nothing here was rendered, and nothing of this project ever ran on a GPU.
[docs/fleet.md](../docs/fleet.md) says what to rent, and what is assumed. A cost is in units of a worker's hour
times {price:g}.

- hours: until the last file is there, the loading of models at the start included
- busy: share of the rented hours in which workers did something; finding faces, for nothing: shares of that work;
  for nothing is what failed before a part was whole
- storage, driver, ledger: share of the time in which they were used; the driver is one thread
- bottleneck: what was used nine tenths of the time and more; "the last renders": most workers had nothing left to do

## A GPU that generates {1 / first.costs.frame:.0f} frames a second

{_table([run.made for run in runs if run.curve == CURVE], price)}
With {10 * first.shared.storage * 8 / 1e9:g} Gbit/s of storage instead of {first.shared.storage * 8 / 1e9:g}:

{_table([run.made for run in runs if run.curve == WIDE], price)}
![throughput and cost](fleet.png)

## What else it depends on: {OTHERS_SIZE} workers, {_count(runs)} clips

{_others([run for run in runs if run.curve not in (CURVE, WIDE)])}
## What was taken for granted

{_granted(first)}
Lengths: {_quantiles(clips)}.

"""
    _write(page, text + _check_of(page))


def tell_check(page: Path, rounds: Sequence[Checked], count: int) -> None:
    """Write the page's section about the check, and leave the rest as it is."""
    rows = [
        [
            number + 1,
            f"{each.one.seconds:.1f}",
            f"{each.two.seconds:.1f}",
            f"{each.predicted:.1f}",
            f"{each.predicted / each.two.seconds - 1:+.1%}",
            f"{each.replayed:.1f}",
            f"{each.replayed / each.two.seconds - 1:+.1%}",
            f"{each.one.others:.1f}, {each.two.others:.1f}",
            f"{each.one.stolen:.0%}, {each.two.stolen:.0%}",
        ]
        for number, each in enumerate(rounds)
    ]
    head = (
        "round", "one, s", "two, s", "predicted, s", "off by", "replayed, s", "off by", "others' threads",
        "others' share",
    )  # fmt: skip
    errors = [abs(each.predicted / each.two.seconds - 1) for each in rounds]
    again = [abs(each.replayed / each.two.seconds - 1) for each in rounds]
    text = f"""{_CHECK}

`python -m benchmarks.fleet --check`: {count} clips of 0.5 to 2.5 s by the preview, `reuse_findings` off, by one and by
two worker processes of this machine (what `--on local:1` and `local:2` start), in turns; from the start of the workers
until all is published. *Predicted*: what the simulator says of two workers, from each render's seconds with one worker,
the load of a worker, the driver's gap between renders, and who else wanted processors (threads that can run, sampled;
others get their share of the {psutil.cpu_count()} cores). *Replayed*: the same from the seconds that each render took
in the run with two workers itself, so that only the scheduling is simulated. Others: threads of other programs that
wanted a processor, and the share of the machine that they had, in either run.
{machine()}.

{table(head, rows)}
Predicted: off by {statistics.median(errors):.1%} (median), {max(errors):.1%} at most. Replayed: off by
{statistics.median(again):.1%}, {max(again):.1%} at most. Where the threads of others change much within a round, what
one worker took says little of what two will take.
"""
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    _write(page, before.partition(_CHECK)[0] + text)


def _write(page: Path, text: str) -> None:
    sys.stdout.write(text)
    page.write_text(text, encoding="utf-8")


def _check_of(page: Path) -> str:
    """Return the section about the check that a page has."""
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    _, heading, rest = before.partition(_CHECK)
    return heading + rest


def _count(runs: Sequence[Run]) -> str:
    return format(min(len(run.made.report.rows) for run in runs), ",")


def _table(made: Sequence[Simulated], price: float) -> str:
    rows = []
    for each in made:
        shares, work = each.shares, each.usage.work
        rows.append(
            [
                each.workers,
                f"{each.seconds / 3600:.1f}",
                f"{each.hours_an_hour:.1f}",
                f"{each.hours_each:.2f}",
                f"{each.hours_each * price:.2f}",
                f"{shares['workers']:.0%}",
                f"{each.usage.plan / work:.0%}",
                f"{each.usage.redone / work:.1%}",
                f"{shares['storage']:.0%}",
                f"{shares['driver']:.0%}",
                f"{shares['ledger']:.1%}",
                each.bottleneck,
            ]
        )
    return table(_HEAD, rows)


def _others(runs: Sequence[Run]) -> str:
    head = (
        "what", "hours", "video h / h", "worker h / video h", "busy", "finding faces", "for nothing", "storage",
        "workers lost", "set aside", "bottleneck",
    )  # fmt: skip
    rows = []
    for run in runs:
        made, shares, work = run.made, run.made.shares, run.made.usage.work
        rows.append(
            [
                run.curve,
                f"{made.seconds / 3600:.1f}",
                f"{made.hours_an_hour:.1f}",
                f"{made.hours_each:.2f}",
                f"{shares['workers']:.0%}",
                f"{made.usage.plan / work:.0%}",
                f"{made.usage.redone / work:.1%}",
                f"{shares['storage']:.0%}",
                made.usage.lost,
                made.report.counts["set_aside"],
                made.bottleneck,
            ]
        )
    return table(head, rows)


def _granted(fleet: Fleet) -> str:
    costs, failures, driver, shared = fleet.costs, fleet.failures, fleet.driver, fleet.shared
    rows = [
        [
            "an output frame",
            f"{1000 * costs.frame:.1f} ms",
            "published of upstream's code on a V100: 30 frames/s; here never",
        ],
        [
            "finding faces in a frame",
            f"{1000 * costs.plan:.1f} ms",
            "stages.md, 1080p: the preview's detector on two cores",
        ],
        ["a task before its first frame", f"{costs.fixed:.2f} s", "stages.md: preflight and speech"],
        ["joining, of an output frame", f"{1000 * costs.join:.1f} ms", "stages.md: finish"],
        [
            "a worker's start",
            f"{costs.load:g} s, {costs.load_bytes / 1e9:g} GB",
            "seconds assumed; size of MuseTalk's weights",
        ],
        ["the driver, a render", f"{1000 * driver.publish:.1f} ms", "measured: seconds of the processor"],
        ["a ledger's transaction", f"{1000 * driver.ledger:.2f} ms", "measured on this disk"],
        ["SHA-256 by the driver", f"{1 / driver.digest / 1e9:.2f} GB/s", "measured; no more than storage gives"],
        ["a sign of progress", f"{1e6 * driver.progress:.0f} µs, {driver.signs:g} a second and worker", "measured"],
        ["shared storage", f"{shared.storage * 8 / 1e9:g} Gbit/s", "assumed"],
        [
            "sources, outputs",
            f"{shared.source_rate * 8 / 1e6:g}, {shared.output_rate * 8 / 1e6:g} Mbit/s",
            "YouTube's advice for 1080p",
        ],
        [
            "machines lost",
            f"{failures.losses:g} an hour and worker, back after {failures.replaced_after:g} s",
            "assumed",
        ],
        ["workers that die by chance", f"{failures.deaths:g} an hour", "assumed"],
        ["errors that pass", f"{failures.passing:.1%} of tasks", "assumed"],
        ["clips without a face, deadly ones", f"{failures.bad:.1%}, {failures.poisoned:.2%}", "assumed"],
        ["voices of a source; rows that are doubled", "4; 2 %", "assumed"],
    ]
    return table(("what", "how much", "from"), rows)


def _quantiles(clips: Sequence[Clip]) -> str:
    ordered = sorted(clip.seconds for clip in clips)
    shares = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    return ", ".join(f"{share:.0%} up to {ordered[int(share * (len(ordered) - 1))]:.0f} s" for share in shares)


def draw(path: Path, runs: Sequence[Run]) -> None:
    """Draw throughput and cost against the number of workers."""
    import matplotlib  # noqa: PLC0415 - slow

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    first = runs[0].made
    sizes = sorted({run.made.workers for run in runs if run.curve == CURVE})
    left.plot(sizes, [first.hours_an_hour * size / first.workers for size in sizes], ":", color="gray", label="ideal")
    for curve, mark in ((CURVE, "o"), (WIDE, "s")):
        made = [run.made for run in runs if run.curve == curve]
        if not made:
            continue
        name = f"{made[0].fleet.shared.storage * 8 / 1e9:g} Gbit/s of storage"
        left.plot([each.workers for each in made], [each.hours_an_hour for each in made], f"-{mark}", label=name)
        right.plot([each.workers for each in made], [each.hours_each for each in made], f"-{mark}", label=name)
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="hours of video an hour", xticks=sizes)
    right.set(xscale="log", xlabel="workers", ylabel="rented hours for an hour of video", xticks=sizes, ylim=(0, None))
    for axes in (left, right):
        axes.set_xticklabels([str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
