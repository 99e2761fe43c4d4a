"""What readers of faces saw in a source, kept in files of a few seconds each."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from musetalk.errors import OutputError
from musetalk.faces.parsing.lots import FIRST, Lot, read_lots, write_lots
from musetalk.utils.arrays import Float64Array

READINGS_REVISION = 1  # raise with every change of what is looked at, or of what lots hold
_FACES = 128  # of a file, at least
_DIGITS = 16  # of a lot's name, in the names of files
_NAME = re.compile(r"(\d{9})-(\d{9})-([0-9a-f]{16})-[0-9a-f]{16}\.npz")
_log = logging.getLogger(__name__)


class _File(NamedTuple):
    """One of the files: lots of the frames [start, stop), behind lots whose name begins like that."""

    start: int
    stop: int
    before: str
    path: Path


class KeptReadings:
    """Lots of the same readers, of one source. For one thread.

    Args:
        folder: Theirs alone.
        shrink: Called when something was added.
    """

    def __init__(self, folder: Path, shrink: Callable[[], None]) -> None:
        self._folder, self._shrink = folder, shrink
        self._name = FIRST  # of the last lot that was taken over or added
        self._before = FIRST  # of that before the file that is filled
        self._filling: list[Lot] = []
        self._full = False  # nothing more can be kept
        self.problems: list[str] = []

    def known(self, rows: Float64Array) -> Iterator[Lot]:
        """Yield the lots with which looking at faces begins.

        Args:
            rows: float64 [n, 6], all faces, as `Lot` has them.
        """
        files, place = list(self._files()), 0
        while place < len(rows):
            found = [self._matching(each, rows[place:]) for each in files if self._name.startswith(each.before)]
            lots = max(found, key=len, default=[])
            if not lots:
                return
            for lot in lots:
                place += len(lot.rows)
                self._name = self._before = lot.name(self._name)
                yield lot

    def add(self, lot: Lot) -> None:
        """Take in a lot that was just looked at; the file goes to disk when it is full."""
        self._filling.append(lot)
        self._name = lot.name(self._name)
        if sum(len(each.rows) for each in self._filling) >= _FACES:
            self._write()

    def finish(self) -> None:
        """Keep what is left."""
        if self._filling:
            self._write()
        self._shrink()

    def reach(self, frames: int) -> int:
        """Return in how many of the first frames faces were looked at, by the files' names."""
        return min(max((each.stop for each in self._files()), default=0), frames)

    def _files(self) -> Iterator[_File]:
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return
        for name in names:
            if found := _NAME.fullmatch(name):
                yield _File(int(found[1]), int(found[2]), found[3], self._folder / name)

    def _matching(self, file: _File, rows: Float64Array) -> list[Lot]:
        """Of a file return the lots that are of these faces, one after the other, up to the first that is not."""
        lots, place = list[Lot](), 0
        for lot in self._read(file):
            stop = place + len(lot.rows)
            ended = stop == len(rows)
            if not np.array_equal(lot.rows, rows[place:stop]) or not (lot.full or ended):
                break
            if not ended and rows[stop, 0] == lot.rows[-1, 0]:  # more faces than were in that frame
                break
            lots.append(lot)
            place = stop
        return lots

    def _read(self, file: _File) -> list[Lot]:
        """Return what a file holds; nothing where it is gone, or damaged, and then it goes."""
        try:
            lots = read_lots(file.path)
            os.utime(file.path)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self.problems.append(f"faces are looked at again whose labels were kept: their file is damaged ({error})")
            with suppress(OSError):
                file.path.unlink()
            return []
        return lots

    def _write(self) -> None:
        lots, before = self._filling, self._before
        self._filling, self._before = [], self._name
        if self._full:
            return
        start, stop = int(lots[0].rows[0, 0]), int(lots[-1].rows[-1, 0]) + 1
        name = f"{start:09d}-{stop:09d}-{before[:_DIGITS]}-{self._name[:_DIGITS]}.npz"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_lots(self._folder / name, lots)
        except (OSError, OutputError) as error:
            self._full = True
            _log.warning("labels of faces are not kept: %s", error)
