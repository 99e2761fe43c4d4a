"""Taking what happened out of a queue."""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


def taken(events: queue.SimpleQueue[_T], timeout: float) -> list[_T]:
    """Return all that a queue holds; where that is nothing, what comes within `timeout` seconds."""
    found = list[_T]()
    with suppress(queue.Empty):
        found.append(events.get(timeout=timeout))
        while True:
            found.append(events.get_nowait())
    return found
