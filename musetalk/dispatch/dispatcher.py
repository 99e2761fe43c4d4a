"""Gives the tasks of many callers to workers, and each caller what became of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeAlias

from musetalk.batch.executor import Advanced, Done, Event, Executor, Failed, Lost, Notice, Ready, Task
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.silence import STALL_SECONDS, listened, no_sign_of_life, silence_of
from musetalk.batch.watch import Clock
from musetalk.dispatch.tries import TaskTries
from musetalk.errors import WorkerError
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.utils.job_log import LoggedJob, logged_as_of
from musetalk.utils.units import roughly

_LOOK_SECONDS = 0.1  # between two looks at whether to stop
WAITING = "waiting for a worker"
_Told: TypeAlias = Advanced | Done | Failed | Lost
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How workers are dealt with.

    Attributes:
        retries: What is tried again.
        stall_seconds: For how long a worker may give no sign of life of its task until it is ended.
        ending_seconds: For how long one may go on that was asked to end its task; then it is ended itself.
        clock: Time and chance.
    """

    retries: RetryPolicy = field(default_factory=RetryPolicy)
    stall_seconds: float = STALL_SECONDS
    ending_seconds: float = 10.0
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """How many workers there are.

    Attributes:
        idle: That have nothing to do.
        busy: That do something.
        lost: That have died, or gone away, so far.
    """

    idle: int = 0
    busy: int = 0
    lost: int = 0

    @property
    def there(self) -> int:
        """Those that are there."""
        return self.idle + self.busy


@dataclass(frozen=True, slots=True)
class _Call:
    """Somebody who waits for a task.

    Attributes:
        logged: For which job.
        told: What is told of the task.
    """

    logged: LoggedJob
    told: queue.SimpleQueue[_Told] = field(default_factory=queue.SimpleQueue)


class Dispatcher:
    """Does tasks by workers, of which there are none at first. Safe between threads.

    Args:
        rules: How they are dealt with; None: as usual.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        self._executor: Executor | None = None
        self._rules = rules or Rules()
        self._clock = self._rules.clock
        self._numbers = count(1)
        self._changed = threading.Condition()
        self._idle: dict[str, None] = {}  # as a set that keeps its order
        self._busy: dict[str, str] = {}  # tasks by worker
        self._machines: dict[str, str] = {}
        self._gone: dict[str, str] = {}  # workers that do not come again, and why
        self._lost = 0
        self._calls: dict[str, _Call] = {}  # by task
        self._watchers: list[Callable[[], None]] = []
        self._closing = threading.Event()

    @contextmanager
    def using(self, executor: Executor) -> Iterator[None]:
        """Have the workers of an executor while the `with` block runs, once; it is nobody else's, and is not closed."""
        self._executor = executor
        thread = threading.Thread(target=self._listen, args=(executor,), name="dispatch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()

    @property
    def counts(self) -> WorkerCounts:
        """How many workers there are."""
        with self._changed:
            return WorkerCounts(len(self._idle), len(self._busy), self._lost)

    @property
    def jobs(self) -> int:
        """How many tasks can be done at once."""
        return self.counts.there

    def on_change(self, told: Callable[[], None]) -> None:
        """Let a function be called, from a thread of this one's, whenever workers came or went."""
        self._watchers.append(told)

    def do(self, task: Task, on_progress: ProgressCallback, cancel: CancelToken) -> Any:  # noqa: ANN401 - see `Task`
        """Let a worker do a task: another one where it dies, once more what may pass; return the task's result.

        Args:
            task: What to do; its id is made here.
            on_progress: Called from this thread, by one clock, however often it is tried.
            cancel: Ends it.

        Raises:
            MuseTalkError: It cannot be done, as the worker says.
            WorkerError: It ended its workers, or none is left.
            RuntimeError: Something failed that nobody foresaw.
        """
        tries, began = TaskTries(self._rules.retries, self._clock.draw), self._clock.now()

        def say(note: str) -> None:
            on_progress(ProgressEvent("preflight", 0, 0, self._clock.now() - began, note))

        def tell(event: ProgressEvent) -> None:
            on_progress(replace(event, seconds=event.seconds + begun - began))

        while True:
            attempt = replace(task, id=f"task-{next(self._numbers)}")
            worker = self._take_worker(attempt, tries.avoid, cancel, say)
            begun = self._clock.now()
            event = self._do_once(worker, attempt, tell, cancel)
            if isinstance(event, Done):
                return event.result
            cancel.check()
            wait = tries.lost(event) if isinstance(event, Lost) else tries.failed(event)
            tries.avoid |= self._worker_and_machine(worker)
            _log.warning("%s on %s; it is tried again", event.said, worker)
            say("what rendered this was lost, or failed: it is tried again")
            self._rest(wait, cancel)

    def _take_worker(self, task: Task, avoid: set[str], cancel: CancelToken, say: Callable[[str], None]) -> str:
        """Wait for a worker, and take it for a task.

        Raises:
            WorkerError: None is left.
        """
        told = False
        while True:
            cancel.check()
            with self._changed:
                worker = self._pick(avoid)
                if worker is not None:
                    del self._idle[worker]
                    self._busy[worker] = task.id
                    self._calls[task.id] = _Call(task.logged)
                    return worker
                self._check_workers()
                if told:
                    self._changed.wait(_LOOK_SECONDS)
            if not told:
                told = True
                say(WAITING)

    def _pick(self, avoid: set[str]) -> str | None:
        """Return who is idle, elsewhere than where it failed before, as far as there is anybody else."""
        return min(self._idle, key=lambda worker: len(avoid & self._worker_and_machine(worker)), default=None)

    def _worker_and_machine(self, worker: str) -> set[str]:
        return {worker, self._machines.get(worker) or worker}

    def _check_workers(self) -> None:
        """Make sure that somebody is there, or comes.

        Raises:
            WorkerError: Nobody does.
        """
        if self._executor is None or self._idle or self._busy:
            return
        if len(self._gone) >= self._executor.workers:
            said = next(reversed(self._gone.values()), "there never was one")
            raise WorkerError(f"no worker is left that could render this ({said})", "have the server's workers seen to")

    def _do_once(self, worker: str, task: Task, tell: ProgressCallback, cancel: CancelToken) -> Done | Failed | Lost:
        """Let a worker do a task, and return how that ended."""
        told, silence, executor = self._calls[task.id].told, _Silence(self._rules), self._executor
        assert executor is not None  # noqa: S101 - it has the worker
        try:
            executor.start(worker, task)
            while True:
                event = _taken(told)
                if isinstance(event, Done | Failed | Lost):
                    return event
                if event is not None:
                    tell(event.event)
                if cancel.cancelled and not silence.asked:
                    silence.asked = True
                    executor.cancel(worker, task.id)
                if why := silence.unbearable(heard=event is not None):
                    executor.end(worker, why)
                elif said := silence.worth_telling():
                    _log.warning("worker %s is %s", worker, said)
        except BaseException:
            executor.cancel(worker, task.id)  # nobody waits for it any more
            raise
        finally:
            with self._changed:
                del self._calls[task.id]

    def _rest(self, seconds: float, cancel: CancelToken) -> None:
        """Wait, unless the work is cancelled."""
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            cancel.check()
            self._closing.wait(min(left, _LOOK_SECONDS))

    def _listen(self, executor: Executor) -> None:
        """Take what happened until the end."""
        while not self._closing.is_set():
            changed = False
            for event in executor.events(_LOOK_SECONDS):
                with self._changed:
                    changed |= self._take(event)
                    self._changed.notify_all()
            for told in self._watchers if changed else ():
                told()

    def _take(self, event: Event) -> bool:
        """Take note of what has happened, and tell whoever waits for it; returns whether a worker came or went."""
        if isinstance(event, Notice):
            _log.warning("%s", event.said)
            return False
        if isinstance(event, Ready):
            return self._take_ready(event)
        if isinstance(event, Lost):
            return self._take_lost(event)
        if event.task in self._calls:
            self._calls[event.task].told.put(event)
        return False

    def _take_ready(self, event: Ready) -> bool:
        new = self._busy.pop(event.worker, None) is None
        if new:
            _log.info("worker %s is there", event.worker)
        self._gone.pop(event.worker, None)
        self._machines[event.worker] = event.machine
        self._idle[event.worker] = None
        return new

    def _take_lost(self, event: Lost) -> bool:
        task = self._busy.get(event.worker, "")
        if event.task not in ("", task):
            return False  # that of a task of before: another worker has its name by now
        self._lost += 1
        self._idle.pop(event.worker, None)
        self._busy.pop(event.worker, None)
        call = self._calls.get(task)
        with logged_as_of(LoggedJob() if call is None else call.logged):  # which may hold names of its files
            if event.replaced:
                _log.warning("worker %s ended (%s); another one takes its place", event.worker, event.said)
            else:
                self._gone[event.worker] = event.said
                _log.error("worker %s is gone (%s)", event.worker, event.said)
        if call is not None:
            call.told.put(event)
        return True


class _Silence:
    """For how long a worker has said nothing, or goes on that was asked to end: as long as somebody listened.

    Attributes:
        asked: Whether it was asked to end its task.
    """

    def __init__(self, rules: Rules) -> None:
        self.asked = False
        self._rules = rules
        self._looked = rules.clock.now()
        self._silent = self._asked_for = 0.0
        self._over = self._was_told = False

    def worth_telling(self) -> str:
        """Return what is to be said of its silence, once for a task; empty: nothing."""
        if self._was_told:
            return ""
        said = silence_of(self._silent)
        self._was_told = bool(said)
        return said

    def unbearable(self, *, heard: bool) -> str:
        """Return why the worker is to be ended, once; empty: it is not.

        Args:
            heard: Whether it gave a sign of life since this was last asked.
        """
        now = self._rules.clock.now()
        passed, self._looked = listened(now - self._looked), now
        self._silent = 0.0 if heard else self._silent + passed
        self._asked_for += passed if self.asked else 0.0
        why = ""
        if self._silent > self._rules.stall_seconds:
            why = no_sign_of_life(self._silent)
        elif self._asked_for > self._rules.ending_seconds:
            why = f"it went on for {roughly(self._asked_for)} after it was to stop"
        if self._over:
            return ""
        self._over = bool(why)
        return why


def _taken(told: queue.SimpleQueue[_Told]) -> _Told | None:
    try:
        return told.get(timeout=_LOOK_SECONDS)
    except queue.Empty:
        return None
