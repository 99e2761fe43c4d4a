"""Batches without renders: workers that do as they are told, on a clock of their own."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path

from musetalk.backends.automatic import BackendChoice
from musetalk.batch.executor import Advanced, Done, Event, Failed, LookTask, Lost, PartsTask, Ready, RenderTask, Task
from musetalk.batch.rows import Row
from musetalk.batch.watch import Clock
from musetalk.errors import FaceError, OutOfMemoryError
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import ComponentSettings, RenderSettings
from tests.helpers.reports import some_report
from tests.helpers.waiting import until

FATES = ("done", "lost", "silent", "machine lost", "memory", "bad", "unforeseen", "gone")


@dataclass(frozen=True)
class Chooser:
    """Chooses the preview, as `LipSync` would, and has it load some weights."""

    files: tuple[Path, ...] = ()

    def choose(self, settings: RenderSettings) -> BackendChoice:
        return BackendChoice("preview")

    def weights(self, backend: str, wanted: ComponentSettings) -> tuple[Path, ...]:
        return self.files


NAMED = Chooser()


def some_rows(folder: Path, *inputs: tuple[str, str], **settings: object) -> list[Row]:
    """Rows of sources and voices that hold these texts, to 0.mp4, 1.mp4, ..."""
    folder.mkdir(exist_ok=True, parents=True)
    rows = []
    for number, texts in enumerate(inputs):
        for text in texts:
            (folder / text).write_text(text)
        source, voice = (folder / text for text in texts)
        rows.append(Row(f"line {number + 2}", source, voice, folder / "out" / f"{number}.mp4", settings, number + 2))
    return rows


def made(task: RenderTask) -> bytes:
    """What a render of a task holds: what it was asked for."""
    return f"{task.source.read_text()} {task.voice.read_text()} {task.settings.bbox_shift}".encode()


@dataclass(frozen=True)
class SomeParts:
    """As of a render of ten frames a part."""

    count: int

    @property
    def frames(self) -> int:
        return 10 * self.count


@dataclass
class ToldWorkers:
    """An executor whose tasks end as a script says, at once; afterwards all are done.

    What is "silent" never ends, and what is "slow" after four minutes, of which it tells each moment.

    Attributes:
        workers: How many.
        fates: How tasks end, in the order in which they are begun.
        poison: Sources over which every worker dies.
        parts: Of how many parts renders of these voices are; others are of one.
        machines: Of workers, where they differ.
        begun: What was begun but for looks.
    """

    workers: int = 1
    fates: Iterator[str] = field(default_factory=lambda: iter(()))
    poison: frozenset[str] = frozenset()
    parts: dict[str, int] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    begun: list[RenderTask | PartsTask] = field(default_factory=list)
    by_worker: dict[str, list[str]] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._events += [self._ready(str(number)) for number in range(self.workers)]
        self._busy: set[str] = set()
        self._silent: dict[str, str] = {}  # tasks by worker
        self._slow: list[Iterator[Event]] = []

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, lambda: 0.5)

    @property
    def attempts(self) -> Counter[str]:
        """How often each render was begun, by its key."""
        return Counter(task.id.partition("-")[0] for task in self.begun)

    def start(self, worker: str, task: Task) -> None:
        assert isinstance(task, RenderTask | LookTask | PartsTask)
        assert worker not in self._busy, "a worker that has a task gets none"
        self._busy.add(worker)
        if not isinstance(task, LookTask):
            self.begun.append(task)
            self.by_worker.setdefault(worker, []).append(task.source.name)
        fate = "lost" if task.source.name in self.poison else next(self.fates, "done")
        if fate == "silent":
            self._silent[worker] = task.id
        elif fate == "slow":
            moments = repeat(Advanced(worker, task.id, ProgressEvent("render", 0, 1)), 1000)
            self._slow.append(chain(moments, self._end(worker, task, "done")))
        else:
            self._events += self._end(worker, task, fate)

    def _end(self, worker: str, task: RenderTask | LookTask | PartsTask, fate: str) -> Iterator[Event]:
        self._busy.discard(worker)
        if fate in ("lost", "machine lost"):
            yield Lost(worker, task.id, "ended by SIGKILL", replaced=True, blamed=fate == "lost")
        elif fate == "gone":
            yield Lost(worker, task.id, "its machine has gone", replaced=False, blamed=False)
            return
        elif fate == "done":
            yield Done(worker, task.id, self._made(task))
        else:
            kind = {"memory": OutOfMemoryError.kind, "bad": FaceError.kind}.get(fate, fate)
            yield Failed(worker, task.id, kind, f"it is {fate}")
        yield self._ready(worker)

    def _ready(self, worker: str) -> Ready:
        return Ready(worker, self.machines.get(worker, ""))

    def _made(self, task: RenderTask | LookTask | PartsTask) -> RenderReport | SomeParts:
        count = self.parts.get(task.voice.name, 1)
        if isinstance(task, LookTask):
            return SomeParts(count)
        if isinstance(task, PartsTask):
            for number in task.numbers:
                (task.out.parent / f"part-{number}").touch()
            return SomeParts(count)
        there = len(list(task.out.parent.glob("part-*")))
        assert there in (0, count), "parts are joined once they are all there"
        task.out.write_bytes(made(task))
        return some_report(task.out, task.settings)

    def events(self, timeout: float) -> list[Event]:
        found, self._events = self._events, []
        if not found:
            self.seconds += timeout
            found = [event for each in self._slow for event in islice(each, 1)]
        return found

    def end(self, worker: str, why: str) -> None:
        self._busy.remove(worker)
        self._events += [Lost(worker, self._silent.pop(worker), why, replaced=True), self._ready(worker)]

    def cancel(self, worker: str, task: str) -> None:
        """Nothing runs on."""

    def close(self) -> None:
        """Nothing is left."""


class TextEngine:
    """Writes what it was asked for in place of a render; a source may say what else it does."""

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        text = request.video.read_text()
        if text == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hanging":
            os.kill(os.getpid(), signal.SIGSTOP)
        if text == "endless" and cancel is not None:
            until(lambda: cancel.cancelled)
            cancel.check()
        if text == "strange":
            raise RuntimeError("CUDA error: unspecified launch failure")
        out.write_text(f"{text} {request.voice.read_text()} by {os.getpid()}")
        return some_report(out, request.settings)

    def release(self) -> None:
        """There is nothing to free."""


def text_engine() -> TextEngine:
    return TextEngine()


def stillborn_engine() -> TextEngine:
    raise RuntimeError("no engine can be made")


def hanging_engine() -> TextEngine:
    os.kill(os.getpid(), signal.SIGSTOP)
    return TextEngine()
