"""What does a batch's tasks: workers that take one at a time, on this machine or anywhere.

Who gets which task, what is tried again, and what counts as done, the driver alone decides (`drive.py`). So an executor
only starts tasks on workers that are free, and says what became of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from musetalk.pipeline.engine import Renderer
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import RenderSettings


class Parts(Protocol):
    """The parts of a render: fixed ranges of its output frames, always at the same places."""

    @property
    def frames(self) -> int:
        """Output frames."""
        ...

    @property
    def count(self) -> int:
        """How many parts there are."""
        ...


class Engine(Renderer, Protocol):
    """What renders on a worker: `LipSync`, mostly."""

    def parts(self, video: Path, voice: Path, out: Path, settings: RenderSettings | None = None) -> Parts:
        """See `LipSync.parts`."""
        ...

    def render_parts(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        numbers: range,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Parts:
        """See `LipSync.render_parts`."""
        ...


# Makes a worker's engine, there: a function of a module, which is pickled by its name.
EngineFactory: TypeAlias = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Task(ABC):
    """Something that a worker does; can be pickled, and so can what it returns.

    Done twice, it writes the same bytes.

    Attributes:
        id: Tells it from all others of the batch, those that are done again too.
    """

    id: str

    @abstractmethod
    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Any:  # noqa: ANN401
        """Do it.

        Raises:
            MuseTalkError: It cannot be done.
        """


@dataclass(frozen=True, slots=True)
class RenderTask(Task):
    """Render `source` and `voice` to `out`, whose folder is there; returns the `RenderReport`."""

    source: Path
    voice: Path
    out: Path
    settings: RenderSettings

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> RenderReport:
        """Do it."""
        return engine.render(self.source, self.voice, self.out, self.settings, on_progress=on_progress, cancel=cancel)


@dataclass(frozen=True, slots=True)
class LookTask(Task):
    """Count the parts of a render; returns the `Parts`."""

    source: Path
    voice: Path
    out: Path
    settings: RenderSettings

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Parts:
        """Do it."""
        return engine.parts(self.source, self.voice, self.out, self.settings)


@dataclass(frozen=True, slots=True)
class PartsTask(Task):
    """Make some parts of a render, which another task joins; returns the `Parts`."""

    source: Path
    voice: Path
    out: Path
    settings: RenderSettings
    numbers: range

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Parts:
        """Do it."""
        return engine.render_parts(
            self.source,
            self.voice,
            self.out,
            self.settings,
            numbers=self.numbers,
            on_progress=on_progress,
            cancel=cancel,
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker takes a task: it has started, or is through with its last one.

    Attributes:
        worker: Which.
        machine: Its machine, where workers may have different ones.
    """

    worker: str
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A sign of life of a task, told at every stage, and how far it has come, from 0 to 1."""

    worker: str
    task: str
    share: float


@dataclass(frozen=True, slots=True)
class Done:
    """A task was done; its result."""

    worker: str
    task: str
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A task could not be done.

    Attributes:
        worker: Who tried; `Ready` follows where it goes on.
        task: Its id.
        kind: Of the error; see `MuseTalkError`. "unforeseen": it was no such error.
        said: The error, in words.
    """

    worker: str
    task: str
    kind: str
    said: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died, or its machine did, or it was ended.

    Attributes:
        worker: Which.
        task: The id of what it did; empty: nothing.
        said: What is known of why.
        replaced: Whether another one comes under its name; `Ready` tells when.
        blamed: Whether its task may be the reason; not where its machine went away.
    """

    worker: str
    task: str
    said: str
    replaced: bool
    blamed: bool = True


Event: TypeAlias = Ready | Advanced | Done | Failed | Lost


class Executor(Protocol):
    """Workers of a batch. They come up by themselves: each says `Ready` once, and after each task that it survives."""

    @property
    def workers(self) -> int:
        """How many there are at most at a time."""
        ...

    def start(self, worker: str, task: Task) -> None:
        """Give a task to a worker that is ready."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """Return what has happened since the last call, in order; none within `timeout` seconds: nothing."""
        ...

    def end(self, worker: str, why: str) -> None:
        """End a worker now, whatever it does: `Lost` follows, to blame its task, with `why` as what is known of it.

        Its death is not waited for: what the system does not let go may stay there, and changes nothing any more.
        """
        ...

    def cancel(self) -> None:
        """End all tasks within seconds; each says what became of it."""
        ...

    def close(self) -> None:
        """End all workers now, whatever they do; nothing of them is left."""
        ...
