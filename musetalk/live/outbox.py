"""What waits to be sent to a client of live speech."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from musetalk.errors import LiveError
from musetalk.live.socket import Socket


class Outbox:
    """What waits to be sent to a client, in order, put there by other threads.

    Args:
        most_seconds: Longest that anything may wait.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[tuple[float, bytes | str | Exception]] = asyncio.Queue()
        self._since: float | None = None  # when that was put there which is being sent

    def put(self, message: bytes | str | Exception) -> None:
        """Add a message, or why there are no more."""
        with suppress(RuntimeError):  # the loop has ended, and the server with it
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, (self._loop.time(), message))

    async def send_to(self, socket: Socket) -> None:
        """Send what comes.

        Raises:
            Exception: Why there is no more.
        """
        while True:
            self._since, message = await self._waiting.get()
            if isinstance(message, Exception):
                raise message
            await socket.send(message)
            self._since = None

    async def watch(self) -> None:
        """Look whether the client reads.

        Raises:
            LiveError: It does not.
        """
        while self._since is None or self._loop.time() - self._since < self._most_seconds:
            await asyncio.sleep(self._most_seconds / 4)
        raise LiveError("the video is not read as quickly as it is shown", "ask for a smaller one")
