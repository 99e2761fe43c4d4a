"""A few values by key; those that were not asked for longest go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRUCache(Generic[K, V]):
    """Keeps the values that were used last. Safe to share between threads.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def keep(self, key: K, value: V) -> None:
        """Keep a value under a key, and let go of what was not used for longest."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def get(self, key: K) -> V | None:
        """What is kept under a key; None if there was nothing, or it was let go."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def drop(self, key: K) -> None:
        """Let go of what is kept under a key, if there is something."""
        with self._lock:
            self._kept.pop(key, None)
