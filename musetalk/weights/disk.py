"""Errors for a folder of models that cannot be written, with a remedy that fits the cause."""

from __future__ import annotations

import errno
from pathlib import Path

from musetalk.errors import PATH, DiskSpaceError, OutputError, write_error

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_ELSEWHERE = "or name another folder with --models-dir"


def unwritable(path: Path, error: OSError, doing: str = "written") -> OutputError:
    """Return an error that says why a file or folder below the folder of models cannot be written, and what to do.

    Args:
        path: Which.
        error: What the system says.
        doing: What cannot be done to it.
    """
    problem = f'"{PATH}" cannot be {doing} ({error.strerror or error})'
    kind = write_error(error)
    if kind is DiskSpaceError:
        remedy = "make room; the next download goes on from there"
    elif error.errno in _FORBIDDEN:
        remedy = f"make the folder writable, {_ELSEWHERE}"
    elif error.errno == errno.EFBIG:
        remedy = f"use a disk that takes files that large, {_ELSEWHERE}"
    else:
        remedy = f"look at the disk, {_ELSEWHERE}"
    return kind(problem, remedy, path=path)
