"""Workers that do what a test says, each task by itself."""

from __future__ import annotations

import queue

from musetalk.batch.events import taken
from musetalk.batch.executor import Done, Event, Failed, Lost, Ready, Task
from musetalk.errors import Cancelled, MuseTalkError
from tests.helpers.held_engine import LONGEST


class Workers:
    """An executor; a test says what becomes of what was begun.

    Attributes:
        deaf: Whether nobody ends what is to be ended.
        ended: Why workers were ended.
    """

    def __init__(self, *names: str) -> None:
        self.deaf = False
        self.ended: list[str] = []
        self._names, self._begun = names, queue.SimpleQueue[tuple[str, Task]]()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._tasks: dict[str, str] = {}
        self.tell(*map(Ready, names))

    @property
    def workers(self) -> int:
        return len(self._names)

    def begun(self) -> tuple[str, Task]:
        """Who was given what next, once that is so."""
        return self._begun.get(timeout=LONGEST)

    @property
    def idle(self) -> bool:
        """Whether nothing was begun that no test has asked for yet."""
        return self._begun.empty()

    def tell(self, *events: Event) -> None:
        for event in events:
            self._events.put(event)

    def do(self, worker: str, result: object = "made") -> None:
        self.tell(Done(worker, self._tasks[worker], result), Ready(worker))

    def fail(self, worker: str, error: MuseTalkError) -> None:
        self.tell(Failed(worker, self._tasks[worker], error.kind, str(error), error), Ready(worker))

    def lose(self, worker: str, said: str = "ended by SIGKILL", *, blamed: bool = True, replaced: bool = True) -> None:
        self.tell(Lost(worker, self._tasks.get(worker, ""), said, replaced, blamed))
        if replaced:
            self.tell(Ready(worker))

    def start(self, worker: str, task: Task) -> None:
        self._tasks[worker] = task.id
        self._begun.put((worker, task))

    def events(self, timeout: float) -> list[Event]:
        return taken(self._events, timeout)

    def cancel(self, worker: str, task: str) -> None:
        assert self._tasks[worker] == task
        if not self.deaf:
            self.fail(worker, Cancelled())

    def end(self, worker: str, why: str) -> None:
        self.ended.append(why)
        self.lose(worker, why)

    def close(self) -> None:
        """Nothing is left."""
