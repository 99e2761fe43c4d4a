"""What was found out about files, which holds for as long as they stay as they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from musetalk.utils.lru_cache import LRUCache

V = TypeVar("V")
# A file that was written just now may be written again with the same time: clocks of disks tick up to 2 s (FAT).
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _FileState:
    """Which file there is, and what would be another if it were written to."""

    device: int
    number: int
    size: int
    written_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> _FileState | None:
        """Return the state of a file; None: it cannot be opened."""
        try:
            with path.open("rb") as file:  # a share is asked anew when a file is opened, and not when it is looked up
                facts = os.fstat(file.fileno())
        except OSError:
            return None
        return cls(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    def settled(self, now: float) -> bool:
        """Return whether it has lasted for long enough that whatever is written from now on gets another time."""
        return now - max(self.written_ns, self.changed_ns) / 1e9 > _SETTLED_SECONDS


class KnownFiles(Generic[V]):
    """Answers to questions about files, each asked once until the file changes. Safe to share between threads.

    Args:
        most: How much all answers together may take; those that nobody asked for longest go first.
        size_of: How much one takes.
        now: Tells the time, in seconds since 1970.
    """

    def __init__(self, most: int, size_of: Callable[[V], int], now: Callable[[], float] = time.time) -> None:
        self._kept: LRUCache[Hashable, tuple[_FileState, V]] = LRUCache(most, lambda kept: size_of(kept[1]))
        self._now = now

    def of(self, path: Path, question: Hashable, find: Callable[[], V]) -> V:
        """Return what `find` finds out about a file, or has found out before.

        Args:
            path: The file, which is all that the answer depends on beside the question.
            question: What is asked.
            find: Its errors are raised, and not kept.
        """
        state = _FileState.of(path)
        kept = self._kept.get((path, question))
        if kept is not None and kept[0] == state:
            return kept[1]
        settled = state is not None and state.settled(self._now())
        found = find()
        if state is not None and settled and state == _FileState.of(path):
            self._kept.keep((path, question), (state, found))
        return found
