"""The connection to a client, whatever carries it."""

from __future__ import annotations

from typing import Protocol


class Socket(Protocol):
    """A WebSocket that was accepted."""

    async def receive(self) -> bytes | str | None:
        """Return the client's next message; None: it is gone."""
        ...

    async def send(self, message: bytes | str) -> None:
        """Send a message; waits while the client does not read.

        Raises:
            ConnectionError: The client is gone.
        """
        ...

    async def close(self, reason: str) -> None:
        """End the connection in order, with a reason of at most 120 bytes; empty: it is the client's wish."""
        ...
