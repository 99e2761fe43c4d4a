"""Waiting for what other threads do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tests.helpers.programs import HANG_SECONDS


def until(happened: Callable[[], bool]) -> None:
    """Wait until something is so, however slow the machine is."""
    ends, pause = time.monotonic() + HANG_SECONDS, threading.Event()
    while not happened():
        assert time.monotonic() < ends
        pause.wait(0.002)
