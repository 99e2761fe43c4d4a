"""A fleet of workers that nobody has here: 10,000 clips by the real driver on simulated workers, 1 to 512 of them.

python -m benchmarks.fleet                      simulates, writes fleet.md and fleet.png
python -m benchmarks.fleet --check              holds the simulator to real batches of one and two workers here
python -m benchmarks.fleet --lengths my.csv     your own clips: columns `seconds` and, if wanted, `source`
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.common import HERE
from benchmarks.fleet_check import check, measure_driver
from benchmarks.fleet_model import Clip, Failures, Fleet, RenderCosts, Shared, make_clips, read_clips
from benchmarks.fleet_page import CURVE, OTHERS_SIZE, WIDE, Run, draw, tell_check, tell_fleet
from benchmarks.fleet_run import Simulated, batch_of, simulate

SIZES = (1, 16, 64, 128, 256, 512)
_FEW = 1000  # clips, where sizes are not what is compared
_CLIP = "demo1_video.mp4"  # of stages.md: 1080p
_WEIGHTS = 4.0e9  # bytes of MuseTalk's weights, as they are read


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A simulation that is wanted: of which curve, how many workers, and what is taken for granted."""

    curve: str
    workers: int
    fleet: Fleet
    clips: tuple[Clip, ...]


def stage_costs(page: str, clip: str = _CLIP) -> RenderCosts:
    """Return what the preview takes, as stages.md says.

    Args:
        page: Its text.
        clip: Of which row.
    """
    head, row = (
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in page.splitlines()
        if line.startswith(("| clip |", f"| {clip} |"))
    )
    said = {name: float(value) for name, value in zip(head[1:], row[1:], strict=True)}
    each = {name: said[name] / 1000 for name in ("preflight", "plan", "speech", "finish", "wall")}
    fixed = (each["preflight"] + each["speech"]) * said["frames"]
    frame = each["wall"] - each["preflight"] - each["plan"] - each["speech"] - each["finish"]
    return RenderCosts(load=5.0, fixed=fixed, plan=each["plan"], frame=frame, join=each["finish"])


def main() -> None:
    """Simulate, or check, and write the page."""
    asked = _parser().parse_args()
    page = HERE / "fleet.md"
    if asked.check:
        tell_check(page, check(asked.rounds, asked.check_clips), asked.check_clips)
        return
    preview = stage_costs((HERE / "stages.md").read_text(encoding="utf-8"))
    gpu = replace(preview, load=asked.load_seconds, load_bytes=_WEIGHTS, frame=1 / asked.frames_per_second)
    failures = Failures(asked.losses, asked.replaced_after, asked.deaths, asked.passing, asked.bad, asked.poisoned)
    driver = replace(measure_driver(), **({} if asked.ledger is None else {"ledger": asked.ledger}))
    shared = Shared(asked.storage * 1e9 / 8, asked.source_rate * 1e6 / 8, asked.output_rate * 1e6 / 8)
    clips = make_clips(asked.clips, failures) if asked.lengths is None else read_clips(asked.lengths)
    few = make_clips(min(asked.clips, _FEW), failures)
    base = Fleet(gpu, failures, driver, shared)
    runs = [_Wanted(CURVE, size, base, tuple(clips)) for size in asked.workers]
    wide = replace(base, shared=replace(shared, storage=10 * shared.storage))
    runs += [_Wanted(WIDE, size, wide, tuple(clips)) for size in asked.workers if size >= 256]
    known = replace(base, costs=replace(gpu, plans="shared"))
    others = {
        "as above": base,
        "faces known to all (`--use-saved-coords`)": known,
        "ten times the storage": wide,
        "both": replace(wide, costs=known.costs),
        "nothing fails": replace(base, failures=Failures()),
        "the preview, on two cores each": replace(base, costs=preview),
    }
    others |= {
        f"{losses:g} machines lost an hour and worker": replace(base, failures=replace(failures, losses=losses))
        for losses in (0.0003, 0.1, 1.0)
    }
    sound = make_clips(len(few), Failures())
    for name, fleet in others.items():
        runs.append(_Wanted(name, OTHERS_SIZE, fleet, tuple(few if fleet.failures.bad else sound)))
    with ProcessPoolExecutor(asked.processes) as pool:
        # The largest first, so that no process is left with one of them alone.
        order = sorted(range(len(runs)), key=lambda each: -runs[each].workers * len(runs[each].clips))
        found = dict(zip(order, pool.map(_simulate, [runs[each] for each in order]), strict=True))
    made = [Run(run.curve, found[number]) for number, run in enumerate(runs)]
    draw(HERE / "fleet.png", made)
    tell_fleet(page, made, clips, asked.price, own=asked.lengths is not None)


def _simulate(wanted: _Wanted) -> Simulated:
    with batch_of(wanted.clips) as batch:
        made = simulate(batch, wanted.workers, wanted.fleet)
    return replace(made, report=replace(made.report, rows=tuple(replace(row, report=None) for row in made.report.rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="hold the simulator to real runs, and do nothing else")
    parser.add_argument("--rounds", type=int, default=3, help="of the check")
    parser.add_argument("--check-clips", type=int, default=60, help="of the check")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--lengths", type=Path, help="CSV of your own clips, in place of those")
    parser.add_argument("--workers", type=int, nargs="+", default=SIZES)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that simulate")
    parser.add_argument("--price", type=float, default=1.0, help="of a worker's hour, in whatever currency")
    parser.add_argument("--frames-per-second", type=float, default=30.0, help="that a worker generates")
    parser.add_argument("--load-seconds", type=float, default=20.0, help="until a worker is ready")
    parser.add_argument("--storage", type=float, default=10.0, help="gigabits a second of shared storage")
    parser.add_argument("--source-rate", type=float, default=8.0, help="megabits of a source's second")
    parser.add_argument("--output-rate", type=float, default=8.0, help="megabits of an output's second")
    parser.add_argument("--ledger", type=float, help="seconds of a transaction (default: as measured on this disk)")
    parser.add_argument("--losses", type=float, default=0.02, help="machines taken away, for each worker's hour")
    parser.add_argument("--replaced-after", type=float, default=180.0, help="seconds until another one is there")
    parser.add_argument("--deaths", type=float, default=0.001, help="workers that die by chance, for each one's hour")
    parser.add_argument("--passing", type=float, default=0.002, help="share of tasks with an error that passes")
    parser.add_argument("--bad", type=float, default=0.01, help="share of clips without a face")
    parser.add_argument("--poisoned", type=float, default=0.0005, help="share of clips over which workers die")
    return parser


if __name__ == "__main__":
    main()
