"""Whether the app can take another job, and why not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from musetalk.backends.spec import ConfiguredBackend
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.errors import MuseTalkError
from musetalk.jobs.service import JobService
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.utils.units import counted

DRAINING = "the server is about to be restarted"
NO_WORKER = "no worker is there that could render"
Problems: TypeAlias = dict[str, str]
_KEEP_SECONDS = 2.0  # for which what was seen of disk and programs holds: strangers may ask as often as they like


class Readiness:
    """Looks at what a job needs. Safe between threads.

    Args:
        jobs: Takes jobs.
        backends: What may paint, as the server has it.
        now: A clock, in seconds.
        workers: Render the jobs; None: this process does.
    """

    def __init__(
        self,
        jobs: JobService,
        backends: Sequence[ConfiguredBackend],
        now: Callable[[], float] = time.monotonic,
        *,
        workers: Dispatcher | None = None,
    ) -> None:
        self._workers = workers
        self._jobs, self._backends, self._now = jobs, backends, now
        self._lock = threading.Lock()
        self._seen: tuple[float, Problems] | None = None

    def problems(self) -> Problems:
        """Return what is wrong, by what it is wrong with; empty: another job can be taken.

        The sentences name no file and no folder: everybody may read them.
        """
        found = {"jobs": DRAINING} if self._jobs.draining else {}
        if self._workers is not None and not self._workers.jobs:
            found["workers"] = NO_WORKER
        waiting, most = self._jobs.waiting(), self._jobs.max_queue
        if waiting >= most:
            found["queue"] = f"there is room for {counted(most, 'job')}, and {waiting:,} wait or run"
        return {**found, **self._lasting()}

    def _lasting(self) -> Problems:
        """Return what is wrong with the machine."""
        with self._lock:
            if self._seen is None or self._now() - self._seen[0] >= _KEEP_SECONDS:
                self._seen = (self._now(), self._look())
            return self._seen[1]

    def _look(self) -> Problems:
        found = dict[str, str]()
        try:
            self._jobs.store.check()
        except MuseTalkError as error:
            found["folder"] = error.problem
        try:
            if not os.access(ffmpeg_executable(), os.X_OK):
                found["ffmpeg"] = "ffmpeg cannot be run"
        except MuseTalkError as error:
            found["ffmpeg"] = error.problem
        if all(backend.lacks() for backend in self._backends):
            found["backends"] = "no backend has all that it needs"
        return found
