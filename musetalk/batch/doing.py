"""How a worker does one task, wherever it is: errors become words, progress a share, told now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from musetalk.batch.executor import Advanced, Done, Engine, Event, Failed, Task
from musetalk.errors import MuseTalkError, OutOfMemoryError, one_line, write_error
from musetalk.progress import CancelToken, ProgressEvent

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
    share = _Share(worker, task.id, tell, now)
    try:
        result = task.run(engine, share.update, cancel)
    except MuseTalkError as error:
        if isinstance(error, OutOfMemoryError):
            engine.release()
        tell(Failed(worker, task.id, error.kind, str(error)))
        return True
    except MemoryError:
        engine.release()
        tell(Failed(worker, task.id, OutOfMemoryError.kind, "there is not enough memory"))
        return True
    except OSError as error:
        tell(Failed(worker, task.id, write_error(error).kind, one_line(error)))
        return True
    except Exception as error:  # noqa: BLE001 - whatever a backend throws, the batch goes on
        _log.exception("task %s failed", task.id)
        tell(Failed(worker, task.id, UNFORESEEN, f"{type(error).__name__}: {one_line(error)}"))
        return False
    tell(Done(worker, task.id, result))
    return True


class _Share:
    """Tells, now and then, that a task goes on, and how far it is: of its frames, which take nearly all the time."""

    def __init__(self, worker: str, task: str, tell: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._worker, self._task, self._tell, self._now = worker, task, tell, now
        self._share, self._told = 0.0, now()

    def update(self, event: ProgressEvent) -> None:
        """Take an event of a render: of whichever stage, it is a sign of life."""
        if event.stage == "render" and event.total:
            self._share = min(1.0, (event.done + event.part) / event.total)
        if (now := self._now()) >= self._told + _TELL_SECONDS:
            self._told = now
            self._tell(Advanced(self._worker, self._task, self._share))
