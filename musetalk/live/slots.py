"""How many live sessions there are at once, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from musetalk.errors import LiveError


class Slots:
    """A bounded number of places, given in the order in which they were asked for. For one event loop.

    Args:
        most: Places at once.
        most_waiting: Most who wait for one.
    """

    def __init__(self, most: int, most_waiting: int) -> None:
        self._free, self._most_waiting = most, most_waiting
        self._waiting: deque[asyncio.Event] = deque()

    @property
    def free(self) -> int:
        """Places that nobody has."""
        return self._free

    @asynccontextmanager
    async def place(self, tell: Callable[[int], None]) -> AsyncIterator[None]:
        """Wait for a place, and keep it inside the `async with` block.

        Args:
            tell: Is told how many wait before, as often as that changes; must not wait.

        Raises:
            LiveError: Too many wait already.
        """
        await self._wait(tell)
        try:
            yield
        finally:
            self._free += 1
            self._call()

    async def _wait(self, tell: Callable[[int], None]) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._most_waiting:
            raise LiveError("too many are speaking here already", "try again later")
        called = asyncio.Event()
        self._waiting.append(called)
        try:
            while called in self._waiting and not (self._free and self._waiting[0] is called):
                tell(self._waiting.index(called))
                await called.wait()
                called.clear()
            self._free -= 1
        finally:
            self._waiting.remove(called)
            self._call()

    def _call(self) -> None:
        """Let all who wait look where they stand."""
        for called in self._waiting:
            called.set()
