"""Workers on this machine: processes that keep their models, and are replaced where they die."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import musetalk
from musetalk.batch.events import taken
from musetalk.batch.executor import Done, EngineFactory, Event, Failed, Lost, Ready, Task
from musetalk.batch.orders import Cancel, Setup
from musetalk.errors import BackendError
from musetalk.utils.log_lines import logs_json
from musetalk.utils.units import counted, roughly

_ENDING_SECONDS = 5.0
MOST_STILLBORN = 3  # workers of one name in a row that never were ready
START_SECONDS = 600.0  # in which a worker comes up, or is given up: it makes its engine, and loads no network for that
_PACKAGES = Path(musetalk.__file__).parents[1]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Process:
    """A running worker."""

    name: str
    process: subprocess.Popen[bytes]
    overdue: threading.Timer
    reader: threading.Thread | None = None
    task: str = ""
    was_ready: bool = False
    sending: threading.Lock = field(default_factory=threading.Lock)


class ProcessPool:
    """An `Executor` of worker processes. As a context manager, it is closed at the end.

    Each is the leader of a process group of its own, so that Ctrl-C in a terminal reaches the driver alone, and ends
    with this process, however that ends.

    Args:
        workers: How many.
        factory: Makes the engine of each, there.
        patience: For how many seconds one that starts is waited for; then it hangs, and another one is tried.

    Raises:
        BackendError: They cannot be started.
    """

    def __init__(self, workers: int, factory: EngineFactory, *, patience: float = START_SECONDS) -> None:
        self._workers = workers
        self._factory, self._patience = factory, patience
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = False
        self._stillborn: dict[str, int] = {}
        self._running: dict[str, _Process] = {}
        self._given_up: list[_Process] = []  # ended by `end`, and not waited for
        try:
            for number in range(workers):
                self._start_process(f"local-{number + 1}")
        except OSError as error:
            problem = f"of {counted(workers, 'worker')}, {len(self._running)} could be started ({error.strerror})"
            self.close()
            raise BackendError(problem, "ask for fewer") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """See `Executor`."""
        return self._workers

    def pids(self) -> dict[str, int]:
        """Return the numbers of the processes that run, by worker."""
        with self._lock:
            return {name: running.process.pid for name, running in self._running.items()}

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        with self._lock:
            running = self._running.get(worker)
            if running is not None:
                running.task = task.id
        if running is None:  # it died just now
            self._events.put(Lost(worker, task.id, "it ended before it began", replaced=True))
        else:
            self._send(running, task)

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        return taken(self._events, timeout)

    def end(self, worker: str, why: str) -> None:
        """See `Executor`."""
        with self._lock:
            running = self._running.get(worker)
        if running is not None:
            self._end(running, why)

    def _end(self, running: _Process, why: str, *, unless_ready: bool = False) -> None:
        with self._lock:
            if self._running.get(running.name) is not running or (unless_ready and running.was_ready):
                return  # it died just now, which its reader tells
            del self._running[running.name]
            self._given_up.append(running)
        _kill(running.process)
        self._lose(running, why)

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`."""
        with self._lock:
            running = self._running.get(worker)
        if running is not None:
            self._send(running, Cancel(task))

    def close(self) -> None:
        """See `Executor`."""
        with self._lock:
            self._closing = True
            running = list(self._running.values())
        for each in running:
            each.overdue.cancel()
            _close_stdin(each.process)  # it ends its own children, and itself
        for each in running:
            if each.reader is not None:
                each.reader.join(_ENDING_SECONDS)
            _kill(each.process)
        for each in (*running, *self._given_up):
            if each.reader is not None:
                each.reader.join(_ENDING_SECONDS)
                if each.reader.is_alive():  # it hangs in the system: on a disk that is gone, or in a driver
                    _log.warning("process %d of worker %s does not end", each.process.pid, each.name)

    def _start_process(self, name: str) -> None:
        paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self._lock:
            if self._closing:
                return
            process = subprocess.Popen(
                [sys.executable, "-m", "musetalk.batch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            said = f"it did not come up in {roughly(self._patience)}"
            overdue = threading.Timer(self._patience, lambda: self._end(running, said, unless_ready=True))
            overdue.daemon = True
            running = self._running[name] = _Process(name, process, overdue)
            overdue.start()
            running.reader = threading.Thread(target=self._read, args=(running,), name=f"batch-{name}", daemon=True)
            running.reader.start()
        self._send(running, Setup(name, self._factory, "json" if logs_json() else "text"))

    def _send(self, running: _Process, order: object) -> None:
        with running.sending, suppress(OSError, ValueError):  # it died, which its reader finds
            pipe = running.process.stdin
            assert pipe is not None  # noqa: S101 - asked for
            pickle.dump(order, pipe)
            pipe.flush()

    def _read(self, running: _Process) -> None:
        """Hand on what a worker tells until it ends; then see to it that there is another one."""
        pipe = running.process.stdout
        assert pipe is not None  # noqa: S101 - asked for
        with pipe:
            self._hand_on(running, pipe)
        _kill(running.process)
        running.process.wait()
        _close_stdin(running.process)
        with self._lock:
            current = self._running.get(running.name) is running
            if current:
                del self._running[running.name]
        if current and not self._closing:
            self._lose(running, _ending(running.process))

    def _lose(self, running: _Process, said: str) -> None:
        """Tell that a worker is gone; another one takes its place, unless none ever came up."""
        running.overdue.cancel()
        self._stillborn[running.name] = 0 if running.was_ready else self._stillborn.get(running.name, 0) + 1
        replaced = self._stillborn[running.name] < MOST_STILLBORN
        _log.info("worker %s ended (%s)", running.name, said)
        self._events.put(Lost(running.name, running.task, said, replaced))
        if not replaced:
            return
        try:
            self._start_process(running.name)
        except OSError as error:  # no memory, or no number for it: whoever waits for it is not to wait for ever
            said = f"another one cannot be started ({error.strerror})"
            self._events.put(Lost(running.name, "", said, replaced=False))

    def _hand_on(self, running: _Process, pipe: IO[bytes]) -> None:
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                event: Event = pickle.load(pipe)  # noqa: S301 - of a process of our own
                with self._lock:
                    if self._running.get(running.name) is not running:
                        return  # it was ended: another one has its name
                    if isinstance(event, Ready):
                        running.overdue.cancel()
                        running.was_ready = True
                    if isinstance(event, Done | Failed):
                        running.task = ""
                    self._events.put(event)


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and what is in its process group; harmless where it has ended."""
    if process.returncode is None:  # else it was reaped, and the number may be another's
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def _ending(process: subprocess.Popen[bytes]) -> str:
    """Return how a process ended, in words."""
    code = process.returncode
    if code < 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    return f"ended with {code}"
