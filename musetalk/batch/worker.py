"""A worker process: `python -m musetalk.batch.worker`, started by `ProcessPool` alone.

Pickles of its parent come in by stdin: how its engine is made, then orders; what happened goes out by stdout. It ends
when its parent does, however that ends: then stdin does.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import sys
import threading
from typing import BinaryIO

import psutil

from musetalk.batch.doing import UNFORESEEN, do_task
from musetalk.batch.executor import Done, EngineFactory, Event, Failed, Ready, Task
from musetalk.batch.orders import Cancel, Setup
from musetalk.batch.tokens import TaskTokens
from musetalk.errors import one_line
from musetalk.utils.log_lines import LogFormat, log_foreign_lines, set_up_log


def main() -> None:
    """Do tasks until the parent ends."""
    orders, told = _taken_over()
    for number in (signal.SIGINT, signal.SIGTERM):  # which may be sent to all processes: the parent tells what to do
        signal.signal(number, signal.SIG_IGN)
    setup: Setup = pickle.load(orders)  # noqa: S301 - of the parent
    _set_up_log(setup.log)
    _Worker(setup.name, setup.factory, orders, told).run()


def _set_up_log(form: LogFormat) -> None:
    """Log what is wrong; what a render warns of is in its report. In JSON, all that is written to stderr."""
    set_up_log(logging.WARNING if form == "json" else logging.ERROR, form)
    if form == "json":
        log_foreign_lines()


def _taken_over() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout as no child has them, and put nothing and stderr in their place, for whatever prints."""
    orders, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, told


class _Worker:
    def __init__(self, name: str, factory: EngineFactory, orders: BinaryIO, told: BinaryIO) -> None:
        self._name, self._factory, self._orders, self._told = name, factory, orders, told
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._tokens = TaskTokens()
        self._lock = threading.Lock()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        engine = self._factory()
        sound = True
        while sound:
            self._tell(Ready(self._name))
            task = self._tasks.get()
            sound = do_task(self._name, task, engine, self._tell, self._tokens.of(task.id))
            self._tokens.forget(task.id)
        _end()  # another one takes its place

    def _listen(self) -> None:
        try:
            while True:
                order = pickle.load(self._orders)  # noqa: S301 - of the parent
                if isinstance(order, Cancel):
                    self._tokens.cancel(order.task)
                else:
                    self._tasks.put(order)
        except (EOFError, OSError, pickle.UnpicklingError):
            _end()  # the parent has ended

    def _tell(self, event: Event) -> None:
        try:
            data = pickle.dumps(event)
        except Exception as error:  # whatever a result holds
            if not isinstance(event, Done):
                raise
            said = f"its result cannot be handed on ({one_line(error)})"
            data = pickle.dumps(Failed(self._name, event.task, UNFORESEEN, said))
        with self._lock:
            try:
                self._told.write(data)
                self._told.flush()
            except OSError:
                _end()  # the parent has ended


def _end() -> None:
    """End this process and its children now, whatever threads do."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[func-returns-value]
