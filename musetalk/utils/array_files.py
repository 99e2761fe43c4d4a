"""Arrays read from `.npz` files without trusting these: nothing is allocated that the file does not hold."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_UNREADABLE = (EOFError, KeyError, MemoryError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path, names: Iterable[str], most_bytes: int) -> dict[str, npt.NDArray[Any]]:
    """Read arrays by their names. Nothing in the file is ever executed.

    Args:
        path: What `numpy.savez` or `numpy.savez_compressed` wrote.
        names: Those that are wanted.
        most_bytes: What all in the file may unpack to.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is damaged, no such file, lacks one of them, or holds more than it may.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            if sum(item.file_size for item in archive.infolist()) > most_bytes:
                raise ValueError("unpacks to too much")
            return {name: _read(archive, archive.getinfo(f"{name}.npy")) for name in names}
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def names_in(path: Path) -> frozenset[str]:
    """Return the names of the arrays in a file.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is damaged, or no such file.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _read(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Read one array, of whose header the archive has to agree: numpy allocates what the header says."""
    with archive.open(item) as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = header(member)
        count = prod(shape)
        if dtype.hasobject or count < 0 or count * dtype.itemsize != item.file_size - member.tell():
            raise ValueError(f"{item.filename} is no plain array of its size")
        values = np.frombuffer(member.read(), dtype, count)
    return values.reshape(shape, order="F" if by_column else "C").copy()
