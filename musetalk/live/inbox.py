"""What a client of live speech says, also while it waits for its session."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeAlias, TypeVar

from musetalk.errors import LiveError
from musetalk.live.limits import LiveLimits
from musetalk.live.messages import ClientMessage, Stop, read_message
from musetalk.live.socket import Socket

_OVERHEAD = 100  # bytes that a message takes up beside its own
T = TypeVar("T")
Said: TypeAlias = bytes | ClientMessage | None


class Inbox:
    """Takes what a client says, in order: bytes of its voice, messages, and None where it has left.

    Args:
        socket: Of the client.
        limits: What it may ask for.
    """

    def __init__(self, socket: Socket, limits: LiveLimits) -> None:
        self._socket, self._limits = socket, limits
        self._early: deque[Said] = deque()

    async def next(self) -> Said:
        """Return the next of it.

        Raises:
            LiveError: It is no message, or too large.
        """
        if self._early:
            return self._early.popleft()
        data = await self._socket.receive()
        if data is not None and len(data) > self._limits.message_bytes:
            most = self._limits.message_bytes
            raise LiveError(f"a message of {len(data)} bytes is too large", f"send {most} bytes at most, several times")
        return read_message(data) if isinstance(data, str) else data

    async def until(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do some work, and keep what the client says meanwhile; None: it has left or stopped, and nothing is done.

        Raises:
            LiveError: The client says what it may not, or more than is kept.
        """
        working, listening = asyncio.ensure_future(work), asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait([working, listening], return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                return working.result()
            listening.result()
            return None
        finally:
            for task in (working, listening):
                task.cancel()
            await asyncio.gather(working, listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Keep what is said until the client leaves."""
        kept = 0
        early: deque[Said] = deque()
        try:
            while (said := await self.next()) is not None and not isinstance(said, Stop):
                early.append(said)
                kept += _OVERHEAD + (len(said) if isinstance(said, bytes) else 0)
                if kept > self._limits.message_bytes:
                    raise LiveError("more was said than is kept before a session begins", "wait for the first video")
            early.append(said)
        finally:
            self._early = early
