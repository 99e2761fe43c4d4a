"""Gives back the memory of mapped checkpoints while they are copied from, so that weights are never resident twice."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

from torch import Tensor

_MAPS = Path("/proc/self/maps")  # Linux: per line "start-end permissions offset device inode path", proc(5)
_DONT_NEED = 4  # MADV_DONTNEED, madvise(2): of a mapped file the pages are dropped, and read again if asked for


class MappedPages:
    """The places at which a file is mapped into this process; empty where that cannot be told.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._ranges = _ranges(path.resolve()) if sys.platform == "linux" else []

    def release(self, tensor: Tensor) -> None:
        """Drop the whole pages under a tensor, if it lies in the mapped file; its values stay what the file has."""
        start, size = tensor.data_ptr(), tensor.nbytes
        if not any(first <= start and start + size <= last for first, last in self._ranges):
            return
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _DONT_NEED)


def _ranges(path: Path) -> list[tuple[int, int]]:
    found = []
    for line in _MAPS.read_bytes().splitlines():
        span, *_, name = line.split(None, 5)
        if name == os.fsencode(path):
            start, end = span.split(b"-")
            found.append((int(start, 16), int(end, 16)))
    return found
