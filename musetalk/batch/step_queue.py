"""What waits to be done, and who gets it: what is of one source goes where its plan is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Set
from functools import partial

from musetalk.batch.course import Step
from musetalk.batch.works import Work


class StepQueue:
    """Steps that wait. Who asks gets one of the source that it had last, while there are any.

    Else it gets one of a source that nobody has, else of the source of which most are waiting.

    What it, or its machine, failed at before is passed over, where the caller says so.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Step]] = {}
        self._had: dict[str, str] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, step: Step) -> None:
        """Let a step come last of its source."""
        self._count += 1
        self._waiting.setdefault(step.work.source, deque()).append(step)

    def put_back(self, steps: Iterable[Step]) -> None:
        """Let steps come next of their source, in their order."""
        for step in reversed(list(steps)):
            self._count += 1
            self._waiting.setdefault(step.work.source, deque()).appendleft(step)

    def take(self, worker: str, names: Set[str] = frozenset()) -> Step | None:
        """Return what a worker is to do next; None: nothing waits that it may have.

        Args:
            worker: Who asks.
            names: Of the worker and its machine: what is to avoid them is passed over.
        """
        source = next(filter(partial(self._has_for, names), self._sources(worker)), None)
        if source is None:
            return None
        waiting = self._waiting[source]
        step = next(each for each in waiting if not each.avoid & names)
        waiting.remove(step)
        self._count -= 1
        self._had[worker] = source
        if not waiting:
            del self._waiting[source]
        return step

    def _sources(self, worker: str) -> Iterator[str]:
        """Yield sources of which something waits, as a worker is to have them."""
        own = self._had.get(worker, "")
        if own in self._waiting:
            yield own
        others = {had for name, had in self._had.items() if name != worker}
        yield from (each for each in self._waiting if each not in others and each != own)
        yield from sorted(self._waiting, key=lambda each: -len(self._waiting[each]))

    def _has_for(self, names: Set[str], source: str) -> bool:
        return any(not step.avoid & names for step in self._waiting[source])

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
