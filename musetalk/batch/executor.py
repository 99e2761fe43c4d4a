"""What does tasks: workers that take one at a time, on this machine or anywhere.

Who gets which task, what is tried again, and what counts as done, whoever uses it decides: the driver of a batch
(`drive.py`), or what hands on the jobs of a server (`musetalk/dispatch`). So an executor only starts tasks on workers
that are free, and says what became of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from musetalk.batch.content import FileState
from musetalk.batch.reach import Workplace, within_reach
from musetalk.errors import AvatarError, MuseTalkError
from musetalk.pipeline.engine import Renderer
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import RenderSettings
from musetalk.storage.locations import Location
from musetalk.utils.job_log import LoggedJob


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

    def parts_of(self, request: RenderRequest, out: Path) -> Parts:
        """See `LipSync.parts`."""
        ...

    def make_parts(
        self,
        request: RenderRequest,
        out: Path,
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
        id: Tells it from all others of the executor, those that are done again too.
        pictures: Whether somebody looks at its newest frames, which then come with its progress.
        logged: For which job the worker logs while it does it.
    """

    id: str
    pictures: bool = field(default=False, kw_only=True)
    logged: LoggedJob = field(default=LoggedJob(), kw_only=True)

    @abstractmethod
    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Any:  # noqa: ANN401
        """Do it.

        Raises:
            MuseTalkError: It cannot be done.
        """


@dataclass(frozen=True, slots=True)
class SourceTask(Task):
    """Something of a render of `source` and `voice` to `out`, whose folder, of a file, is there.

    Attributes:
        source: A file, or an object.
        voice: The same.
        out: What to make.
        settings: What it should look like.
        objects: Those of both that are objects, as the driver knows them: others are refused.
    """

    source: Location
    voice: Location
    out: Location
    settings: RenderSettings
    objects: tuple[FileState, ...] = field(default=(), kw_only=True)

    @contextmanager
    def at_hand(self, on_progress: ProgressCallback, cancel: CancelToken) -> Iterator[tuple[RenderRequest, Workplace]]:
        """Inside the `with` block, what is asked for is there as files; with the place where it is made."""
        with within_reach(self.source, self.voice, self.out, self.objects, on_progress, cancel) as there:
            yield RenderRequest(there.source, there.voice, self.settings), there.place


@dataclass(frozen=True, slots=True)
class RenderTask(SourceTask):
    """Render; returns the `RenderReport`.

    Attributes:
        resume: Whether to begin anew, and how parts are made; None: as usual.
    """

    resume: ResumeOptions | None = field(default=None, kw_only=True)

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> RenderReport:
        """Do it."""
        with self.at_hand(on_progress, cancel) as (request, place):
            report = place.found()
            if report is None:
                place.take_parts()
                report = engine.make(request, place.out, resume=self.resume, on_progress=on_progress, cancel=cancel)
            return place.deliver(report)


@dataclass(frozen=True, slots=True)
class SpeakTask(Task):
    """Let an avatar speak a voice to `out`, whose folder is there; returns the `RenderReport`.

    Attributes:
        avatar: The folder that it lies in.
        avatar_id: What it has to be.
        voice: What it speaks.
        out: The file to make.
        settings: What it should look like.
        resume: Whether to begin anew, and how parts are made; None: as usual.
    """

    avatar: Path
    avatar_id: str
    voice: Path
    out: Path
    settings: RenderSettings
    resume: ResumeOptions | None = field(default=None, kw_only=True)

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> RenderReport:
        """Do it."""
        from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415 - no other task needs it

        avatar = open_avatar(self.avatar, cancel)
        if avatar.id != self.avatar_id:
            raise AvatarError(f"the avatar {avatar.name} was made anew meanwhile", "render once more")
        request = RenderRequest.of_avatar(avatar, self.voice, self.settings)
        return engine.make(request, self.out, resume=self.resume, on_progress=on_progress, cancel=cancel)


@dataclass(frozen=True, slots=True)
class LookTask(SourceTask):
    """Count the parts of a render; returns the `Parts`."""

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Parts:
        """Do it."""
        with self.at_hand(on_progress, cancel) as (request, place):
            return engine.parts_of(request, place.out)


@dataclass(frozen=True, slots=True)
class PartsTask(SourceTask):
    """Make some parts of a render, which another task joins; returns the `Parts`."""

    numbers: range

    def run(self, engine: Engine, on_progress: ProgressCallback, cancel: CancelToken) -> Parts:
        """Do it."""
        with self.at_hand(on_progress, cancel) as (request, place):
            place.take_parts(self.numbers)
            parts = engine.make_parts(request, place.out, numbers=self.numbers, on_progress=on_progress, cancel=cancel)
            place.give_parts()
            return parts


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
    """A sign of life of a task: what it tells of its progress, now and then."""

    worker: str
    task: str
    event: ProgressEvent

    @property
    def share(self) -> float:
        """How far it has come, from 0 to 1: of its frames, which take nearly all the time."""
        event = self.event
        if event.stage == "render" and event.total:
            return min(1.0, (event.done + event.part) / event.total)
        return float(event.stage == "finish")


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
        error: The error itself, or one of a class of this package's that it belongs to; None: it is none of those.
    """

    worker: str
    task: str
    kind: str
    said: str
    error: MuseTalkError | None = None


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


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of the workers that the user is to know: what they wait for."""

    said: str


Event: TypeAlias = Ready | Advanced | Done | Failed | Lost | Notice


class Executor(Protocol):
    """Workers. They come up by themselves: each says `Ready` once, and after each task that it survives."""

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

    def cancel(self, worker: str, task: str) -> None:
        """Ask a worker to end a task within seconds, of which it says what became; once that has ended, nothing."""
        ...

    def close(self) -> None:
        """End all workers now, whatever they do; nothing of them is left."""
        ...
