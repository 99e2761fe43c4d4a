"""What the log says of jobs: what happens to them, without what is their owners' alone."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from pathlib import Path

from musetalk.jobs.job import Job
from musetalk.utils.job_log import logged_for
from musetalk.utils.log_lines import facts


def logged_as(job: Job) -> AbstractContextManager[None]:
    """Inside the `with` block, this thread logs for a job; names of its files, and what it is called, are left out."""
    names = [name for path in (Path(job.video), Path(job.voice)) for name in (path.name, path.stem)]
    return logged_for(job.id, [*names, job.title])


def log_event(log: logging.Logger, job: Job, event: str, kind: str = "", **known: object) -> None:
    """Log what happened to a job.

    Args:
        log: Of whoever knows.
        job: Which.
        event: In words.
        kind: Of the error that it is; empty: it is none.
        known: Further facts, for programs.
    """
    with logged_as(job):
        told = {"state": job.state, **({"kind": kind} if kind else {}), **known}
        log.log(logging.WARNING if kind else logging.INFO, "%s", event, extra=facts(**told))
