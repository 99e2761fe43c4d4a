"""Calls that several threads share: what each asks of one function goes into it together, a batch at a time.

A network takes little longer for eight frames than for two, so what sessions ask of it at the same time is one call.
All calls are made by one thread, which belongs to `SharedCalls`. While one runs, the next gathers; where none runs,
what is asked for begins at once, and nobody waits for company.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from musetalk.errors import Cancelled
from musetalk.utils.stopping import ends_by, stop_point

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_POLL_SECONDS = 0.1
_END_SECONDS = 1.0  # most that whoever closes it waits for a call to end


@dataclass(eq=False, slots=True)
class _Request(Generic[_Item, _Made]):
    """What one thread asks for, all at once.

    Attributes:
        items: Of the function.
        made: What it made of them so far, in any order, by place.
        taken: How many of them have gone into calls.
        withdrawn: Whether nobody waits for it any more.
        error: Why it came to nothing.
        ended: Whether it is known what came of it.
    """

    items: Sequence[_Item]
    made: dict[int, _Made] = field(default_factory=dict)
    taken: int = 0
    withdrawn: bool = False
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def left(self) -> int:
        """How many of its items are in no call yet."""
        return len(self.items) - self.taken

    def result(self) -> list[_Made]:
        """Return what was made of its items, in order, or raise why nothing was."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else it would hold itself, and what its frames hold, in memory
        return [self.made[place] for place in range(len(self.items))]


@dataclass(frozen=True, slots=True)
class _Part(Generic[_Item, _Made]):
    """The part of a request that goes into a call."""

    request: _Request[_Item, _Made]
    places: range

    @property
    def items(self) -> Sequence[_Item]:
        """What the function is given of it."""
        return self.request.items[self.places.start : self.places.stop]


class SharedCalls(Generic[_Item, _Made]):
    """Calls of one function for whoever asks. Safe to share between threads.

    Each who asks gets a fair part of every call, so that nobody waits while others are served twice. A call that fails
    is made again for each who had a part in it by itself, so that only who is the cause of it is told. Who ends, or is
    ended, disturbs nobody: what of theirs is in no call yet is dropped, and a call goes on as long as anybody waits.

    Args:
        call: From items to what is made of each, in order. Called in a thread of its own; is given what it should call
            between pieces of its work, which raises where nobody waits for it any more.
        most: Items in a call.
    """

    def __init__(self, call: Callable[[Sequence[_Item], Callable[[], None]], Sequence[_Made]], most: int) -> None:
        self._function, self._most = call, most
        self._changed = threading.Condition()
        self._waiting: list[_Request[_Item, _Made]] = []  # who is served next comes first
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="shared-calls", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that are in no call yet."""
        with self._changed:
            return sum(request.left for request in self._waiting)

    def run(self, items: Sequence[_Item], check: Callable[[], None] = stop_point) -> list[_Made]:
        """Return what the function makes of items; waits for that.

        Args:
            items: Any number.
            check: Raises where the work of this thread is to end; called now and then.

        Raises:
            Exception: Whatever the function ends with.
            Cancelled: The work was to end, or it is closed.
        """
        request = _Request[_Item, _Made](items)
        if not items:
            return []
        check()
        with self._changed:
            if self._closed:
                raise Cancelled
            self._waiting.append(request)
            self._changed.notify_all()
        try:
            while not request.ended.wait(_POLL_SECONDS):
                check()
        except BaseException:
            with self._changed:
                request.withdrawn = True
                self._forget(request)
            raise
        return request.result()

    def close(self) -> None:
        """End it: who still waits is told that the work has ended; its thread ends with the call that it makes."""
        with self._changed:
            self._closed = True
            for request in self._waiting:
                request.error = Cancelled()
                request.ended.set()
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(_END_SECONDS)  # what cannot stop, such as a compiler, is left to itself

    def _work(self) -> None:
        while parts := self._next_parts():
            self._serve(parts)
            del parts  # what was asked for is not kept until somebody asks again

    def _next_parts(self) -> list[_Part[_Item, _Made]]:
        """Wait until something is asked for, and return what goes into the next call; nothing: it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [] if self._closed else self._share_out()

    def _share_out(self) -> list[_Part[_Item, _Made]]:
        """Share the places of a call between those who wait: as many for each, what is left to those who need more."""
        taken = dict.fromkeys(self._waiting, 0)
        room, even = self._most, -(-self._most // len(self._waiting))
        for limit in (even, self._most):
            for request in self._waiting:
                more = min(limit, request.left, taken[request] + room) - taken[request]
                taken[request] += more
                room -= more
        parts = [
            _Part(request, range(request.taken, request.taken + count)) for request, count in taken.items() if count
        ]
        for part in parts:
            part.request.taken = part.places.stop
        unserved = [request for request, count in taken.items() if not count]
        self._waiting = [*unserved, *(part.request for part in parts if part.request.left)]
        return parts

    def _serve(self, parts: list[_Part[_Item, _Made]]) -> None:
        error = self._attempt(parts)
        if error is None:
            return
        if len(parts) == 1:
            with self._changed:
                parts[0].request.error = error
                self._forget(parts[0].request)
            parts[0].request.ended.set()
            return
        del error  # it holds what the call held
        for part in parts:
            if not part.request.withdrawn:
                self._serve([part])

    def _attempt(self, parts: list[_Part[_Item, _Made]]) -> BaseException | None:
        """Make a call, and hand on what it made; or return why it could not be made."""

        def check() -> None:
            if self._closed or all(part.request.withdrawn for part in parts):
                raise Cancelled

        items = [item for part in parts for item in part.items]
        places = [(part.request, place) for part in parts for place in part.places]
        try:
            with ends_by(check):
                made = self._function(items, check)
            for (request, place), each in zip(places, made, strict=True):
                request.made[place] = each
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            return error
        for part in parts:
            if len(part.request.made) == len(part.request.items):
                part.request.ended.set()
        return None

    def _forget(self, request: _Request[_Item, _Made]) -> None:
        """Keep nothing for a request that is in no call yet; with the lock held."""
        if request in self._waiting:
            self._waiting.remove(request)
