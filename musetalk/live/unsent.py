"""How much of a session a network's buffers hold that a client does not read."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

_MOST_UNSENT = 16 * 1024  # bytes


class Listener(Protocol):
    """A socket that clients connect to."""

    def setsockopt(self, level: int, name: int, value: int, /) -> None:
        """Set an option; connections that are accepted later inherit it."""
        ...


def keep_little_unsent(listeners: Iterable[Listener]) -> None:
    """Let connections that are accepted from now on hold little that cannot be sent yet, where the system can do that.

    Systems take in some megabytes of what nobody reads, half a minute of video, and all the while the client seems to
    read. What is on its way is not counted, so a connection is as quick as without.

    Args:
        listeners: What they are accepted by.
    """
    option: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    if option is None:
        return
    for listener in listeners:
        with suppress(OSError):  # not over TCP, or a system that only knows the name
            listener.setsockopt(socket.IPPROTO_TCP, option, _MOST_UNSENT)
