"""Batches on a Ray cluster of this machine, in trouble: a head, two workers of one CPU each, and what they make.

python -m benchmarks.cluster [--clips 200] [--long 40] [--efficiency CLIPS]

Clips go through `run_batch` with the extra `cluster`. Midway an actor is killed, and a machine removed without a word;
one clip kills whoever renders it. A long clip is cut over two workers. With --efficiency, so many clips are rendered by
one worker and by two in turns, each on a core of its own; that asks for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import ASSETS, ffmpeg, machine, make_clip, make_voice, publish, table
from musetalk.batch.cluster.connection import load_ray
from musetalk.batch.cluster.pool import RayPool
from musetalk.batch.course import Cutting
from musetalk.batch.executor import Engine, EngineFactory
from musetalk.batch.opening import open_ledger
from musetalk.batch.outcome import BatchReport, RowResult
from musetalk.batch.places import render_engine_alike
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.batch.watch import Unwatched, Watcher
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from musetalk.storage.locations import on_disk

SIZE, FPS, CLIP_SECONDS, SOURCES = (128, 128), "25", 0.5, 5
LONGER_SECONDS = 2.0  # where workers are compared: of less the driver has a share that no real clip has
POISON = "poison.mp4"
SETTINGS = {"backend": "preview", "detector": {"name": "haar"}, "encoder": {"preset": "ultrafast"}}
STORE_BYTES = 80_000_000
ALONE = 5  # clips that are rendered again, without a cluster


UNMEASURED = (
    "Not measured in this run: the machine had other work, too. `python -m benchmarks.cluster --efficiency 20` does.\n"
)


class DeadlyEngine:
    """`LipSync`, but that one source ends the process, as a bug in a decoder would."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401 - of `Engine`, whose other methods stay as they are
        self._engine = engine

    def make(self, request: RenderRequest, out: Path, **options: Any) -> RenderReport:  # noqa: ANN401 - passed on
        """See `LipSync.make`."""
        if request.video.name == POISON:
            os.kill(os.getpid(), signal.SIGSEGV)
        report: RenderReport = self._engine.make(request, out, **options)
        return report

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the engine has
        return getattr(self._engine, name)


def deadly_engine(factory: EngineFactory) -> Engine:
    """Make the engine of a worker."""
    return DeadlyEngine(factory())


@dataclass
class Machines:
    """A cluster on this machine, whose head renders nothing.

    Args:
        folder: For Ray's files; a short path, since sockets lie there.
    """

    folder: Path
    nodes: list[Any] = field(default_factory=list)

    def __enter__(self) -> Machines:
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - an extra

        self._ray = load_ray()
        head = {"num_cpus": 0, "temp_dir": str(self.folder), "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args={**head, "object_store_memory": STORE_BYTES})
        return self

    def __exit__(self, *_error: object) -> None:
        self._ray.shutdown()
        self.cluster.shutdown()

    def connect(self) -> None:
        """Let this process be a driver."""
        self._ray.init(address=self.cluster.address, namespace="musetalk", log_to_driver=False)

    def add(self) -> psutil.Process:
        """Add a machine of one CPU, on a core of its own; returns what runs its actors."""
        node = self.cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        [raylet] = node.all_processes["raylet"]
        process = psutil.Process(raylet.process.pid)
        cores = sorted(psutil.Process().cpu_affinity() or [0])
        for each in (process, *process.children(recursive=True)):
            each.cpu_affinity([cores[len(self.nodes) % len(cores)]])
        self.nodes.append(node)
        return process

    def settle(self) -> None:
        """Wait until Ray knows which machines there are."""
        while sum(node["Alive"] for node in self._ray.nodes()) != 1 + len(self.nodes):
            time.sleep(1)

    def remove(self) -> None:
        """Remove the machine that came last, by SIGKILL."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


def actor_of(raylet: psutil.Process) -> psutil.Process:
    """Return the actor that renders on a machine."""
    return next(each for each in raylet.children() if "RayWorker" in " ".join(each.cmdline()))


class Trouble(Unwatched):
    """Makes trouble as rows end, and counts what is told.

    Args:
        deeds: What to do once so many rows have ended.
    """

    def __init__(self, deeds: dict[int, Callable[[], object]]) -> None:
        self._deeds, self.ended, self.notes = deeds, Counter[str](), list[str]()

    def row(self, result: RowResult) -> None:
        """See `Watcher`."""
        self.ended[result.output] += 1
        deed = self._deeds.pop(self.ended.total(), None)
        if deed is not None:
            deed()

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self.notes.append(text)


def make_rows(folder: Path, count: int, *, seconds: float = CLIP_SECONDS, poison: bool = False) -> list[Row]:
    """Return short clips: a few sources, each with many voices; with `poison` one more, which is deadly."""
    folder.mkdir(parents=True)
    sources = [folder / f"source{number}.mp4" for number in range(SOURCES)]
    for number, source in enumerate(sources):
        make_clip(source, seconds=CLIP_SECONDS, fps=FPS, size=SIZE, picture=ASSETS / "sample.mp4")
        source.write_bytes(source.read_bytes() + _free_box(number))
    rows = []
    for number in range(count):
        voice = folder / f"voice{number}.wav"
        start = f"{0.015 * number:.3f}"  # no two sound the same
        ffmpeg("-ss", start, "-i", str(ASSETS / "voice.wav"), "-t", str(seconds), "-ar", "16000", str(voice))
        rows.append(Row(f"clip {number}", sources[number % SOURCES], voice, folder / f"out/{number}.mp4", SETTINGS))
    if poison:
        deadly = folder / POISON
        deadly.write_bytes(sources[0].read_bytes() + _free_box(99))
        rows.insert(count // 4, Row("poison", deadly, rows[0].voice, folder / "out/poison.mp4", SETTINGS))
    return rows


def _free_box(number: int) -> bytes:
    """Return a box of an MP4 file that players skip (ISO/IEC 14496-12), so that copies differ."""
    return (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")


def digests(video: Path) -> tuple[int, str]:
    """Return how many frames a video has, and the digests of its decoded frames and sound."""
    command = [ffmpeg_executable(), "-v", "error", "-i", str(video), "-f", "framemd5", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    told = [line for line in lines if not line.startswith("#")]
    return sum(line.startswith("0,") for line in told), "\n".join(told)


def alone(row: Row, folder: Path) -> tuple[int, str]:
    """Render a row in this process; returns its `digests`."""
    out = folder / f"alone-{row.output.name}"
    LipSync().render(on_disk(row.source), on_disk(row.voice), out, RenderSettings.parse(dict(row.settings)))
    return digests(out)


def batch(
    rows: Sequence[Row],
    folder: Path,
    factory: Callable[[], Engine],
    watcher: Watcher | None = None,
    options: BatchOptions | None = None,
) -> BatchReport:
    """Render rows on the cluster that this process is connected to."""
    with RayPool(factory) as pool, open_ledger(folder / "ledger") as ledger:
        return run_batch(rows, pool, ledger, engine=LipSync(), options=options, watcher=watcher)


def trouble(machines: Machines, folder: Path, count: int) -> tuple[str, bool]:
    """Render clips on two machines, of which one goes; returns what to write of it, and whether all is well."""
    rows = make_rows(folder, count, poison=True)
    first, _ = machines.add(), machines.add()
    deeds: dict[int, Callable[[], object]] = {
        count // 3: lambda: actor_of(first).kill(),
        count // 2: machines.remove,
        3 * count // 4: machines.add,
    }
    watcher = Trouble(deeds)
    began = time.monotonic()
    report = batch(rows, folder, partial(deadly_engine, render_engine_alike()), watcher)
    seconds = time.monotonic() - began
    good = [row for row in rows if row.source.name != POISON]
    frames = round(CLIP_SECONDS * float(FPS))
    made = {path: digests(path) for row in good if (path := on_disk(row.output)).exists()}
    checks = {
        f"outputs that are there, of {count}": (len(made), count),
        f"of these with all their {frames} frames, give or take one": (
            sum(abs(number - frames) <= 1 for number, _ in made.values()),
            count,
        ),
        "rows that ended once": (sum(number == 1 for number in watcher.ended.values()), count + 1),
        "renders that workers finished, by the report": (sum(each.renders for each in report.workers.values()), count),
        "rows set aside (the poisoned one)": (report.counts["set_aside"], 1),
        f"of {ALONE} clips, those that are the same rendered alone, frames and sound": (
            sum(alone(row, folder) == made.get(on_disk(row.output)) for row in good[:: max(1, count // ALONE)][:ALONE]),
            ALONE,
        ),
        "machines that rendered: two, and one that came later": (
            sum(each.renders > 0 for each in report.workers.values()),
            3,
        ),
        "folders of renders that are left (the poisoned one's)": (len(list(folder.glob(".ledger*/*"))), 1),
    }
    shares = [
        [name, each.renders, f"{each.seconds:.0f}", f"{each.video_seconds / (each.seconds or 1):.2f}", each.losses]
        for name, each in report.workers.items()
    ]
    notes = "".join(f"- {note}\n" for note in watcher.notes)
    text = (
        f"{count} clips of {SIZE[0]} x {SIZE[1]} and {CLIP_SECONDS} s, of {SOURCES} sources, by two workers of one "
        f"CPU each; an actor killed after {count // 3}, a machine removed by SIGKILL after {count // 2}, another "
        f"one added after {3 * count // 4}, one poisoned clip. {seconds:.0f} s.\n\n"
        + table(["", "found", "wanted"], [[name, *values] for name, values in checks.items()])
        + "\n"
        + table(["worker", "renders", "seconds of work", "x real time", "lost"], shares)
        + f"\nWhat was told meanwhile:\n\n{notes}"
    )
    return text, all(found == wanted for found, wanted in checks.values())


def long_clip(machines: Machines, folder: Path, seconds: float) -> tuple[str, bool]:
    """Render one long clip over two machines; returns what to write of it, and whether it is the single render."""
    while len(machines.nodes) < 2:
        machines.add()
    folder.mkdir()
    source = make_clip(folder / "film.mp4", seconds=seconds / 2, fps=FPS, size=SIZE, picture=ASSETS / "sample.mp4")
    row = Row("long", source, make_voice(folder / "long.wav", seconds=seconds), folder / "out/long.mp4", SETTINGS)
    cutting = Cutting(voice_bytes=0, frames=250)
    report = batch([row], folder, render_engine_alike(), options=BatchOptions(cutting=cutting))
    (frames, made), (_, single) = digests(on_disk(row.output)), alone(row, folder)
    pieces = {name: share.pieces for name, share in report.workers.items()}
    same = made == single and min(pieces.values()) > 0 and len(pieces) == 2
    told = " and ".join(f"{count} by {name}" for name, count in pieces.items())
    found = "those" if made == single else "**not** those"
    return f"{frames} frames in pieces, {told}: frames and sound, decoded, are {found} of one render alone.\n", same


class Ends(Unwatched):
    """Notes when rows end, and who ended them."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, str]] = []

    def row(self, result: RowResult) -> None:
        """See `Watcher`."""
        self.ends.append((time.monotonic(), result.worker))

    def rate(self, workers: int) -> float:
        """Return how many rows ended in a second, from when each worker had ended one."""
        first = next(n for n in range(len(self.ends)) if len({name for _, name in self.ends[: n + 1]}) == workers)
        return (len(self.ends) - 1 - first) / (self.ends[-1][0] - self.ends[first][0])


def efficiency(machines: Machines, folder: Path, clips: int) -> str:
    """Render the same clips by one worker and by two, in turns; returns what to write of it."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    computed = 0.0
    for turn in range(6):
        workers = 1 + turn % 2
        while len(machines.nodes) > workers:
            machines.remove()
        while len(machines.nodes) < workers:
            machines.add()
        machines.settle()
        rows, ends = make_rows(folder / str(turn), clips, seconds=LONGER_SECONDS), Ends()
        before = time.process_time()
        batch(rows, folder / str(turn), render_engine_alike(), ends)
        computed += (time.process_time() - before) / clips / 6
        rates[workers].append(ends.rate(workers))
    ratios = [two / one / 2 for one, two in zip(rates[1], rates[2], strict=True)]
    listed = [[count, *(f"{rate:.2f}" for rate in rates[count])] for count in rates]
    median = f"{statistics.median(ratios):.2f}"
    return (
        f"{clips} clips of {LONGER_SECONDS} s a turn, each worker on a core of its own; clips a second:\n\n"
        + table(["workers", "1st", "2nd", "3rd"], [*listed, ["efficiency", *(f"{ratio:.2f}" for ratio in ratios)]])
        + f"\nMedian efficiency of two against one: **{median}**. The command itself, and Ray's part in it, take "
        f"{computed:.2f} s of a core for each clip, and share cores with the workers, as Ray's head does.\n"
    )


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--long", type=float, default=40.0, help="seconds of the long clip")
    parser.add_argument("--efficiency", type=int, default=0, metavar="CLIPS", help="a turn, of six; 0: none")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as ray, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Machines(Path(ray)) as machines:
            machines.connect()
            troubled, whole = trouble(machines, folder / "trouble", wanted.clips)
            cut, same = long_clip(machines, folder / "long", wanted.long)
            two = efficiency(machines, folder / "two", wanted.efficiency) if wanted.efficiency else UNMEASURED
    wanting = os.getloadavg()[1]
    load = f"{machine()}, {wanting:.0f} processes wanting to run on average"
    if wanting > 2 * (os.cpu_count() or 1):
        load += ": most of them others', so no speed here, nor a ratio of speeds, is a measure of anything"
    text = (
        f"# Clusters\n\n`python -m benchmarks.cluster`: `preview`, Ray's head and its nodes on one machine.\n{load}.\n"
        f"\n## In trouble\n\n{troubled}\n## A long clip\n\n{cut}\n## Two workers against one\n\n{two}"
    )
    publish("cluster.md", text)
    return 0 if whole and same else 1


if __name__ == "__main__":
    sys.exit(main())
