"""Who is told how a batch goes on, and by which clock it goes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from musetalk.batch.outcome import RowResult

_LOOK_SECONDS = 0.25  # between two looks at whether to stop


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests have their own.

    Attributes:
        now: Seconds, from any moment on.
        draw: A number from 0 to 1 by chance.
        sleep: Lets so many seconds pass.
    """

    now: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep

    def pause(self, seconds: float, check: Callable[[], None]) -> None:
        """Let seconds pass, and call `check` meanwhile, which may end it."""
        left = seconds
        while left > 0:
            check()
            self.sleep(min(left, _LOOK_SECONDS))
            left -= _LOOK_SECONDS


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker does.

    Attributes:
        row: Name of the row.
        share: How far it is, from 0 to 1.
        silent: Seconds since it last gave a sign of life of it.
    """

    row: str
    share: float
    silent: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch has come.

    Attributes:
        works: Renders to be made.
        ended: Of these, those that are done or given up.
        running: What each worker does.
        seconds: Since it began.
        left_seconds: Until it ends, about; None: not known yet.
    """

    works: int
    ended: int
    running: dict[str, Doing]
    seconds: float
    left_seconds: float | None


class Watcher(Protocol):
    """Who is told how a batch goes on, from the driver's thread."""

    def row(self, result: RowResult) -> None:
        """Take how a row ended."""
        ...

    def standing(self, standing: Standing) -> None:
        """Take how far the batch is."""
        ...

    def note(self, text: str) -> None:
        """Take a sentence for the user."""
        ...


class Unwatched:
    """A `Watcher` that tells nobody."""

    def row(self, result: RowResult) -> None:
        """See `Watcher`."""

    def standing(self, standing: Standing) -> None:
        """See `Watcher`."""

    def note(self, text: str) -> None:
        """See `Watcher`."""
