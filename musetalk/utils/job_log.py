"""Which job a thread works for, and whose files it must not name: for whoever writes the log.

A context variable knows it, in the thread that begins a job. Threads that work for the same job are told by `carried`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LoggedJob:
    """What the log says of the job that a thread works for.

    Attributes:
        id: Its id; empty: it works for none.
        private: Finds names that are nobody's business; None: there are none.
    """

    id: str = ""
    private: re.Pattern[str] | None = None

    def without_names(self, text: str) -> str:
        """Return a text in which three dots stand for what is nobody's business."""
        return text if self.private is None else self.private.sub("...", text)


_job: ContextVar[LoggedJob] = ContextVar("logged_job", default=LoggedJob())  # noqa: B039 - it is frozen


@contextmanager
def logged_for(job_id: str, names: Iterable[str] = ()) -> Iterator[None]:
    """Inside the `with` block, what this thread logs is of that job, and does not hold these names of its owner's."""
    longest_first = sorted(filter(None, names), key=len, reverse=True)
    private = "|".join(map(re.escape, longest_first))
    with logged_as_of(LoggedJob(job_id, re.compile(rf"(?<!\w)(?:{private})(?!\w)") if private else None)):
        yield


@contextmanager
def logged_as_of(job: LoggedJob) -> Iterator[None]:
    """Inside the `with` block, this thread logs for a job that another one, or another process, works for."""
    token = _job.set(job)
    try:
        yield
    finally:
        _job.reset(token)


def logged_job() -> LoggedJob:
    """Return the job that this thread works for."""
    return _job.get()


def carried(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return the same work, for another thread, which then logs for the job of this one."""
    job = _job.get()

    def carry(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with logged_as_of(job):
            return work(*args, **kwargs)

    return carry
