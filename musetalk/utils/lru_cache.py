"""A few values by key; those that were not asked for longest go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRUCache(Generic[K, V]):
    """Keeps the values that were used last, at least the newest. Safe to share between threads.

    Args:
        most: How many, or how much all of them together may take.
        size_of: How much one takes; None: each counts as one.
    """

    def __init__(self, most: int, size_of: Callable[[V], int] | None = None) -> None:
        self._most = most
        self._size_of = size_of or _one
        self._size = 0
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def keep(self, key: K, value: V) -> None:
        """Keep a value under a key, and let go of what was not used for longest."""
        with self._lock:
            self._forget(key)
            self._kept[key] = value
            self._size += self._size_of(value)
            while self._size > self._most and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))

    def get(self, key: K) -> V | None:
        """Return what is kept under a key; None if there was nothing, or it was let go."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def drop(self, key: K) -> None:
        """Let go of what is kept under a key, if there is something."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: K) -> None:
        if key in self._kept:
            self._size -= self._size_of(self._kept.pop(key))


def _one(_value: object) -> int:
    return 1
