"""Looks through a source, kept in files of some twenty seconds each, and one for each end that was come to."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from musetalk.errors import OutputError
from musetalk.faces.tracking.looks import Look, read_looks, usable, write_looks

_FRAMES = 500  # of a file, at least
_NAME = re.compile(r"(\d{9})-(\d{9})(-end)?\.npz")
_log = logging.getLogger(__name__)


class _File(NamedTuple):
    """One of the files: looks from `start` on, up to `stop`; `end`: where frames up to there were asked for."""

    start: int
    stop: int
    end: bool
    path: Path


class KeptLooks:
    """Looks of one detector through one source. For one thread.

    Args:
        folder: Theirs alone.
        shrink: Called when something was added.
    """

    def __init__(self, folder: Path, shrink: Callable[[], None]) -> None:
        self._folder, self._shrink = folder, shrink
        self._start = 0  # of the file that is filled
        self._filling: list[Look] = []
        self._full = False  # nothing more can be kept
        self.problems: list[str] = []

    def known(self, stop: int) -> tuple[list[Look], str | None]:
        """Return the looks with which looking through the frames before `stop` begins.

        Returns:
            The looks, and where they are all that there are, the note that was kept with them.
        """
        files, looks = list(self._files()), list[Look]()
        while True:
            here = [each for each in files if each.start == self._start]
            whole = next((each for each in here if not each.end and each.stop <= stop), None)
            if whole is None:
                break
            found = self._read(whole)
            if found is None:
                return looks, None
            looks += found[0]
            self._start = whole.stop
        exact = next((each for each in here if each.end and each.stop == stop), None)
        if exact is not None and (found := self._read(exact)) is not None:
            return looks + found[0], found[1]
        others = sorted(
            (each for each in here if each is not exact), key=lambda each: (min(each.stop, stop), -each.end)
        )
        if others and (found := self._read(others[-1])) is not None:
            self._filling = [look for look in usable(found[0], stop) if not look.final]
        return looks + self._filling, None

    def add(self, look: Look) -> None:
        """Take in a look that was just taken; the file goes to disk when it is full."""
        self._filling.append(look)
        if not look.final and look.stop - self._start >= _FRAMES:
            self._write(f"{self._start:09d}-{look.stop:09d}.npz", "")
            self._start, self._filling = look.stop, []

    def finish(self, stop: int, note: str) -> None:
        """Keep what is left, now that all frames before `stop` were asked for, with a note on the whole."""
        self._write(f"{self._start:09d}-{stop:09d}-end.npz", note)
        self._shrink()

    def reach(self, frames: int) -> int:
        """Return how many of the first frames were looked through, by the files' names."""
        reached, files = 0, sorted(self._files())
        for each in files:
            if each.start <= reached:
                reached = max(reached, each.stop)
        return min(reached, frames)

    def _files(self) -> Iterator[_File]:
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return
        for name in names:
            if found := _NAME.fullmatch(name):
                yield _File(int(found[1]), int(found[2]), found[3] is not None, self._folder / name)

    def _read(self, file: _File) -> tuple[list[Look], str] | None:
        """Return what a file holds; None: it is gone, or damaged, and then it goes."""
        try:
            looks, note = read_looks(file.path, file.start, None if file.end else file.stop)
            os.utime(file.path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.problems.append(f"faces that were kept are looked for again: their file is damaged ({error})")
            with suppress(OSError):
                file.path.unlink()
            return None
        return looks, note

    def _write(self, name: str, note: str) -> None:
        if self._full:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_looks(self._folder / name, self._filling, note)
        except (OSError, OutputError) as error:
            self._full = True
            _log.warning("faces are not kept: %s", error)
