"""All figures of the app, for Prometheus."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

import musetalk
from musetalk.dispatch.dispatcher import Dispatcher, WorkerCounts
from musetalk.jobs.service import JobService
from musetalk.live.host import LiveHost
from musetalk.utils.prometheus import Family, counted, gauge, info
from musetalk.webui.monitoring.readiness import Readiness
from musetalk.webui.uploads import Uploads

_STATUS = Path("/proc/self/status")


class Metrics:
    """Collects figures when it is asked.

    Args:
        jobs: Whose jobs are counted.
        uploads: Beside them on the disk.
        live: Whose sessions are counted.
        readiness: Whether another job can be taken.
        workers: Render the jobs; None: this process does.
    """

    def __init__(
        self,
        jobs: JobService,
        uploads: Uploads,
        live: LiveHost,
        readiness: Readiness,
        workers: Dispatcher | None = None,
    ) -> None:
        self._workers = workers
        self._jobs, self._uploads, self._live, self._readiness = jobs, uploads, live, readiness
        self._process = psutil.Process()

    def families(self) -> list[Family]:
        """Return all figures, as they are now."""
        parts: tuple[Callable[[], list[Family]], ...] = (
            self._build,
            self._jobs.figures,
            self._worker_figures,
            self._live_figures,
            self._disk,
            self._memory,
        )
        return [family for part in parts for family in part()]

    def _build(self) -> list[Family]:
        facts = {"version": musetalk.__version__, "python": platform.python_version()}
        ready = not self._readiness.problems()
        return [
            info("musetalk_build_info", "What runs.", **facts),
            gauge("musetalk_ready", "1: another job can be taken, as /readyz says.", int(ready)),
            gauge("musetalk_draining", "1: the server is about to end.", int(self._jobs.draining)),
        ]

    def _worker_figures(self) -> list[Family]:
        counts = WorkerCounts() if self._workers is None else self._workers.counts
        states = {"idle": counts.idle, "busy": counts.busy}
        return [
            gauge(
                "musetalk_workers", "Workers that jobs are handed to; none where this process renders.", states, "state"
            ),
            counted("musetalk_workers_lost_total", "Workers that died, or went away.", counts.lost),
        ]

    def _live_figures(self) -> list[Family]:
        live = self._live
        return [
            gauge("musetalk_live_sessions", "Live sessions that go on.", live.sessions),
            gauge("musetalk_live_sessions_limit", "Most that may go on at once.", live.limits.sessions),
            counted("musetalk_live_sessions_total", "Live sessions that have begun.", live.begun),
        ]

    def _disk(self) -> list[Family]:
        store = self._jobs.store
        return [
            gauge("musetalk_jobs_disk_bytes", "Disk that all jobs take.", store.used_bytes()),
            gauge("musetalk_jobs_disk_limit_bytes", "Disk that jobs that have ended may fill.", store.max_bytes),
            gauge("musetalk_uploads_disk_bytes", "Disk that uploads take.", self._uploads.used_bytes()),
            gauge("musetalk_uploads_disk_limit_bytes", "Disk that older uploads may fill.", self._uploads.max_bytes),
        ]

    def _memory(self) -> list[Family]:
        with self._process.oneshot():
            resident, times = self._process.memory_info().rss, self._process.cpu_times()
            started = self._process.create_time()
        below = sum(map(_resident, self._process.children(recursive=True)))
        return [
            gauge("process_resident_memory_bytes", "Resident memory of this process.", resident),
            gauge("musetalk_children_memory_bytes", "Resident memory of what it has started: ffmpeg, workers.", below),
            gauge("musetalk_memory_peak_bytes", "Most resident memory this process ever had.", _peak(self._process)),
            counted("process_cpu_seconds_total", "Processor time of this process.", times.user + times.system),
            gauge("process_start_time_seconds", "When it began, since the epoch.", started),
        ]


def _resident(child: psutil.Process) -> int:
    try:
        return int(child.memory_info().rss)
    except psutil.Error:
        return 0  # it ended between being listed and being asked


def _peak(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return int(process.memory_info().peak_wset)
    if _STATUS.is_file():  # what the system counts for `getrusage` may be of the program that started this one
        high = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(high.split()[1]) * 1024
    import resource  # noqa: PLC0415 - not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
