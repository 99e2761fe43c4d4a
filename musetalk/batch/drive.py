"""The driver of a batch: gives renders to workers, tries again what may pass, and writes down what is done."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from musetalk.batch.content import read_digest
from musetalk.batch.executor import Advanced, Done, Event, Executor, Failed, Lost, Ready, RenderTask
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.opening import report_beside
from musetalk.batch.outcome import RowResult, RowState, WorkerShare, facts_of
from musetalk.batch.publish import Staging, publish
from musetalk.batch.retries import LOST, RetryPolicy
from musetalk.batch.rows import Row
from musetalk.batch.works import Work, WorkQueue
from musetalk.errors import BackendError, OutputError, write_error
from musetalk.pipeline.report import RenderReport, save_json
from musetalk.progress import CancelToken, noop
from musetalk.utils.units import counted

_LOOK_SECONDS = 0.25  # between two looks at whether to stop
_ENDING_SECONDS = 15.0  # that workers are given to end what they do


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests have their own.

    Attributes:
        now: Seconds, from any moment on.
        draw: A number from 0 to 1 by chance.
    """

    now: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch has come.

    Attributes:
        works: Renders to be made.
        ended: Of these, those that are done or given up.
        running: What each worker does, and how far it is, from 0 to 1.
        seconds: Since it began.
        left_seconds: Until it ends, about; None: not known yet.
    """

    works: int
    ended: int
    running: dict[str, tuple[str, float]]
    seconds: float
    left_seconds: float | None


class Watcher(Protocol):
    """Who is told how a batch goes on, from the driver's thread."""

    def row(self, result: RowResult) -> None:
        """Take how a row ended."""
        ...

    def standing(self, standing: Standing) -> None:
        """Take how far the batch is."""
        ...

    def note(self, text: str) -> None:
        """Take a sentence for the user."""
        ...


@dataclass(slots=True)
class _Course:
    """What became of a render so far."""

    work: Work
    attempts: int = 0
    deaths: int = 0
    losses: int = 0
    not_before: float = 0.0
    begun: float = 0.0
    share: float = 0.0


@dataclass(slots=True)
class _Tally:
    """What a worker did so far."""

    renders: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    losses: int = 0

    def share(self) -> WorkerShare:
        return WorkerShare(self.renders, round(self.seconds, 3), round(self.video_seconds, 3), self.losses)


@dataclass(slots=True)
class _State:
    """Of a driver while it runs."""

    courses: dict[str, _Course]
    idle: list[str] = field(default_factory=list)
    running: dict[str, _Course] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    delayed: list[_Course] = field(default_factory=list)
    tallies: dict[str, _Tally] = field(default_factory=dict)


class Driver:
    """Drives the renders of a batch to their ends, each once.

    Args:
        works: What to do.
        executor: What does it.
        ledger: What is done; this process holds it.
        staging: Where renders are made.
        policy: What is tried again.
        watcher: Who is told.
        cancel: Stops it.
        deaths: Over how many of its workers' deaths a render was before, by key.
        reports: Whether a report is written beside each output.
        clock: Time and chance.
    """

    def __init__(
        self,
        works: Sequence[Work],
        executor: Executor,
        ledger: Ledger,
        staging: Staging,
        policy: RetryPolicy,
        watcher: Watcher,
        cancel: CancelToken,
        *,
        deaths: Mapping[str, int],
        reports: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._executor, self._ledger, self._staging = executor, ledger, staging
        self._policy, self._watcher, self._cancel = policy, watcher, cancel
        self._reports = reports
        self._clock = clock or Clock()
        self._queue = WorkQueue(works)
        self._state = _State({work.key: _Course(work, deaths=deaths.get(work.key, 0)) for work in works})
        self._results: dict[str, RowResult] = {}
        self._ended = 0
        self._began = self._clock.now()

    @property
    def results(self) -> dict[str, RowResult]:
        """How rows ended, by their outputs."""
        return self._results

    @property
    def tallies(self) -> dict[str, WorkerShare]:
        """What each worker did."""
        return {name: tally.share() for name, tally in sorted(self._state.tallies.items())}

    def run(self) -> bool:
        """Do all of it.

        Returns:
            Whether it came to its end; else it was stopped.

        Raises:
            BackendError: No worker is left.
            LedgerError: Another driver has taken over.
        """
        state = self._state
        while len(self._queue) or state.delayed or state.running:
            if self._cancel.cancelled:
                self._drain()
                return False
            self._bring_back()
            self._assign()
            self._check_workers()
            self._watcher.standing(self.standing())
            for event in self._executor.events(self._patience()):
                self._take(event)
        self._watcher.standing(self.standing())
        return True

    def standing(self) -> Standing:
        """Return how far it is."""
        running = {name: (course.work.first.name, course.share) for name, course in self._state.running.items()}
        whole = len(self._state.courses)
        come, seconds = self._ended + sum(share for _, share in running.values()), self._clock.now() - self._began
        left = seconds * (whole - come) / come if come > 0 else None
        return Standing(whole, self._ended, running, seconds, left)

    def _patience(self) -> float:
        """Return for how long to wait for events, in seconds."""
        due = min((course.not_before for course in self._state.delayed), default=self._clock.now() + _LOOK_SECONDS)
        return min(_LOOK_SECONDS, max(0.0, due - self._clock.now()))

    def _bring_back(self) -> None:
        """Let what has waited long enough come again."""
        now = self._clock.now()
        due = [course for course in self._state.delayed if course.not_before <= now]
        for course in due:
            self._state.delayed.remove(course)
            self._queue.put_back(course.work)

    def _assign(self) -> None:
        """Give every worker that is free something to do."""
        while self._state.idle and (work := self._queue.take(self._state.idle[0])) is not None:
            self._begin(self._state.idle.pop(0), self._state.courses[work.key])

    def _check_workers(self) -> None:
        """Make sure that somebody is left to do what is to be done.

        Raises:
            BackendError: Nobody is.
        """
        state = self._state
        if len(state.gone) >= self._executor.workers and not state.running and not state.idle:
            raise BackendError("no worker is left: each ended before it had begun", "see what they said above")

    def _begin(self, worker: str, course: _Course) -> None:
        work = course.work
        course.attempts += 1
        course.begun, course.share = self._clock.now(), 0.0
        try:
            place = self._staging.place(work)
            self._ledger.put(self._entries(course, "running", worker=worker))
        except OutputError as error:
            self._state.idle.append(worker)
            self._fail(course, worker, error.kind, str(error))
            return
        self._state.running[worker] = course
        task_id = f"{work.key}-{course.attempts + course.losses}"
        first = work.first
        task = RenderTask(task_id, first.source, first.voice, place, self._staging.settings(work))
        self._executor.start(worker, task)

    def _take(self, event: Event) -> None:
        """Take note of what has happened."""
        if isinstance(event, Ready):
            self._state.gone.discard(event.worker)
            self._state.idle.append(event.worker)
        elif isinstance(event, Lost):
            self._lose(event)
        else:
            course = self._state.running.get(event.worker)
            if course is None or not event.task.startswith(course.work.key):
                return  # of a task that was given up
            if isinstance(event, Advanced):
                course.share = event.share
                return
            del self._state.running[event.worker]
            if isinstance(event, Done):
                self._finish(course, event.worker, event.result)
            else:
                self._fail(course, event.worker, event.kind, event.said)

    def _lose(self, event: Lost) -> None:
        state = self._state
        self._tally(event.worker).losses += 1
        self._queue.forget(event.worker)
        if event.worker in state.idle:
            state.idle.remove(event.worker)
        if not event.replaced:
            state.gone.add(event.worker)
        course = state.running.pop(event.worker, None)
        if course is None:
            return
        said = f"its worker ended ({event.said})"
        if event.blamed:
            course.deaths += 1
            self._fail(course, event.worker, LOST, said)
        elif course.losses < self._policy.losses:
            course.losses += 1
            course.attempts -= 1
            self._delay(course, said)
        else:
            self._give_up(course, event.worker, LOST, f"{said}, {counted(course.losses, 'time')} before, too")

    def _fail(self, course: _Course, worker: str, kind: str, said: str) -> None:
        """Try again what may pass, and give up what will not."""
        if course.deaths >= self._policy.deaths:
            told = f"{said}, {counted(course.deaths, 'time')}: it is set aside; render it alone to see why"
            self._give_up(course, worker, kind, told, "set_aside")
        elif self._policy.again(kind, course.attempts):
            self._delay(course, said)
        else:
            tries = f" (after {counted(course.attempts, 'attempt')})" if course.attempts > 1 else ""
            self._give_up(course, worker, kind, f"{said}{tries}")

    def _delay(self, course: _Course, said: str) -> None:
        wait = self._policy.wait(course.attempts, self._clock.draw)
        course.not_before, course.share = self._clock.now() + wait, 0.0
        self._state.delayed.append(course)
        self._ledger.put(self._entries(course, "waiting"))
        self._watcher.note(f"{course.work.first.name}: {said}; it is tried again")

    def _give_up(self, course: _Course, worker: str, kind: str, said: str, state: RowState = "failed") -> None:
        seconds = self._clock.now() - course.begun
        self._tally(worker).seconds += seconds
        about = {"worker": worker, "error": said, "error_kind": kind, "seconds": round(seconds, 3)}
        entries = self._entries(course, "set_aside" if state == "set_aside" else "failed", **about)
        self._ledger.put(entries)
        if not self._policy.again(kind, 0):
            self._staging.clear(course.work)  # what may pass can go on from there
        self._ended += 1
        for row in course.work.rows:
            self._end(RowResult.of(row, state, key=course.work.key, attempts=course.attempts, **about))

    def _finish(self, course: _Course, worker: str, report: RenderReport) -> None:
        """Give what was made its names, and write down that it is done."""
        work, tally = course.work, self._tally(worker)
        seconds = self._clock.now() - course.begun
        try:
            results = self._publish(course, worker, report.chosen(course.work.choice), seconds)
        except OutputError as error:
            self._fail(course, worker, error.kind, str(error))
            return
        tally.renders += 1
        tally.seconds += seconds
        tally.video_seconds += report.video_seconds
        self._staging.clear(work)
        self._ended += 1
        for result in results:
            self._end(result)

    def _publish(self, course: _Course, worker: str, report: RenderReport, seconds: float) -> list[RowResult]:
        """Return the results of the rows whose files are there now.

        Raises:
            OutputError: One of them cannot be written.
            LedgerError: Another driver has taken over; nothing was written.
        """
        work, made = course.work, self._staging.place(course.work)
        try:
            size, digest = made.stat().st_size, read_digest(made, noop)
        except OSError as error:
            raise write_error(error)(f"what was made cannot be read ({error.strerror})", "try again") from error
        self._ledger.check_held()
        about: dict[str, Any] = {
            "key": work.key,
            "attempts": course.attempts,
            "seconds": round(seconds, 3),
            "worker": worker,
            "size": size,
            "digest": digest,
            "facts": facts_of(report),
        }
        for row in (*work.rows[1:], work.first):
            publish(made, row.output, move=row is work.first)
        results = []
        for row in work.rows:
            state: RowState = "done" if row is work.first else "duplicate"
            result = RowResult.of(row, state, **about, report=replace(report, output=str(row.output)))
            if self._reports:
                save_row(result, row, self._ledger)
            results.append(result)
        self._ledger.put(entry_of(result, row, self._ledger) for result, row in zip(results, work.rows, strict=True))
        return results

    def _drain(self) -> None:
        """End what runs, and leave it to who goes on."""
        self._executor.cancel()
        ends = self._clock.now() + _ENDING_SECONDS
        while self._state.running and self._clock.now() < ends:
            for event in self._executor.events(_LOOK_SECONDS):
                course = self._state.running.get(getattr(event, "worker", ""))
                if isinstance(event, Done) and course is not None and event.task.startswith(course.work.key):
                    self._take(event)  # it was ready by then
                elif isinstance(event, Failed | Lost) and course is not None:
                    del self._state.running[event.worker]
                    self._stop(course)
        for course in self._state.running.values():
            self._stop(course)
        self._state.running.clear()

    def _stop(self, course: _Course) -> None:
        course.attempts -= 1  # it was no failure
        self._ledger.put(self._entries(course, "waiting"))

    def _entries(self, course: _Course, state: str, **about: Any) -> list[Entry]:  # noqa: ANN401 - any attribute
        counts = {"attempts": course.attempts, "deaths": course.deaths}
        return [
            Entry(self._ledger.name_of(row.output), course.work.key, state, **counts, **about)  # type: ignore[arg-type]
            for row in course.work.rows
        ]

    def _end(self, result: RowResult) -> None:
        self._results[result.output] = result
        self._watcher.row(result)

    def _tally(self, worker: str) -> _Tally:
        return self._state.tallies.setdefault(worker, _Tally())


def save_row(result: RowResult, row: Row, ledger: Ledger) -> None:
    """Write the report of a row beside its output.

    Raises:
        OutputError: It cannot be written.
    """
    save_json({**result.to_dict(), "output": ledger.name_of(row.output)}, report_beside(row.output))


def entry_of(result: RowResult, row: Row, ledger: Ledger) -> Entry:
    """Return what a ledger keeps of a row whose file is there."""
    return Entry(
        ledger.name_of(row.output),
        result.key,
        "done",
        attempts=result.attempts,
        size=result.size,
        digest=result.digest,
        seconds=result.seconds,
        worker=result.worker,
        facts=json.dumps(dict(result.facts)),
    )
