"""A worker on a cluster: an actor that keeps its engine, does one task at a time, and is asked what happened.

What happened stays until the driver says that it has it,
so that a broken connection loses nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil

import musetalk
from musetalk.batch.doing import do_task
from musetalk.batch.executor import EngineFactory, Event, Ready, Task
from musetalk.batch.tokens import TaskTokens
from musetalk.errors import one_line
from musetalk.progress import CancelToken
from musetalk.utils.log_lines import set_up_log

_UNSEEN_SECONDS = 5.0  # after which what a shared disk does not show will not come
_LOOK_SECONDS = 0.25
_LEAVING_SECONDS = 2.0  # between two looks at whether this machine is being taken away


@dataclass(frozen=True, slots=True)
class Unseen:
    """A worker's machine does not have a path of its task; the worker ends."""

    worker: str
    task: str
    path: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker can do no more; it ends."""

    worker: str
    said: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A worker's machine is being taken away; the worker ends."""

    worker: str


Told: TypeAlias = Event | Unseen | Broken | Leaving


class RayWorker:
    """The actor. Its methods return at once but for `take`; it wants three threads.

    Args:
        name: Of the worker.
        factory: Makes its engine.
        folder: The driver's working folder, which relative paths are of.
    """

    def __init__(self, name: str, factory: EngineFactory, folder: str) -> None:
        self._name, self._factory = name, factory
        self._tasks: queue.SimpleQueue[tuple[Task, tuple[str, ...]]] = queue.SimpleQueue()
        self._started = set[str]()
        self._tokens = TaskTokens()
        self._news = threading.Condition()
        self._told: list[Told] = []
        self._first = 0  # number of the first event of `_told`
        set_up_log(logging.ERROR, "text")  # of Ray's, for its machine
        with contextlib.suppress(OSError):  # whether its files are there is seen with each task
            os.chdir(folder)
        threading.Thread(target=self._work, name="work", daemon=True).start()

    def about(self) -> dict[str, str]:
        """Return what the driver checks: plain values, which every version understands."""
        return {"musetalk": musetalk.__version__, "host": platform.node()}

    def start(self, task: Task, wanted: tuple[str, ...]) -> None:
        """Do a task, once, however often this is said.

        Args:
            task: What to do.
            wanted: Paths that the driver's machine has for it, which have to be here, too.
        """
        if task.id not in self._started:
            self._started.add(task.id)
            self._tasks.put((task, wanted))

    def take(self, after: int, seconds: float) -> list[Told]:
        """Return what has happened, once there is anything, for `seconds` at most.

        Args:
            after: How many events the driver has; they are forgotten.
            seconds: How long to wait.
        """
        with self._news:
            del self._told[: max(0, after - self._first)]
            self._first = max(self._first, after)
            self._news.wait_for(lambda: bool(self._told), seconds)
            return list(self._told)

    def cancel(self, task: str) -> None:
        """End a task, also one that is yet to come: calls may overtake each other."""
        self._tokens.cancel(task)

    def end(self) -> None:
        """End this process and its children now."""
        import ray  # noqa: PLC0415 - an extra

        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        ray.actor.exit_actor()

    def _work(self) -> None:
        try:
            engine = self._factory()
        except Exception as error:  # whatever a library throws where it cannot work
            logging.getLogger(__name__).exception("no engine could be made")
            self._tell(Broken(self._name, f"no engine could be made: {type(error).__name__}: {one_line(error)}"))
            return
        sound = True
        while sound:
            order = self._next()
            if order is None:
                self._tell(Leaving(self._name))
                return
            task, wanted = order
            cancel = self._tokens.of(task.id)
            missing = self._missing(wanted, cancel)
            if missing is not None:
                self._tell(Unseen(self._name, task.id, missing))
                return
            sound = do_task(self._name, task, engine, self._tell, cancel)
            self._tokens.forget(task.id)
        self._tell(Broken(self._name, "after what nobody foresaw it is made anew"))

    def _next(self) -> tuple[Task, tuple[str, ...]] | None:
        """Return what is to be done, once there is something; None: this machine is being taken away."""
        if is_leaving():
            return None
        self._tell(Ready(self._name))
        while True:
            try:
                return self._tasks.get(timeout=_LEAVING_SECONDS)
            except queue.Empty:
                if is_leaving():
                    return None

    def _missing(self, wanted: tuple[str, ...], cancel: CancelToken) -> str | None:
        """Return a path that is not here, and does not come; None: all are."""
        until = time.monotonic() + _UNSEEN_SECONDS
        for path in wanted:
            while not Path(path).exists():
                if time.monotonic() > until or cancel.cancelled:
                    return path
                time.sleep(_LOOK_SECONDS)
        return None

    def _tell(self, told: Told) -> None:
        with self._news:
            self._told.append(told)
            self._news.notify_all()


def is_leaving() -> bool:
    """Whether this machine is being drained, as Ray knows it; False also where this Ray cannot tell."""
    try:
        import ray  # noqa: PLC0415 - an extra
        from ray._private import state  # noqa: PLC0415 - Ray has no public way to ask

        return ray.get_runtime_context().get_node_id() in state.state.get_draining_nodes()
    except Exception:  # noqa: BLE001 - whatever another version has there
        return False
