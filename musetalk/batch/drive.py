"""The driver of a batch: gives renders to workers, tries again what may pass, and writes down what is done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musetalk.batch.course import Course, Cutting, Running, Step, Tally
from musetalk.batch.executor import Advanced, Done, Event, Executor, Failed, Lost, Notice, Parts, Ready
from musetalk.batch.intake import Intake
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.outcome import RowResult, RowState, WorkerShare
from musetalk.batch.publish import Staging, publish_rows
from musetalk.batch.retries import LOST, RetryPolicy, Tries
from musetalk.batch.rows import Row
from musetalk.batch.silence import STALL_SECONDS, listened, no_sign_of_life
from musetalk.batch.step_queue import StepQueue
from musetalk.batch.watch import Clock, Doing, Standing, Watcher
from musetalk.batch.works import Work
from musetalk.errors import BackendError, Cancelled, MediaError, OutputError, StorageError
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken
from musetalk.utils.units import counted

_LOOK_SECONDS = 0.25  # between two looks at whether to stop
_HUNGRY_SECONDS = 0.02  # the same, where a worker waits for rows to become known
# At first only rows are read: workers take longer than that to start, and who knows more of them chooses better.
_HEAD_START_SECONDS = 1.0
_ENDING_SECONDS = 15.0  # that workers are given to end what they do


@dataclass(frozen=True, slots=True)
class Rules:
    """How a driver goes about it.

    Attributes:
        retries: What is tried again.
        cutting: Which renders are cut.
        stall_seconds: For how long a worker may give no sign of life of its task until it is ended; 0: for ever. A
            limit on silence, not on work: whatever a render tells of any stage is a sign.
        reports: Whether a report is written beside each output.
        clock: Time and chance.
    """

    retries: RetryPolicy = field(default_factory=RetryPolicy)
    cutting: Cutting = field(default_factory=Cutting)
    stall_seconds: float = STALL_SECONDS
    reports: bool = True
    clock: Clock = field(default_factory=Clock)


class Driver:
    """Drives the renders of a batch to their ends, each once.

    Args:
        intake: Says what to do, as far as it is known.
        executor: What does it.
        ledger: What is done; this process holds it.
        staging: Where renders are made.
        rules: How it goes about it.
        watcher: Who is told.
        cancel: Stops it.
    """

    def __init__(
        self,
        intake: Intake,
        executor: Executor,
        ledger: Ledger,
        staging: Staging,
        rules: Rules,
        watcher: Watcher,
        cancel: CancelToken,
    ) -> None:
        self._intake, self._executor, self._ledger, self._staging = intake, executor, ledger, staging
        self._rules, self._policy, self._clock = rules, rules.retries, rules.clock
        self._watcher, self._cancel = watcher, cancel
        self._courses: dict[str, Course] = {}
        self._queue = StepQueue()
        self._delayed: list[tuple[float, Step]] = []
        self._idle: list[str] = []
        self._running: dict[str, Running] = {}
        self._ending = set[str]()  # workers that were told to end, until they are lost
        self._machines: dict[str, str] = {}  # of workers, where these differ
        self._gone: dict[str, str] = {}  # workers that do not come again, and why
        self._tallies: dict[str, Tally] = {}
        self._results: dict[str, RowResult] = {}
        self._begun = self._ended = 0
        self._told = float("-inf")
        self._start = self._listened = self._clock.now()

    @property
    def results(self) -> dict[str, RowResult]:
        """How rows ended, by their outputs."""
        return self._results

    @property
    def tallies(self) -> dict[str, WorkerShare]:
        """What each worker did."""
        return {name: tally.share() for name, tally in sorted(self._tallies.items())}

    def run(self) -> bool:
        """Do all of it.

        Returns:
            Whether it came to its end; else it was stopped.

        Raises:
            BackendError: No worker is left.
            LedgerError: Another driver has taken over.
            StorageError: A store cannot be reached, or does not take results.
        """
        while self._intake.unread or self._busy:
            if self._cancel.cancelled:
                self._drain()
                return False
            self._receive()
            self._bring_back()
            self._assign()
            self._tell_standing()
            if self._busy:
                self._check_workers()
                for event in self._executor.events(self._patience()):
                    self._take(event)
                self._check_silence()
        self._watcher.standing(self.standing())
        return True

    def _tell_standing(self) -> None:
        """Tell how far it is, now and then: of many workers something happens all the time."""
        if self._clock.now() >= self._told + _LOOK_SECONDS:
            self._told = self._clock.now()
            self._watcher.standing(self.standing())

    def standing(self) -> Standing:
        """Return how far it is."""
        running, cut, come = {}, dict[str, Course](), float(self._ended)
        for name, each in self._running.items():
            work = each.course.work
            running[name] = Doing(work.rows[0].name, each.share, each.silent)
            if each.course.pieces:
                cut[work.key] = each.course
            else:
                come += each.share
        come += sum(course.share for course in cut.values())
        whole, seconds = len(self._courses) + self._intake.unread, self._clock.now() - self._start
        left = seconds * (whole - come) / come if come > 0 else None
        return Standing(whole, self._ended, running, seconds, left)

    @property
    def _busy(self) -> bool:
        """Whether something is to be done, or is being done."""
        return bool(len(self._queue) or self._delayed or self._running)

    def _receive(self) -> None:
        """Take in the rows that are known by now; at first, and where nothing else is to be done, wait for some."""
        waits = True
        while self._intake.unread and waits and not self._cancel.cancelled:
            waits = not self._busy or self._clock.now() < self._start + _HEAD_START_SECONDS
            with suppress(Cancelled):
                for work in self._intake.take(_LOOK_SECONDS if waits else 0.0):
                    if not self._courses:
                        self._policy.ask(self._staging.check_store, self._cancel.check, self._clock)
                    self._add(work)

    def _add(self, work: Work) -> None:
        """Let a row have its render, which may have begun, or ended, for others."""
        course = self._courses.get(work.key)
        if course is None:
            self._courses[work.key] = Course(work, Tries(deaths=self._intake.deaths.get(work.key, 0)))
            self._queue.put(Step(work, look=self._rules.cutting.wanted(work, self._executor.workers)))
            return
        course.join(work)
        if course.given_up is not None:
            self._end_given_up(course, work.rows)

    def _patience(self) -> float:
        """Return for how long to wait for events, in seconds."""
        now = self._clock.now()
        due = min((due for due, _ in self._delayed), default=now + _LOOK_SECONDS)
        hungry = self._idle and self._intake.unread and not len(self._queue)
        return min(_HUNGRY_SECONDS if hungry else _LOOK_SECONDS, max(0.0, due - now))

    def _bring_back(self) -> None:
        """Let what has waited long enough come again."""
        now = self._clock.now()
        self._queue.put_back(step for due, step in self._delayed if due <= now)
        self._delayed = [(due, step) for due, step in self._delayed if due > now]

    def _assign(self) -> None:
        """Give every worker that is free something to do."""
        while self._idle and (match := self._match()) is not None:
            worker, step = match
            self._idle.remove(worker)
            self._begin(worker, step)

    def _match(self) -> tuple[str, Step] | None:
        """Return who is free and what it is to do: what failed before, elsewhere, as far as there is anybody else."""
        for avoided in (self._worker_and_machine, lambda worker: {worker}, lambda _worker: set[str]()):
            for worker in self._idle if len(self._queue) else ():
                step = self._queue.take(worker, avoided(worker))
                if step is not None:
                    return worker, step
        return None

    def _worker_and_machine(self, worker: str) -> set[str]:
        return {worker, self._machines.get(worker) or worker}

    def _check_workers(self) -> None:
        """Make sure that somebody is left to do what is to be done.

        Raises:
            BackendError: Nobody is.
        """
        if len(self._gone) >= self._executor.workers and not self._running and not self._idle:
            said = next(reversed(self._gone.values()), "there never was one")
            raise BackendError(f"no worker is left ({said})", "see to that; --resume goes on")

    def _check_silence(self) -> None:
        """Count for how long workers have given no sign of life of their task, and end those where that is too long."""
        now, most = self._clock.now(), self._rules.stall_seconds
        passed = now - self._listened
        if passed < _LOOK_SECONDS:
            return
        self._listened = now
        for worker, running in self._running.items():
            running.silent += listened(passed)
            self._tally(worker).heed(running.silent)
            if most and running.silent > most and worker not in self._ending:
                self._ending.add(worker)
                self._executor.end(worker, no_sign_of_life(running.silent))

    def _begin(self, worker: str, step: Step) -> None:
        course = self._courses[step.work.key]
        task_id = f"{step.work.key}-{self._begun + 1}"
        try:
            task = step.task(task_id, self._staging)
        except OutputError as error:
            self._idle.append(worker)
            self._fail(course, step, worker, error.kind, str(error))
            return
        self._begun += 1
        self._running[worker] = Running(step, course, task_id, self._clock.now())
        course.running += 1
        self._executor.start(worker, task)

    def _take(self, event: Event) -> None:
        """Take note of what has happened."""
        if isinstance(event, Notice):
            self._watcher.note(event.said)
        elif isinstance(event, Lost):
            self._ending.discard(event.worker)
            self._lose(event)
        elif isinstance(event, Done):
            if (running := self._ended_of(event.worker, event.task)) is not None:
                self._go_on(running.course, running.step, event.worker, event.result)
        elif event.worker in self._ending:
            return  # what it says on its way out counts for nothing
        elif isinstance(event, Ready):
            self._gone.pop(event.worker, None)
            self._machines[event.worker] = event.machine
            self._idle.append(event.worker)
        elif isinstance(event, Advanced):
            running = self._running.get(event.worker)
            if running is not None and running.task == event.task:
                running.share, running.silent = event.share, 0.0
        elif (running := self._fails(event)) is not None:
            self._fail(running.course, running.step, event.worker, event.kind, event.said)

    def _ended_of(self, worker: str, task: str) -> Running | None:
        """Return what a worker did until now, and count it; None: it does something else by now, or nobody cares."""
        running = self._running.get(worker)
        if running is None or task not in ("", running.task):
            return None
        del self._running[worker]
        running.course.running -= 1
        seconds = self._clock.now() - running.begun
        running.course.seconds += seconds
        self._tally(worker).seconds += seconds
        if running.course.given_up is not None:
            self._tidy(running.course)
            return None
        return running

    def _fails(self, event: Failed | Lost) -> Running | None:
        """Return what failed; None: nothing that counts. While a batch is stopped, nothing does: all is ended."""
        running = self._ended_of(event.worker, event.task)
        return None if self._cancel.cancelled else running

    def _tidy(self, course: Course) -> None:
        """Remove what was made of a render that was given up, once nobody is at it any more."""
        if not course.running and not course.kept:
            self._staging.clear(course.work)

    def _go_on(self, course: Course, step: Step, worker: str, result: RenderReport | Parts) -> None:
        """Take the next steps of a render, or give it its names."""
        if isinstance(result, RenderReport):
            self._finish(course, step, worker, result)
        elif step.numbers is None:
            pieces = self._rules.cutting.pieces_of(result, self._executor.workers)
            self._queue.put_back(course.cut(pieces, look_first=self._all_see_faces(course.work)))
        else:
            self._tally(worker).pieces += bool(step.numbers)
            self._queue.put_back(course.made(step.numbers, worker))

    def _all_see_faces(self, work: Work) -> bool:
        """Whether what one worker finds of faces is kept where all others look: in a folder of the user's, or here."""
        settings = self._staging.settings(work)
        one_machine = len(set(self._machines.values())) == 1
        return settings.folders.coords_in(Path()) is not None or (settings.reuse_findings and one_machine)

    def _lose(self, event: Lost) -> None:
        self._tally(event.worker).losses += 1
        self._queue.forget(event.worker)
        if event.worker in self._idle:
            self._idle.remove(event.worker)
        if not event.replaced and not self._cancel.cancelled:
            self._gone[event.worker] = event.said
            self._watcher.note(f"{event.worker} is gone: {event.said}")
        running = self._fails(event)
        if running is None:
            return
        course, said = running.course, f"its worker ended ({event.said})"
        again = course.tries.lost(self._policy, blamed=event.blamed)
        if not again and not event.blamed:
            said = f"{said}, {counted(course.tries.losses, 'time')} before, too"
        self._try_again(again, course, running.step, event.worker, LOST, said)

    def _fail(self, course: Course, step: Step, worker: str, kind: str, said: str) -> None:
        """Try again what may pass, and give up what will not."""
        self._try_again(course.tries.failed(kind, self._policy), course, step, worker, kind, said)

    def _try_again(self, again: int, course: Course, step: Step, worker: str, kind: str, said: str) -> None:
        """Let what failed be tried again, as `Tries` says, or give it up."""
        tries = course.tries
        if again:
            self._delay(course, step, worker, again, said)
        elif tries.deaths >= self._policy.deaths:
            told = f"{said}, {counted(tries.deaths, 'time')}: it is set aside; render it alone to see why"
            self._give_up(course, worker, kind, told, "set_aside")
        else:
            after = f" (after {counted(tries.attempts, 'attempt')})" if tries.attempts > 1 else ""
            self._give_up(course, worker, kind, f"{said}{after}")

    def _delay(self, course: Course, step: Step, worker: str, attempts: int, said: str) -> None:
        due = self._clock.now() + self._policy.wait(attempts, self._clock.draw)
        avoid = step.avoid | self._worker_and_machine(worker)
        self._delayed.append((due, replace(step, avoid=avoid)))
        self._ledger.put(self._entries(course, course.work.rows, "waiting"))
        self._watcher.note(f"{course.work.first.name}: {said}; it is tried again")

    def _give_up(self, course: Course, worker: str, kind: str, said: str, state: RowState = "failed") -> None:
        course.kept = self._policy.again(kind, 0)  # what may pass can go on from there
        self._queue.drop(course.work)
        self._delayed = [(due, step) for due, step in self._delayed if step.work.key != course.work.key]
        about = {"worker": worker, "error": said, "error_kind": kind, "seconds": round(course.seconds, 3)}
        course.given_up = state, about
        self._end_given_up(course, course.work.rows)
        self._tidy(course)
        self._ended += 1

    def _end_given_up(self, course: Course, rows: Sequence[Row]) -> None:
        """Let rows end as their render has, which was given up."""
        assert course.given_up is not None  # noqa: S101 - asked for
        state, about = course.given_up
        self._ledger.put(self._entries(course, rows, state, **about))
        for row in rows:
            self._end(RowResult.of(row, state, key=course.work.key, attempts=course.tries.attempts, **about))

    def _finish(self, course: Course, step: Step, worker: str, report: RenderReport) -> None:
        """Give what was made its names, and write down that it is done."""
        work = course.work
        about = {"attempts": course.tries.attempts, "seconds": round(course.seconds, 3), "worker": worker}
        try:
            told = report.chosen(work.choice)
            results = publish_rows(work, self._staging, self._ledger, told, about, reports=self._rules.reports)
        except (MediaError, OutputError, StorageError) as error:
            self._fail(course, step, worker, error.kind, str(error))
            return
        self._tally(worker).renders += 1
        for name, seconds in course.video_seconds(report.video_seconds, worker).items():
            self._tally(name).video_seconds += seconds
        self._staging.clear(work)
        self._ended += 1
        self._intake.keep(work.first.output, results[0])
        for result in results:
            self._end(result)

    def _drain(self) -> None:
        """End what runs, and leave it to who goes on."""
        for worker, running in self._running.items():
            self._executor.cancel(worker, running.task)
        ends = self._clock.now() + _ENDING_SECONDS
        while self._running and self._clock.now() < ends:
            for event in self._executor.events(_LOOK_SECONDS):
                self._take(event)  # some may be done by then

    def _entries(self, course: Course, rows: Sequence[Row], state: str, **about: Any) -> list[Entry]:  # noqa: ANN401
        counts = {"attempts": course.tries.failures, "deaths": course.tries.deaths}
        return [
            Entry(self._ledger.name_of(row.output), course.work.key, state, **counts, **about)  # type: ignore[arg-type]
            for row in rows
        ]

    def _end(self, result: RowResult) -> None:
        self._results[result.output] = result
        self._watcher.row(result)

    def _tally(self, worker: str) -> Tally:
        return self._tallies.setdefault(worker, Tally())
