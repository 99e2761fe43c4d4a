"""Label maps on disk: a few kilobytes each, so that memory does not grow with the video."""

from __future__ import annotations

import zlib
from array import array
from pathlib import Path

import numpy as np

from musetalk.errors import PATH, CoordsError, write_error
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.utils.arrays import Int64Array, UInt8Array

_LEVEL = 1  # of compression: label maps are mostly level areas
_PIXELS = LABEL_SIDE * LABEL_SIDE


class LabelStore:
    """Label maps by their order. Written once, from one thread; then read from any.

    Args:
        path: The file to make; its folder exists.
        ends: Where it is there already: where in it each map ends, after a 0 (see `ends`). None: it is to be made.
    """

    def __init__(self, path: Path, ends: Int64Array | None = None) -> None:
        self.path = path
        self._ends = array("q", [0] if ends is None else ends.tolist())

    @property
    def ends(self) -> Int64Array:
        """Where in the file each map ends, after a 0: int64 [maps + 1]."""
        return np.array(self._ends, np.int64)

    def __len__(self) -> int:
        """Maps that it holds."""
        return len(self._ends) - 1

    def add(self, packed: bytes) -> None:
        """Take in a map as `pack_labels` returns it.

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        try:
            with self.path.open("ab") as file:
                file.write(packed)
            self._ends.append(self._ends[-1] + len(packed))
        except OSError as error:
            problem = f'face labels cannot be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "free some space", path=self.path.parent) from error

    def read(self, index: int) -> UInt8Array:
        """Return the map of that number: uint8 [512, 512]. Not to be written to.

        Raises:
            CoordsError: It is damaged.
        """
        start, stop = self._ends[index], self._ends[index + 1]
        with self.path.open("rb") as file:
            file.seek(start)
            packed = file.read(stop - start)
        try:
            return unpack_labels(packed)
        except ValueError as error:
            raise CoordsError(f'the face labels in "{PATH}" are damaged', "make them again", path=self.path) from error


def pack_labels(labels: UInt8Array) -> bytes:
    """Return a map, uint8 [512, 512], as it is kept."""
    return zlib.compress(labels.tobytes(), _LEVEL)


def unpack_labels(packed: bytes) -> UInt8Array:
    """Return the map that `pack_labels` was given: uint8 [512, 512]. Not to be written to.

    Raises:
        ValueError: It is damaged.
    """
    try:
        labels = np.frombuffer(zlib.decompressobj().decompress(packed, _PIXELS + 1), np.uint8)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if labels.size != _PIXELS or labels.max() > max(FaceLabel):
        raise ValueError("no label map")
    return labels.reshape(LABEL_SIDE, LABEL_SIDE)
