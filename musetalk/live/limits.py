"""What clients of live speech may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What clients of live speech may ask for.

    Attributes:
        sessions: Most at once.
        waiting: Most clients that wait for one.
        seconds: Longest session.
        idle_seconds: Longest time in which nothing is said.
        unread_seconds: Most video that a client may leave unread.
        start_seconds: Longest time until a client says whom it wants.
        message_bytes: Largest message, and most that is kept of what a client says before its session begins.
        messages: Most messages a second, on average; who sends more is heard later.
    """

    sessions: int = 4
    waiting: int = 16
    seconds: float = 4 * 3600.0
    idle_seconds: float = 15 * 60.0
    unread_seconds: float = 5.0
    start_seconds: float = 10.0
    message_bytes: int = 2**20
    messages: int = 500
