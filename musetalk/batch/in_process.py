"""One worker in this process: a thread, with an engine that others may use, too."""

from __future__ import annotations

import queue
import threading

from musetalk.batch.doing import do_task
from musetalk.batch.events import taken
from musetalk.batch.executor import Engine, Event, Ready, Task
from musetalk.progress import CancelToken

WORKER = "here"


class InProcess:
    """An `Executor` of one worker. As a context manager, it is closed at the end.

    Args:
        engine: What renders.
    """

    workers = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancel = CancelToken()
        self._thread: threading.Thread | None = None
        self._events.put(Ready(WORKER))

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        self._thread = threading.Thread(target=self._do, args=(task,), name="batch-task")
        self._thread.start()

    def _do(self, task: Task) -> None:
        do_task(WORKER, task, self._engine, self._events.put, self._cancel)
        self._events.put(Ready(WORKER))

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        return taken(self._events, timeout)

    def cancel(self) -> None:
        """See `Executor`."""
        self._cancel.cancel()

    def close(self) -> None:
        """See `Executor`; a render ends within two seconds."""
        self._cancel.cancel()
        if self._thread is not None:
            self._thread.join()
