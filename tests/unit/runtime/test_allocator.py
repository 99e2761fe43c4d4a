"""Large buffers are kept from one layer to the next, in programs that want it."""

from __future__ import annotations

import platform
import sys

import pytest

from tests.helpers.programs import run_program

# Counts how often the system has to give a page while a thread asks for 8 buffers of 64 MiB, one after the other.
_WORK = """
import resource, sys, threading
import numpy as np
from musetalk.runtime.allocator import give_memory_back, keep_large_buffers

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(8):
        np.empty(2**26, np.uint8).fill(1)

def in_thread():
    before = pages()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return pages() - before

kept = sys.argv[1] == "keep" and keep_large_buffers()
in_thread()
again = in_thread()
give_memory_back()
print(int(kept), again, in_thread())
"""


def counted(mode: str) -> list[int]:
    done = run_program([sys.executable, "-c", _WORK, mode])
    assert done.returncode == 0, done.stderr
    return [int(each) for each in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_they_are_kept_in_threads_too_and_given_back_when_asked() -> None:
    kept, again, after = counted("keep")
    assert kept == 1
    assert again < 30
    assert after > again


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_nothing_changes_unless_it_is_asked_for() -> None:
    kept, again, _ = counted("leave")
    assert kept == 0
    assert again > 100
