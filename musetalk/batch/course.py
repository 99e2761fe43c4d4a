"""The course of a render: looked at, cut into pieces where it is long, made, joined; and what befell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from musetalk.batch.executor import LookTask, Parts, PartsTask, RenderTask, Task
from musetalk.batch.outcome import RowState, WorkerShare
from musetalk.batch.publish import Staging
from musetalk.batch.retries import Tries
from musetalk.batch.works import Work
from musetalk.storage.locations import Location, ObjectUrl

_NONE = range(0)  # of a render's parts, for which faces are found all the same


@dataclass(frozen=True, slots=True)
class Step:
    """What one worker does of a render.

    Attributes:
        work: The render.
        look: Whether only its parts are counted.
        numbers: The parts that are made; None: all that are missing, and they are joined.
        avoid: Workers and machines that failed at it before: others do it, if there are any.
    """

    work: Work
    look: bool = False
    numbers: range | None = None
    avoid: frozenset[str] = frozenset()

    def task(self, task_id: str, staging: Staging) -> Task:
        """Return it as a task.

        Args:
            task_id: Its id.
            staging: Where files are made.

        Raises:
            OutputError: Its file cannot be made there.
        """
        first, place, settings = self.work.first, staging.place(self.work), staging.settings(self.work)
        source, voice, out = (_absolute(each) for each in (first.source, first.voice, place))
        objects = tuple(each for each in self.work.inputs if isinstance(each.path, ObjectUrl))
        if self.look:
            return LookTask(task_id, source, voice, out, settings, objects=objects)
        if self.numbers is not None:
            return PartsTask(task_id, source, voice, out, settings, self.numbers, objects=objects)
        return RenderTask(task_id, source, voice, out, settings, objects=objects)


def _absolute(location: Location) -> Location:
    return location.absolute() if isinstance(location, Path) else location


@dataclass(frozen=True, slots=True)
class Cutting:
    """Which renders are cut, so that several workers make one.

    Attributes:
        voice_bytes: Size of a voice from which on a render is looked at; what is smaller is short.
        frames: Least output frames of a piece: each begins with a plan and a voice that have to be read anew.
        pieces: For each worker, at most.
    """

    voice_bytes: int = 2**18
    frames: int = 1500
    pieces: int = 2

    def wanted(self, work: Work, workers: int) -> bool:
        """Whether a render may be worth it."""
        sizes = (each.facts.size for each in work.inputs if each.path == work.first.voice)
        return workers > 1 and next(sizes, 0) >= self.voice_bytes

    def pieces_of(self, parts: Parts, workers: int) -> list[range]:
        """Return the pieces of a render, as ranges of its parts; a single one: it is not cut."""
        count = max(1, min(parts.count, parts.frames // self.frames, workers * self.pieces))
        bounds = [parts.count * number // count for number in range(count + 1)]
        return [range(start, stop) for start, stop in pairwise(bounds)]


@dataclass(slots=True)
class Course:
    """What became of a render so far.

    Attributes:
        work: The render.
        tries: How often something of it was tried in vain.
        seconds: Of work on it.
        pieces: Into how many it was cut; 0: it was not.
        left: The pieces that are not made yet.
        frames: Of pieces, by who made them.
        running: How many workers are at it.
        given_up: How its rows ended, and further attributes of that, where it was given up; None: it was not.
        kept: Whether what was made of it stays then.
    """

    work: Work
    tries: Tries = field(default_factory=Tries)
    seconds: float = 0.0
    pieces: int = 0
    left: set[range] = field(default_factory=set)
    frames: dict[str, int] = field(default_factory=dict)
    running: int = 0
    given_up: tuple[RowState, Mapping[str, Any]] | None = None
    kept: bool = False

    @property
    def share(self) -> float:
        """How far it has come by whole pieces, from 0 to 1."""
        return 1 - len(self.left) / self.pieces if self.pieces else 0.0

    def join(self, work: Work) -> None:
        """Take note of further rows that ask for the same."""
        self.work = replace(self.work, rows=(*self.work.rows, *work.rows))

    def cut(self, pieces: list[range], *, look_first: bool) -> list[Step]:
        """Take note of its pieces; returns what is to be done.

        Args:
            pieces: Ranges of its parts.
            look_first: Whether one worker finds the faces before all others begin, who find them kept then; else those
                that begin together each find them all.
        """
        if len(pieces) < 2:
            return [Step(self.work)]
        self.pieces, self.left = len(pieces), set(pieces)
        return [Step(self.work, numbers=_NONE)] if look_first else self._pieces()

    def made(self, numbers: range, worker: str) -> list[Step]:
        """Take note of a piece that is there; returns what is to be done then."""
        if not numbers:
            return self._pieces()
        self.left.discard(numbers)
        self.frames[worker] = self.frames.get(worker, 0) + len(numbers)
        return [] if self.left else [Step(self.work)]

    def _pieces(self) -> list[Step]:
        return [Step(self.work, numbers=piece) for piece in sorted(self.left, key=lambda piece: piece.start)]

    def video_seconds(self, whole: float, worker: str) -> dict[str, float]:
        """Return how much of a video each worker made.

        Args:
            whole: Its length in seconds.
            worker: Who made all of it, where it was not cut.
        """
        total = sum(self.frames.values())
        return {name: whole * count / total for name, count in self.frames.items()} if total else {worker: whole}


@dataclass(slots=True)
class Running:
    """What a worker does.

    Attributes:
        step: Which.
        course: Of its render.
        task: Its id.
        begun: When, by the driver's clock.
        share: How far it has come, from 0 to 1.
        silent: Seconds since its last sign of life in which somebody listened.
    """

    step: Step
    course: Course
    task: str
    begun: float
    share: float = 0.0
    silent: float = 0.0


@dataclass(slots=True)
class Tally:
    """What a worker did so far; see `WorkerShare`."""

    renders: int = 0
    pieces: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    losses: int = 0
    silent_seconds: float = 0.0

    def heed(self, silent: float) -> None:
        """Take note of how long it has been silent by now, in seconds."""
        self.silent_seconds = max(self.silent_seconds, silent)

    def share(self) -> WorkerShare:
        """Return it as it is told."""
        times = round(self.seconds, 3), round(self.video_seconds, 3)
        return WorkerShare(self.renders, self.pieces, *times, self.losses, round(self.silent_seconds, 3))
