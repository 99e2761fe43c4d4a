"""One worker in this process: a thread, with an engine that others may use, too."""

from __future__ import annotations

import queue
import threading

from musetalk.batch.doing import do_task
from musetalk.batch.events import taken
from musetalk.batch.executor import Engine, Event, Lost, Ready, Task
from musetalk.progress import CancelToken

WORKER = "here"
_PATIENCE_SECONDS = 10.0


class InProcess:
    """An `Executor` of one worker. As a context manager, it is closed at the end.

    Args:
        engine: What renders.
        patience: For how many seconds a task that is to end is waited for, until it is given up.
    """

    workers = 1

    def __init__(self, engine: Engine, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._engine, self._patience = engine, patience
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancel = CancelToken()
        self._thread: threading.Thread | None = None
        self._task = ""
        self._stuck = False
        self._events.put(Ready(WORKER))

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        self._task, self._cancel = task.id, CancelToken()
        arguments = task, self._cancel
        self._thread = threading.Thread(target=self._do, args=arguments, name="batch-task", daemon=True)
        self._thread.start()

    def _do(self, task: Task, cancel: CancelToken) -> None:
        do_task(WORKER, task, self._engine, self._events.put, cancel)
        self._stuck = False
        self._events.put(Ready(WORKER))

    def end(self, worker: str, why: str) -> None:
        """See `Executor`. Nobody can end a thread: it is asked to, and given up where it does not listen."""
        self._cancel.cancel()
        if self._thread is not None:
            self._thread.join(self._patience)
            self._stuck = self._thread.is_alive()
        said = f"{why}; nothing can end it within this process, as --on local:1 could" if self._stuck else why
        self._events.put(Lost(WORKER, self._task, said, replaced=not self._stuck))
        if not self._stuck:
            self._events.put(Ready(WORKER))

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        return taken(self._events, timeout)

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`."""
        if task == self._task:
            self._cancel.cancel()

    def close(self) -> None:
        """See `Executor`; a render ends within two seconds, one that was given up with the process."""
        self._cancel.cancel()
        if self._thread is not None and not self._stuck:
            self._thread.join()
