"""How this process keeps the memory that networks work in."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 2**30  # bytes of one buffer; the feature maps of one crop take up to 0.2 GiB
_MOST_KEPT = 2**31 - 1  # bytes of unused memory at the end of the heap: as many as an int can say


def keep_large_buffers() -> bool:
    """Let glibc keep large buffers that are given back, for the next that are asked for; returns whether it does.

    On a CPU a network asks for the same buffers, megabytes each, for every layer. glibc gives each back to the system
    and gets it anew, filled with zeros page by page: of the time of MuseTalk's UNet that was measured to be a fifth, of
    its autoencoder's decoder a seventh. What is kept meanwhile goes back by `give_memory_back`.

    This is for the whole process and for good, so only programs that own theirs call it, never a library; and before
    their threads begin, each of which would get a heap of its own, in which no large buffer has room. Where the C
    library is another one, nothing happens.
    """
    libc = _glibc()
    if libc is None:
        return False
    wanted = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _MOST_KEPT), (_ARENA_MAX, 1))
    done = [libc.mallopt(option, value) == 1 for option, value in wanted]  # all of them, whatever one says
    return all(done)


@contextmanager
def large_buffers_kept(*, wanted: bool) -> Iterator[None]:
    """Keep large buffers while the `with` block runs, and give back at its end what was kept: see `keep_large_buffers`.

    Args:
        wanted: Whether networks run in it, in a process that may be changed; else nothing happens.
    """
    kept = wanted and keep_large_buffers()
    try:
        yield
    finally:
        if kept:
            give_memory_back()


def give_memory_back() -> None:
    """Give back to the system what is kept without being used, as far as the C library can."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is GNU's; None: it is another one."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
