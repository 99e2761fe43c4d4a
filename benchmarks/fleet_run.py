"""A batch on simulated workers: the real rows, ledger, queue, retries and driver; only time is not real."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fleet_model import Clip, Fleet
from benchmarks.fleet_usage import Usage
from benchmarks.fleet_workers import SimulatedWorkers
from musetalk.backends.automatic import BackendChoice
from musetalk.batch.course import Cutting
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.outcome import BatchReport
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.batch.watch import Clock
from musetalk.settings import ComponentSettings, RenderSettings

# Of a voice's second, as of one that is compressed as usual: 128 kbit/s. The files of a simulation have a byte for each
# second instead, and what the driver takes for a long voice is as much shorter.
_VOICE_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Simulated:
    """How a simulated batch went.

    Attributes:
        workers: How many there were.
        fleet: What was taken for granted.
        seconds: How long it took.
        usage: What it used.
        report: How its rows ended.
    """

    workers: int
    fleet: Fleet
    seconds: float
    usage: Usage
    report: BatchReport

    @property
    def hours_an_hour(self) -> float:
        """Hours of video that an hour makes."""
        return self.usage.video_seconds / self.seconds

    @property
    def worker_hours(self) -> float:
        """Hours that were rented: all workers from the start to the end."""
        return self.workers * self.seconds / 3600

    @property
    def hours_each(self) -> float:
        """Rented hours for each hour of video."""
        return 3600 * self.worker_hours / self.usage.video_seconds

    @property
    def shares(self) -> dict[str, float]:
        """How busy everything was, from 0 to 1."""
        ledger = self.usage.driver["ledger"] / self.seconds
        return {
            "workers": self.usage.busy / (self.workers * self.seconds),
            "storage": self.usage.bytes / self.fleet.shared.storage / self.seconds,
            "driver": sum(self.usage.driver.values()) / self.seconds - ledger,
            "ledger": ledger,
        }

    @property
    def bottleneck(self) -> str:
        """What more of would have helped: what was at nine tenths or more; else workers waited for the last renders."""
        shares = self.shares
        whole = {"storage": shares["storage"], "driver": shares["driver"] + shares["ledger"]}
        name = max(whole, key=lambda each: whole[each])
        if whole[name] >= _BUSY:
            return name
        if shares["workers"] < _BUSY:
            return "the last renders"
        return "workers: finding faces" if self.usage.plan > 0.5 * self.usage.work else "workers"


_BUSY = 0.9


class Batch:
    """Clips as files that a batch can be made of: rows of one simulation after another."""

    def __init__(self, clips: Sequence[Clip], folder: Path) -> None:
        self.clips, self._folder = clips, folder
        self._number = 0
        for clip in {each.source: each for each in clips}.values():
            (folder / f"{clip.source}.mp4").write_text(f"source {clip.source}")
        for clip in {each.voice: each for each in clips}.values():
            said = f"voice {clip.voice} "
            (folder / f"{clip.voice}.wav").write_text(said + "-" * max(0, round(clip.seconds) - len(said)))
        self._numbered = {clip.voice: clip for clip in clips}

    @property
    def by_voice(self) -> list[Clip]:
        """The clips, at the places that voices are named by."""
        return [self._numbered.get(number, self.clips[0]) for number in range(max(self._numbered) + 1)]

    def rows(self) -> list[Row]:
        """Return rows, as of a manifest, whose outputs are new."""
        self._number += 1
        out = self._folder / f"out-{self._number}"
        return [
            Row(
                f"line {number + 2}",
                self._folder / f"{clip.source}.mp4",
                self._folder / f"{clip.voice}.wav",
                out / f"{number}.mp4",
                {},
                number + 2,
            )
            for number, clip in enumerate(self.clips)
        ]

    def clear(self) -> None:
        """Remove what the last simulation wrote."""
        shutil.rmtree(self._folder / f"out-{self._number}", ignore_errors=True)


@contextmanager
def batch_of(clips: Sequence[Clip]) -> Iterator[Batch]:
    """Have the files of clips while the `with` block runs."""
    memory = Path("/dev/shm")  # noqa: S108 - for files that no disk needs to have
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Batch(clips, Path(folder))


class _Ledger(Ledger):
    """A ledger in memory; what it writes takes the driver's time."""

    def __init__(self, spend: Callable[[], None]) -> None:
        super().__init__(None)
        self._spend = spend

    def put(self, entries: Iterable[Entry]) -> None:
        """See `Ledger`."""
        super().put(entries)
        self._spend()


@dataclass(frozen=True)
class _Retries(RetryPolicy):
    """Retries whose waits somebody hears of."""

    due: Callable[[float], None] = lambda _seconds: None

    def wait(self, attempts: int, draw: Callable[[], float] = lambda: 0.5) -> float:
        """See `RetryPolicy`."""
        seconds = super().wait(attempts, draw)
        self.due(seconds)
        return seconds


def simulate(batch: Batch, workers: int, fleet: Fleet, *, cutting: Cutting | None = None) -> Simulated:
    """Do a batch on simulated workers.

    Args:
        batch: What is to be done.
        workers: How many there are, of which each begins by loading its models.
        fleet: What all takes.
        cutting: Which renders are cut; None: as the driver does it.
    """
    executor = SimulatedWorkers(workers, batch.by_voice, fleet)
    ledger = _Ledger(lambda: executor.spend("ledger", fleet.driver.ledger))
    ledger.make()
    ledger.take()
    cutting = cutting or Cutting(voice_bytes=round(Cutting().voice_bytes / _VOICE_BYTES))
    clock = Clock(lambda: executor.now, lambda: 0.5)
    options = BatchOptions(_Retries(due=executor.due), cutting, stall_seconds=0, reports=False, clock=clock)
    # What the driver reads of sources, to know what is the same, while workers begin; voices are small.
    longest: dict[int, float] = {}
    for clip in batch.clips:
        longest[clip.source] = max(longest.get(clip.source, 0.0), clip.seconds)
    executor.read_ahead(sum(longest.values()) * fleet.shared.source_rate)
    try:
        with ledger:
            report = run_batch(batch.rows(), executor, ledger, engine=_Preview(), options=options)
    finally:
        batch.clear()
    return Simulated(workers, fleet, executor.now, executor.usage, report)


class _Preview:
    """What names backends where nothing is painted."""

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """See `Chooser`."""
        return BackendChoice("preview")

    def weights(self, backend: str, wanted: ComponentSettings) -> tuple[Path, ...]:
        """See `Chooser`."""
        return ()
