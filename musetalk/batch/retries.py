"""What is tried again, how often, and when."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from musetalk.batch.doing import UNFORESEEN
from musetalk.batch.watch import Clock
from musetalk.errors import (
    ComputeError,
    DiskSpaceError,
    DownloadError,
    NotFiniteError,
    OutOfMemoryError,
    OutputError,
    StorageUnreachableError,
    WorkerError,
)

_Answer = TypeVar("_Answer")
LOST = WorkerError.kind  # the kind of what a worker's death is to its task
# What may pass: memory and disks that others fill for a while, shared disks, networks, a device that was lost (which
# no error here is for). What an input or a setting is to blame for comes out the same each time.
_PASSING = frozenset(
    {
        kind.kind
        for kind in (
            ComputeError,
            DiskSpaceError,
            DownloadError,
            OutOfMemoryError,
            OutputError,
            StorageUnreachableError,
        )
    }
    | {UNFORESEEN, LOST}
) - {NotFiniteError.kind}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long, what may pass is tried again.

    Attributes:
        attempts: How often a render is begun at most.
        deaths: Over how many of its workers' deaths it is set aside.
        losses: How many machines may go away beneath it, for which it is not to blame.
        first_seconds: Before the second attempt, about; then twice as long each time.
        most_seconds: Longest wait.
    """

    attempts: int = 4
    deaths: int = 2
    losses: int = 20
    first_seconds: float = 1.0
    most_seconds: float = 60.0

    def again(self, kind: str, attempts: int) -> bool:
        """Whether what failed so often is worth another attempt.

        Args:
            kind: Of the last error.
            attempts: How often it was begun.
        """
        return kind in _PASSING and attempts < self.attempts

    def wait(self, attempts: int, draw: Callable[[], float] = random.random) -> float:
        """Return after how many seconds to try again.

        Args:
            attempts: How often it was begun.
            draw: A number from 0 to 1 by chance, so that what failed together does not come again together.
        """
        whole = min(self.most_seconds, self.first_seconds * 2.0 ** min(30, max(0, attempts - 1)))
        return whole * (0.5 + 0.5 * draw())

    def ask(self, question: Callable[[], _Answer], check: Callable[[], None], clock: Clock) -> _Answer:
        """Return what a store answers, which is asked as often as a render is begun, and as long after each other.

        Args:
            question: Asks it.
            check: Called while this waits; may end it.
            clock: By which it waits.

        Raises:
            StorageUnreachableError: It cannot be reached.
        """
        for attempts in count(1):
            try:
                return question()
            except StorageUnreachableError as error:
                if not self.again(error.kind, attempts):
                    raise
                clock.pause(self.wait(attempts, clock.draw), check)
        raise AssertionError("there is an end")


@dataclass(slots=True)
class Tries:
    """How often something was tried in vain so far.

    Attributes:
        failures: How often it failed, and was to be tried again.
        deaths: How often a worker died over it.
        losses: How often a worker went away, for which it is not to blame.
    """

    failures: int = 0
    deaths: int = 0
    losses: int = 0

    @property
    def attempts(self) -> int:
        """How often it was begun."""
        return self.failures + 1

    def failed(self, kind: str, policy: RetryPolicy) -> int:
        """Count a failure; return the number that `RetryPolicy.wait` wants for the next try, 0 where there is none.

        Args:
            kind: Of the error.
            policy: What is tried again.
        """
        attempts = self.attempts
        if self.deaths >= policy.deaths or not policy.again(kind, attempts):
            return 0
        self.failures += 1
        return attempts

    def lost(self, policy: RetryPolicy, *, blamed: bool) -> int:
        """Count a worker that is gone; returns what `failed` does.

        Args:
            policy: What is tried again.
            blamed: Whether this may be the reason.
        """
        if blamed:
            self.deaths += 1
            return self.failed(LOST, policy)
        if self.losses >= policy.losses:
            return 0
        self.losses += 1
        return self.losses
