"""The simulator against real batches of one and two local workers, and what the driver itself takes."""

from __future__ import annotations

import hashlib
import pickle
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.common import ASSETS, make_clip, make_voice
from benchmarks.fleet_model import Clip, DriverCosts, Fleet, RenderCosts, Shared
from benchmarks.fleet_run import batch_of, simulate
from benchmarks.fleet_usage import report_of
from musetalk.batch.executor import Advanced, Done, Event, Executor, Failed, Ready, RenderTask, Task
from musetalk.batch.ledger import Entry
from musetalk.batch.opening import open_ledger
from musetalk.batch.places import render_engine
from musetalk.batch.pool import ProcessPool
from musetalk.batch.rows import Row
from musetalk.batch.run import run_batch
from musetalk.lipsync import LipSync
from musetalk.progress import ProgressEvent
from musetalk.storage.locations import on_disk

_SAMPLE_SECONDS = 0.2
# Nothing of one render may help the next, or costs would depend on who makes what.
_SETTINGS = {"backend": "preview", "reuse_findings": False}


@dataclass(slots=True)
class Recorded:
    """An `Executor` that writes down what another one does.

    Attributes:
        executor: The other one.
        began: When it was made; by `time.monotonic`, as all else.
        ready: When each worker first was.
        took: Seconds of each task, by its voice's number.
        gaps: Seconds from the end of a task to the start of the worker's next one.
    """

    executor: Executor
    began: float
    ready: dict[str, float] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    _at: dict[str, tuple[float, int]] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        """See `Executor`."""
        return self.executor.workers

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        assert isinstance(task, RenderTask)  # noqa: S101 - voices are short
        now = time.monotonic()
        self._at[worker] = now, int(task.voice.stem)
        if worker in self._ended:
            self.gaps.append(now - self._ended[worker])
        self.executor.start(worker, task)

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        events = self.executor.events(timeout)
        now = time.monotonic()
        for event in events:
            if isinstance(event, Ready):
                self.ready.setdefault(event.worker, now)
            elif isinstance(event, Done | Failed):
                began, number = self._at[event.worker]
                self.took[number] = now - began
                self._ended[event.worker] = now
        return events

    def end(self, worker: str, why: str) -> None:
        """See `Executor`."""
        self.executor.end(worker, why)

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`."""
        self.executor.cancel(worker, task)

    def close(self) -> None:
        """See `Executor`."""


@dataclass(frozen=True, slots=True)
class RealRun:
    """A batch that was really rendered.

    Attributes:
        seconds: From the start of its workers until all was published.
        load: Until the first worker was ready.
        took: Seconds of each render, by its voice's number.
        gap: Seconds between two renders of a worker, in which the driver publishes.
        threads: Threads of its workers that wanted a processor at a time, for each worker.
        others: Threads of other programs that did.
        stolen: Share of the machine that other programs had.
    """

    seconds: float
    load: float
    took: dict[int, float]
    gap: float
    threads: float
    others: float
    stolen: float


class _Machine:
    """Watches who wants processors, and who gets them."""

    def __init__(self) -> None:
        self._wanted: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = self._spent()
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
            self._wanted.append(running - 1)  # but for this thread, which runs just now

    @staticmethod
    def _spent() -> float:
        times = psutil.cpu_times()
        return float(times.user + times.nice + times.system)

    def end(self, own: float, seconds: float, workers: int) -> tuple[float, float, float]:
        """Return the threads that wanted a processor, of each worker and of others, and the share others had.

        Args:
            own: Seconds of processors that the workers used.
            seconds: How long it took.
            workers: How many there were.
        """
        self._ended.set()
        self._thread.join()
        processors = float(psutil.cpu_count() or 1)
        wanted = statistics.fmean(self._wanted) if self._wanted else 0.0
        # Whoever wants a processor gets an even share of them: who used so much wanted so much more.
        threads = own / seconds * max(1.0, wanted / processors)
        others = max(0.0, wanted - threads)
        return threads / workers, others, max(0.0, (self._spent() - self._before - own) / seconds / processors)


def _own_seconds(pids: Iterable[int]) -> float:
    total = 0.0
    for pid in pids:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def make_rows(folder: Path, count: int) -> list[Row]:
    """Return rows of `count` short clips: four small sources, and voices of half a second to two seconds and a half."""
    sources = [
        make_clip(folder / f"s{number}.mp4", seconds=2.5, fps="25", size=size, picture=ASSETS / "sample.mp4")
        for number, size in enumerate(((256, 144), (320, 180), (426, 240), (320, 240)))
    ]
    rows = []
    for number in range(count):
        voice = make_voice(folder / f"{number}.wav", seconds=0.5 + 2.0 * (number * 7 % count) / count)
        rows.append(Row(f"line {number + 2}", sources[number % 4], voice, folder / f"{number}.mp4", _SETTINGS))
    return rows


def really_run(rows: Sequence[Row], workers: int, folder: Path) -> RealRun:
    """Render rows by processes of this machine, as `musetalk batch --on local:N` does."""
    rows = [replace(row, output=folder / f"out-{workers}" / row.output.name) for row in rows]
    watched, began = _Machine(), time.monotonic()
    with (
        open_ledger(folder / f"{workers}.ledger") as ledger,
        ProcessPool(workers, render_engine) as pool,
    ):
        recorded = Recorded(pool, began)
        report = run_batch(rows, recorded, ledger, engine=LipSync())
        seconds = time.monotonic() - began
        own = _own_seconds(pool.pids().values())
    threads, others, stolen = watched.end(own, seconds, workers)
    if not report.complete:
        raise RuntimeError(f"the check's clips were not rendered: {report.failed[0].error}")
    load = min(recorded.ready.values()) - began
    return RealRun(seconds, load, recorded.took, statistics.median(recorded.gaps), threads, others, stolen)


def predicted(one: RealRun, workers: int, others: float) -> float:
    """Return how long the simulator says that a batch takes on more workers, by what one worker took.

    Args:
        one: What one worker took.
        workers: How many there are.
        others: Threads of other programs then, which get their share.
    """
    processors = float(psutil.cpu_count() or 1)
    speed = min(1.0, processors / (one.threads + one.others))  # at which all of it was measured
    clips = [Clip(number % 4, number, 1.0, took=took * speed) for number, took in sorted(one.took.items())]
    fleet = Fleet(
        RenderCosts(load=one.load * speed, threads=one.threads),
        driver=DriverCosts(take=one.gap),
        shared=Shared(processors=processors, others=others),
    )
    with batch_of(clips) as batch:
        return simulate(batch, workers, fleet).seconds


def replayed(run: RealRun, workers: int) -> float:
    """Return how long the simulator says that a batch takes whose renders take what they took in it."""
    clips = [Clip(number % 4, number, 1.0, took=took) for number, took in sorted(run.took.items())]
    fleet = Fleet(RenderCosts(load=run.load, threads=0.0), driver=DriverCosts(take=run.gap))
    with batch_of(clips) as batch:
        return simulate(batch, workers, fleet).seconds


@dataclass(frozen=True, slots=True)
class Checked:
    """One round: both real runs, and what the simulator says of the second one."""

    one: RealRun
    two: RealRun
    predicted: float
    replayed: float


def check(rounds: int, count: int) -> list[Checked]:
    """Run one and two workers in turn."""
    found = []
    with TemporaryDirectory() as place:
        rows = make_rows(Path(place), count)
        for number in range(rounds):
            folder = Path(place) / f"round-{number}"
            folder.mkdir()
            one, two = (really_run(rows, workers, folder) for workers in (1, 2))
            found.append(Checked(one, two, predicted(one, 2, two.others), replayed(two, 2)))
    return found


class _AtOnce:
    """An `Executor` whose renders are there at once: what is left is the driver."""

    workers = 8

    def __init__(self, size: int) -> None:
        self._made = b"\0" * size
        self._events: list[Event] = [Ready(str(number)) for number in range(self.workers)]

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        assert isinstance(task, RenderTask)  # noqa: S101 - voices are short
        on_disk(task.out).write_bytes(self._made)
        self._events += [Done(worker, task.id, report_of(task, Clip(0, 0, 1.0))), Ready(worker)]

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        happened, self._events = self._events, []
        return happened

    def end(self, worker: str, why: str) -> None:
        """See `Executor`; none is ever silent."""

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`."""

    def close(self) -> None:
        """See `Executor`."""


def measure_driver(count: int = 200) -> DriverCosts:
    """Return what the driver takes on this machine and its disk, from a batch whose renders are there at once.

    `publish` is all that its processor does for a render, in seconds of that, which other programs change little;
    `ledger` is how long a transaction takes until it is on the disk.
    """
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "s.mp4").write_text("source")
        rows = []
        for number in range(count):
            voice = folder / f"{number}.wav"
            voice.write_text(str(number))
            rows.append(Row(f"line {number}", folder / "s.mp4", voice, folder / "out" / f"{number}.mp4", _SETTINGS))
        with open_ledger(folder / "a.ledger") as ledger:
            waits = [_seconds(lambda: ledger.put([Entry("none", "none")])) for _ in range(count)]
            began = time.process_time()
            run_batch(rows, _AtOnce(1000), ledger, engine=LipSync())
            each = (time.process_time() - began) / count
    block, said = b"\0" * 2**24, pickle.dumps(Advanced("local-1", "a" * 64, ProgressEvent("render", 50, 100)))
    digest = min(_seconds(lambda: hashlib.sha256(block).digest()) for _ in range(8)) / len(block)
    sign = min(_seconds(lambda: pickle.loads(said)) for _ in range(1000))  # noqa: S301 - of our own
    return DriverCosts(publish=each, ledger=statistics.median(waits), digest=digest, progress=2 * sign)


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
