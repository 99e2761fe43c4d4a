"""The end of the server: what was begun may end, who uses it is told, and nothing is lost."""

from __future__ import annotations

import logging
import queue
import signal
import time
from collections.abc import Callable

from musetalk.jobs.service import JobService
from musetalk.live.host import TOLD_SECONDS, LiveHost
from musetalk.utils.processes import end_at_once

_LOOK_SECONDS = 0.1
_ENDED = 130  # exit code, as of a program that Ctrl-C ends
_log = logging.getLogger(__name__)


class EndSignals:
    """What the process is asked by signals, each of which asks for more than the one before.

    SIGTERM asks for an end that waits for what runs; Ctrl-C, or another signal meanwhile, for one that stops it, in
    order; one more for an end at once.

    Args:
        at_once: Ends the process.
    """

    def __init__(self, at_once: Callable[[int], object] = end_at_once) -> None:
        self._at_once = at_once
        # Of all that tells another thread something, only this may be used in a handler of signals.
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._waits = self._draining = self._stopping = False

    def heed(self) -> None:
        """Heed signals from now on, in the main thread; until `listen`, one interrupts whatever is done."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.hear)

    def listen(self) -> None:
        """From now on signals interrupt nothing: they are waited for."""
        self._waits = True

    def wait(self) -> bool:
        """Wait for a signal; returns whether what runs is to be waited for."""
        while True:
            try:
                return self._asked.get(timeout=1.0)
            except queue.Empty:  # on Windows, a wait without end heeds no signals
                continue

    def hurried(self, seconds: float) -> bool:
        """Wait for another signal, no longer than that; returns whether there was one."""
        try:
            self._asked.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def hear(self, number: int, _frame: object) -> None:
        """Take a signal."""
        if self._stopping:
            self._at_once(_ENDED)
        gently = number == signal.SIGTERM and not self._draining
        if not self._waits:
            self._stopping = True
            raise KeyboardInterrupt
        self._draining, self._stopping = True, not gently
        self._asked.put(gently)


def drain(jobs: JobService, live: LiveHost, seconds: float, signals: EndSignals) -> None:
    """Begin nothing more, wait for what runs, and tell who still speaks that it is over.

    Jobs that still run then are queued again by `JobService.close`.

    Args:
        jobs: Takes and renders jobs.
        live: Serves live sessions.
        seconds: Most that is waited.
        signals: Another signal ends the wait.
    """
    _log.info("asked to end: %d jobs run, %d live sessions go on", jobs.running, live.sessions)
    jobs.drain()
    live.drain(seconds)
    ends = time.monotonic() + seconds
    while (jobs.running or live.sessions) and time.monotonic() < ends and not signals.hurried(_LOOK_SECONDS):
        pass
    live.dismiss()
    ends = time.monotonic() + TOLD_SECONDS
    while live.sessions and time.monotonic() < ends:
        time.sleep(_LOOK_SECONDS)
    _log.info("ending: %d jobs are stopped", jobs.running)
