"""Label maps on disk: a few kilobytes each, so that memory does not grow with the video."""

from __future__ import annotations

import zlib
from array import array
from pathlib import Path

import numpy as np

from musetalk.errors import PATH, write_error
from musetalk.faces.parsing.labels import LABEL_SIDE
from musetalk.utils.arrays import UInt8Array

_LEVEL = 1  # of compression: label maps are mostly level areas


class LabelStore:
    """Label maps by their order. Written once, from one thread; then read from any.

    Args:
        path: The file to make; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = array("q", [0])

    def __len__(self) -> int:
        """Maps that it holds."""
        return len(self._ends) - 1

    def extend(self, labels: UInt8Array) -> None:
        """Take in uint8 [N, 512, 512].

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        try:
            with self._path.open("ab") as file:
                for each in labels:
                    packed = zlib.compress(each.tobytes(), _LEVEL)
                    file.write(packed)
                    self._ends.append(self._ends[-1] + len(packed))
        except OSError as error:
            problem = f'face labels cannot be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "free some space", path=self._path.parent) from error

    def read(self, index: int) -> UInt8Array:
        """Return the map of that number: uint8 [512, 512]. Not to be written to."""
        start, stop = self._ends[index], self._ends[index + 1]
        with self._path.open("rb") as file:
            file.seek(start)
            packed = file.read(stop - start)
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(LABEL_SIDE, LABEL_SIDE)
