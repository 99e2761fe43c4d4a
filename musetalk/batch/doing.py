"""How a worker does one task, wherever it is: what it raises becomes an event, and its progress some, now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from musetalk.batch.executor import Advanced, Done, Engine, Event, Failed, Task
from musetalk.errors import MuseTalkError, OutOfMemoryError, one_line, write_error
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.utils.job_log import logged_as_of

UNFORESEEN = "unforeseen"
_TELL_SECONDS = 0.5
_log = logging.getLogger(__name__)


def do_task(
    worker: str,
    task: Task,
    engine: Engine,
    tell: Callable[[Event], None],
    cancel: CancelToken,
    *,
    now: Callable[[], float] = time.monotonic,
) -> bool:
    """Do a task and tell what became of it.

    Args:
        worker: Who does it.
        task: What to do.
        engine: What renders.
        tell: Takes events; called from this thread and from those that the engine reports from.
        cancel: Ends it.
        now: A clock, in seconds.

    Returns:
        Whether the worker is as good as before: after an error that nobody foresaw, a network or a device may not be.
    """
    progress = _Progress(worker, task, tell, now)
    with logged_as_of(task.logged):
        return _do(worker, task, engine, tell, cancel, progress.update)


def _do(
    worker: str,
    task: Task,
    engine: Engine,
    tell: Callable[[Event], None],
    cancel: CancelToken,
    on_progress: ProgressCallback,
) -> bool:
    try:
        result = task.run(engine, on_progress, cancel)
    except MuseTalkError as error:
        if isinstance(error, OutOfMemoryError):
            engine.release()
        tell(_failed(worker, task, error))
        return True
    except MemoryError:
        engine.release()
        tell(_failed(worker, task, OutOfMemoryError("there is not enough memory")))
        return True
    except OSError as error:
        tell(_failed(worker, task, write_error(error)(one_line(error))))
        return True
    except Exception as error:  # noqa: BLE001 - whatever a backend throws, the batch goes on
        _log.exception("task %s failed", task.id)
        tell(Failed(worker, task.id, UNFORESEEN, f"{type(error).__name__}: {one_line(error)}"))
        return False
    tell(Done(worker, task.id, result))
    return True


def _failed(worker: str, task: Task, error: MuseTalkError) -> Failed:
    """Return an error for another process: without all that it came by, and of a class that is known there, too."""
    known = next(each for each in type(error).__mro__ if each.__module__ == MuseTalkError.__module__)
    told = known.__new__(known, *error.args)
    vars(told).update(vars(error))
    return Failed(worker, task.id, error.kind, str(error), told)


class _Progress:
    """Tells how a task goes on: twice a second at most, but for what is rare and worth knowing."""

    def __init__(self, worker: str, task: Task, tell: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._worker, self._task, self._tell, self._clock = worker, task, tell, clock
        self._told = clock()
        self._last: tuple[str, int] | None = None

    def update(self, event: ProgressEvent) -> None:
        """Take an event of a render: of whichever stage, it is a sign of life."""
        if event.picture and not self._task.pictures:
            event = replace(event, picture=b"")
        now, stands = self._clock(), (event.stage, event.before)
        if not event.note and not event.picture and stands == self._last and now < self._told + _TELL_SECONDS:
            return
        self._told, self._last = now, stands
        self._tell(Advanced(self._worker, self._task.id, event))
