"""How many jobs run at once, where that changes while they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Slots(Protocol):
    """Says how many jobs may run at once."""

    @property
    def jobs(self) -> int:
        """How many, now. Those that run already go on."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Let a function be called, from another thread, whenever it has changed."""
        ...
