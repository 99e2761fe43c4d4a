"""What went wrong with what visitors asked of their jobs: told in a job's card until it is mended, or asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from musetalk.errors import MuseTalkError
from musetalk.jobs.job import Job
from musetalk.utils.lru_cache import LRUCache
from musetalk.webui.html.problems import in_sentences
from musetalk.webui.site import Site

_OWNERS = 500  # whose problems are kept
_MOST = 20  # of one owner


@dataclass(frozen=True, slots=True)
class JobProblem:
    """What went wrong with one job.

    Attributes:
        said: Problem and remedy, in sentences.
        state: The job's then; empty: there is no such job any more.
        lacked: Files of weights that were not there then, where it is about a backend.
    """

    said: str
    state: str
    lacked: frozenset[str] | None = None


class JobProblems:
    """Keeps them by owner and job. Safe to share between threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: LRUCache[str, Mapping[str, JobProblem]] = LRUCache(_OWNERS)
        self._lock = threading.Lock()

    def begin(self, owner: str, job_id: str) -> None:
        """Something is asked of a job anew: what went wrong with it before is over, and with jobs that are gone."""
        with self._lock:
            kept = self._kept.get(owner) or {}
            self._kept.keep(owner, {name: told for name, told in kept.items() if name != job_id and told.state})

    def tell(self, owner: str, job_id: str, title: str, error: MuseTalkError) -> None:
        """Keep what went wrong; `title` is what the page called the job."""
        job = self._site.jobs.store.get(job_id, owner)
        if job is None:
            named = f"“{title}”" if title else "This render"
            told = JobProblem(f"{named} is no longer here. It was deleted elsewhere, or its time was over.", "")
        else:
            lacked = self._lacked() if error.subject == "backend" else None
            told = JobProblem(in_sentences(error, self._site.reader), job.state, lacked)
        with self._lock:
            kept = [*(self._kept.get(owner) or {}).items()][-(_MOST - 1) :]
            self._kept.keep(owner, {**dict(kept), job_id: told})

    def of(self, owner: str, jobs: Iterable[Job]) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Return what is to be said of each of these jobs, and of such as are gone."""
        there = {job.id: job for job in jobs}
        with self._lock:
            kept = self._kept.get(owner) or {}
        lacked = self._lacked() if any(told.lacked is not None for told in kept.values()) else None
        said = {
            name: told.said
            for name, told in kept.items()
            if name in there and there[name].state == told.state and told.lacked in (None, lacked)
        }
        return said, tuple(told.said for name, told in kept.items() if name not in there and not told.state)

    def _lacked(self) -> frozenset[str]:
        files = {file for each in self._site.downloads.sets for file in each.files}
        models_dir = self._site.base.models_dir
        return frozenset(str(file.path) for file in files if file.state(models_dir) != "ready")
