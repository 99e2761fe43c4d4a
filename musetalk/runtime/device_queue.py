"""Turns on a device: who needs other networks there than those at work waits, first come, first served.

Networks take gigabytes, and a device has room for those of one render. So whoever works with some takes a turn first
and says with which. Who needs the same, or nothing in whose place others are, works at once; who needs others waits
until all before have ended, and no turn is ever interrupted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from musetalk.utils.stopping import stop_point

_POLL_SECONDS = 0.1


@dataclass(eq=False, slots=True)
class _Turn:
    """One turn, waiting or at work.

    Attributes:
        device: Where.
        networks: By kind what it works with.
        thread: Whose it is.
        awaited: The turns that were at work when it came; none once it has begun.
        working: Whether it has begun.
    """

    device: str
    networks: Mapping[str, Hashable]
    thread: int
    awaited: frozenset[_Turn]
    working: bool = False

    def agrees(self, other: _Turn) -> bool:
        """Return whether both can be at work at once: what either needs of a kind, the other has in its place, too."""
        shared = self.networks.keys() & other.networks.keys()
        return all(self.networks[kind] == other.networks[kind] for kind in shared)


class DeviceQueue:
    """Gives turns on devices; each has a queue of its own. Safe to share between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: list[_Turn] = []  # in the order in which they came

    @contextmanager
    def turn(
        self, device: str, networks: Mapping[str, Hashable], waits: Callable[[int], None] | None = None
    ) -> Iterator[float]:
        """Wait for a turn, which lasts as long as the `with` block; it is given the seconds that it waited, mostly 0.

        Args:
            device: On which.
            networks: What is worked with there, by kind: of each kind, no two are at work at once, but for those of one
                thread.
            waits: Is told how many have to end before, whenever that changes, and 0 when it has waited.

        Raises:
            Cancelled: The work was to end (see `stopping.ends_by`).
        """
        with self._changed:
            at_work = frozenset(each for each in self._turns if each.device == device and each.working)
            own = _Turn(device, networks, threading.get_ident(), at_work)
            self._turns.append(own)
        try:
            told, began = 0, time.perf_counter()
            while before := self._before(own, told):
                if before != told and waits is not None:
                    waits(before)
                told = before
                stop_point()
            if told and waits is not None:
                waits(0)
            yield time.perf_counter() - began if told else 0.0
        finally:
            with self._changed:
                self._turns.remove(own)
                self._changed.notify_all()

    def _before(self, own: _Turn, known: int) -> int:
        """Return how many turns have to end before one; 0: it begins. Waits a moment while that is what is known."""
        with self._changed:
            if known:
                self._changed.wait_for(lambda: self._ahead(own) != known, _POLL_SECONDS)
            ahead = self._ahead(own)
            if not ahead:
                own.working, own.awaited = True, frozenset()
            return ahead

    def _ahead(self, own: _Turn) -> int:
        """Return how many turns have to end before one.

        Whoever agrees with all that are at work begins, also before others that wait, as long as the first of these
        still waits for a turn that was at work when it came: so nobody who comes later keeps it waiting for long. Nor
        does a thread wait that has a turn already: it would wait for itself.
        """
        here = [each for each in self._turns if each.device == own.device]
        earlier = here[: here.index(own)]
        working, waiting = [each for each in here if each.working], [each for each in earlier if not each.working]
        if any(each.thread == own.thread for each in working):
            return 0
        if all(own.agrees(each) for each in working) and (not waiting or not waiting[0].awaited.isdisjoint(working)):
            return 0
        return len(waiting) + sum(not own.agrees(each) for each in working)
