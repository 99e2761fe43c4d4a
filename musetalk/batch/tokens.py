"""What ends a worker's tasks, each alone."""

from __future__ import annotations

import threading

from musetalk.progress import CancelToken


class TaskTokens:
    """Tokens by ids of tasks. A task may be cancelled before it comes, or once it has ended. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, CancelToken] = {}

    def of(self, task: str) -> CancelToken:
        """Return what ends a task."""
        with self._lock:
            return self._tokens.setdefault(task, CancelToken())

    def cancel(self, task: str) -> None:
        """End a task, or let it end as soon as it comes."""
        self.of(task).cancel()

    def forget(self, task: str) -> None:
        """Take note that a task has ended."""
        with self._lock:
            self._tokens.pop(task, None)
