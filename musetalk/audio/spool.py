"""Numbers that wait on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from musetalk.errors import PATH, OutputError, write_error
from musetalk.utils.arrays import Float32Array

_FLOAT_BYTES = 4


class Spool:
    """Rows of float32 in a temporary file: appended to, then read by range. A context manager.

    Args:
        folder: Where; exists.
        columns: Numbers in a row.
        what: They are, for errors: "the voice's spectrum".

    Raises:
        OutputError: The file cannot be made.
    """

    def __init__(self, folder: Path, columns: int, what: str) -> None:
        self._folder = folder
        self._columns = columns
        self._what = what
        try:
            self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def append(self, rows: Float32Array) -> None:
        """Write rows, float32 [n, columns], at the end.

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        try:
            self._file.write(rows.tobytes())
        except OSError as error:
            raise self._unwritable(error) from error

    def read(self, start: int, count: int) -> Float32Array:
        """Return rows [start, start + count), fewer at the end; nothing may be appended from then on.

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        try:
            self._file.seek(start * self._columns * _FLOAT_BYTES)
            held = self._file.read(count * self._columns * _FLOAT_BYTES)
        except OSError as error:  # what was still buffered is written here
            raise self._unwritable(error) from error
        return np.frombuffer(held, np.float32).reshape(-1, self._columns)

    def _unwritable(self, error: OSError) -> OutputError:
        problem = f'{self._what} cannot be written to "{PATH}" ({error})'
        return write_error(error)(problem, "free some space", path=self._folder)
