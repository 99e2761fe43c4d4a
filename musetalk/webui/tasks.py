"""Work under way for open pages: of each page the newest piece, and what was last shown there.

It runs in a thread of its own, like a job, and is watched. So nothing that it takes holds up the page, and the next
press ends it, as does closing the page. What waits for its turn on a device holds up none that needs none.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Condition
from typing import Generic, Literal, TypeAlias, TypeVar

from musetalk.errors import Cancelled, MuseTalkError
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, Stage
from musetalk.utils.lru_cache import LRUCache

State: TypeAlias = Literal["waiting", "running", "done", "failed", "stopped"]
_AT_ONCE = 2  # pieces that are worked on at the same time, everybody's together
_THREADS = 64  # of those, and of those that wait
_log = logging.getLogger(__name__)
Wish = TypeVar("Wish")
Found = TypeVar("Found")


class Task(Generic[Wish, Found]):
    """One piece of work. Written to by `Tasks` alone; may be read from any thread.

    Attributes:
        wish: What it is of.
        state: How far it is.
        stage: What it is at; None: nothing yet.
        share: How much of that is done, 0 to 1; None while its length is unknown.
        before: How many others have their turn on the device before it; 0: it does not wait for one.
        found: What came of it; None until it is done.
        error: Why it failed; None: it did not.
    """

    def __init__(self, wish: Wish, now: Callable[[], float]) -> None:
        self.wish = wish
        self.state: State = "waiting"
        self.stage: Stage | None = None
        self.share: float | None = None
        self.before = 0
        self.found: Found | None = None
        self.error: MuseTalkError | None = None
        self._now = now
        self._began = now()
        self._seconds: float | None = None
        self._first = 0.0

    @property
    def active(self) -> bool:
        """Whether it is under way still."""
        return self.state in ("waiting", "running")

    @property
    def seconds(self) -> float:
        """How long it has been under way, or was."""
        return self._now() - self._began if self._seconds is None else self._seconds

    def note(self, event: ProgressEvent) -> None:
        """Take note of an event of its work."""
        come = event.done + event.part
        if event.stage != self.stage:
            self.stage, self._first = event.stage, float(event.done)
        span = event.total - self._first
        self.before = event.before
        self.share = min(max((come - self._first) / span, 0.0), 1.0) if span > 0 else None

    def end(self, state: State, found: Found | None = None, error: MuseTalkError | None = None) -> None:
        """It is over; what it found or why it failed is there before anybody can see that."""
        self.found, self.error, self._seconds = found, error, self.seconds
        self.state = state


class Tasks(Generic[Wish, Found]):
    """Works on a few pieces at a time; each page has one at most. Safe to share between threads.

    Args:
        called: What a piece is, for the log.
        at_once: How many at a time; those that wait for a device do not count.
        keep: How many pages' last piece is kept.
        now: A clock, in seconds.
    """

    def __init__(
        self, called: str, at_once: int = _AT_ONCE, keep: int = 16, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._called = called
        self._now = now
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(_THREADS, called)
        self._lock = Condition()
        self._at_work: set[Task[Wish, Found]] = set()
        self._under_way: dict[str, tuple[Task[Wish, Found], CancelToken, Future[None]]] = {}
        self._kept: LRUCache[str, Task[Wish, Found]] = LRUCache(keep)
        self._shown: LRUCache[str, Task[Wish, Found]] = LRUCache(keep)

    def start(
        self, visit: str, wish: Wish, work: Callable[[ProgressCallback, CancelToken], Found]
    ) -> Task[Wish, Found]:
        """Begin a piece of work, and end the one before it on the same page; if that is of the same, it goes on.

        Args:
            visit: Which page.
            wish: What it is of.
            work: What makes it; it is called in the context of whoever calls this, in another thread.
        """
        task, cancel, context = Task[Wish, Found](wish, self._now), CancelToken(), contextvars.copy_context()
        with self._lock:
            under_way = self._under_way.get(visit)
            if under_way is not None and under_way[0].wish == wish:
                return under_way[0]
            self._end(visit)
            future = self._pool.submit(context.run, self._make, visit, task, work, cancel)
            self._under_way[visit] = (task, cancel, future)
        return task

    def newest(self, visit: str) -> Task[Wish, Found] | None:
        """Return the newest piece of work of a page; None: there is none, or it was long ago."""
        with self._lock:
            under_way = self._under_way.get(visit)
        return under_way[0] if under_way else self._kept.get(visit)

    def shown(self, visit: str) -> Task[Wish, Found] | None:
        """Return the last piece of work of a page that came to its end; None: there is none, or it was long ago."""
        return self._shown.get(visit)

    def place(self, task: Task[Wish, Found]) -> int:
        """Return how many others are before it."""
        with self._lock:
            order = [other for other, _, _ in self._under_way.values() if other.state == "waiting"]
        return order.index(task) if task in order else 0

    def wait(self, task: Task[Wish, Found]) -> None:
        """Wait until a piece of work has ended, however it does."""
        with self._lock:
            self._lock.wait_for(lambda: not task.active)

    def stop(self, visit: str, seconds: float = 0.0) -> bool:
        """End what is under way on a page, and give it some seconds to; whether there was anything."""
        with self._lock:
            future = self._end(visit)
        if future is not None:
            wait([future], seconds)
        return future is not None

    def forget(self, visit: str) -> None:
        """Cancel a page's work, and forget what was shown there."""
        self.stop(visit)
        self._kept.drop(visit)
        self._shown.drop(visit)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for visit in list(self._under_way):
                self._end(visit)
        self._pool.shutdown(cancel_futures=True)

    def _end(self, visit: str) -> Future[None] | None:
        task, cancel, future = self._under_way.pop(visit, (None, None, None))
        if task is None or cancel is None:
            return None
        cancel.cancel()
        task.end("stopped")
        self._kept.keep(visit, task)
        self._lock.notify_all()
        return future

    def _make(
        self,
        visit: str,
        task: Task[Wish, Found],
        work: Callable[[ProgressCallback, CancelToken], Found],
        cancel: CancelToken,
    ) -> None:
        with self._lock:
            self._lock.wait_for(lambda: cancel.cancelled or self._is_next(task))
            if cancel.cancelled:
                return
            task.state = "running"
            self._at_work.add(task)
            self._lock.notify_all()
        found, error = None, None
        try:
            found = work(partial(self._note, task), cancel)
        except Cancelled:
            return
        except MuseTalkError as failure:
            error = failure
        except Exception:  # noqa: BLE001 - whatever a backend throws, the page is told and the log says what happened
            _log.exception("a %s failed", self._called)
            error = MuseTalkError("an error that we did not foresee", "please report it, with the server's log")
        finally:
            self._rest(task)
        with self._lock:
            if cancel.cancelled:
                return
            del self._under_way[visit]
            task.end("done" if error is None else "failed", found, error)
            self._kept.keep(visit, task)
            if error is None:
                self._shown.keep(visit, task)
            self._lock.notify_all()

    def _is_next(self, task: Task[Wish, Found]) -> bool:
        """Return whether there is room for one more, and none waits that came before."""
        waiting = (other for other, _, _ in self._under_way.values() if other.state == "waiting")
        return len(self._at_work) < self._at_once and next(waiting, None) is task

    def _note(self, task: Task[Wish, Found], event: ProgressEvent) -> None:
        """Take note of an event; while one waits for a device, others are worked on."""
        task.note(event)
        if event.before:
            self._rest(task)
        elif task not in self._at_work:
            with self._lock:
                self._at_work.add(task)

    def _rest(self, task: Task[Wish, Found]) -> None:
        with self._lock:
            self._at_work.discard(task)
            self._lock.notify_all()
