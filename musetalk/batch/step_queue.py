"""What waits to be done, and who gets it: what is of one source goes where its plan is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from musetalk.batch.course import Step
from musetalk.batch.works import Work


class StepQueue:
    """Steps that wait. Who asks gets one of the source that it had last, while there are any.

    Else it gets one of a source that nobody has, else of the source of which most are waiting.

    Args:
        steps: In the order in which they are to be begun.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._waiting: dict[str, deque[Step]] = {}
        self._had: dict[str, str] = {}
        self._count = 0
        for step in steps:
            self._count += 1
            self._waiting.setdefault(step.work.source, deque()).append(step)

    def __len__(self) -> int:
        return self._count

    def put_back(self, steps: Iterable[Step]) -> None:
        """Let steps come next of their source, in their order."""
        for step in reversed(list(steps)):
            self._count += 1
            self._waiting.setdefault(step.work.source, deque()).appendleft(step)

    def take(self, worker: str) -> Step | None:
        """Return what a worker is to do next; None: nothing waits."""
        if not self._waiting:
            return None
        source = self._had.get(worker, "")
        if source not in self._waiting:
            others = {had for name, had in self._had.items() if name != worker}
            free = (each for each in self._waiting if each not in others)
            source = next(free, None) or max(self._waiting, key=lambda each: len(self._waiting[each]))
        self._had[worker] = source
        waiting = self._waiting[source]
        step = waiting.popleft()
        self._count -= 1
        if not waiting:
            del self._waiting[source]
        return step

    def drop(self, work: Work) -> None:
        """Forget what waits of a render."""
        waiting = self._waiting.pop(work.source, deque())
        kept = deque(step for step in waiting if step.work.key != work.key)
        self._count -= len(waiting) - len(kept)
        if kept:
            self._waiting[work.source] = kept

    def forget(self, worker: str) -> None:
        """Note that a worker has gone, and with it what it had."""
        self._had.pop(worker, None)
