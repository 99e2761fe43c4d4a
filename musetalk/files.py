"""Places for outputs, and what lies in folders."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from musetalk.errors import OutputError


def make_room_for(path: Path) -> None:
    """Make sure, before long work, that a file can be made at `path`: its folder is there, and it is none itself.

    Raises:
        OutputError: It cannot.
    """
    if path.is_dir():
        raise OutputError(f'"{path}" is a folder', "give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder "{path.parent}" cannot be made ({error.strerror})', "write elsewhere") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file that is to appear at `path` whole or not at all: beside it, with the same ending.

    It gets its name when the `with` block ends, and goes where that fails.

    Raises:
        OutputError: It cannot be written.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OutputError(f'"{path}" cannot be written ({reason})', "write it elsewhere") from error
    finally:
        with suppress(OSError):  # it has its name, or could never be made
            partial.unlink()


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder that goes when the `with` block ends, inside `parent`, so that files in it can be renamed into place.

    What cannot be removed then is left: it is no reason for finished work to fail.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=".musetalk-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f'nothing can be written to "{parent}" ({error.strerror})', "write elsewhere") from error
    with folder as name:
        yield Path(name)


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below a folder, with its facts; links are left out, and what vanishes while this walks."""
    for parent, _, names in os.walk(folder):  # unlike Path.rglob, it passes over folders that vanish, too
        for name in names:
            path = Path(parent, name)
            try:
                facts = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield path, facts
