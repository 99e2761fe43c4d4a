"""What becomes of a task that was not done: another try, after a while and elsewhere, or its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from musetalk.batch.executor import Failed, Lost
from musetalk.batch.retries import LOST, RetryPolicy
from musetalk.errors import WorkerError
from musetalk.utils.units import counted


@dataclass(slots=True)
class Tries:
    """How often something was tried in vain so far.

    Attributes:
        policy: What is tried again.
        draw: A number from 0 to 1 by chance.
        failures: How often it failed.
        deaths: How often a worker died over it.
        losses: How often a worker went away, for which it is not to blame.
        avoid: Workers and machines that tried: others are to, if there are any.
    """

    policy: RetryPolicy
    draw: Callable[[], float]
    failures: int = 0
    deaths: int = 0
    losses: int = 0
    avoid: set[str] = field(default_factory=set)

    def failed(self, event: Failed) -> float:
        """Count a failure, and return after how many seconds to try again.

        Raises:
            MuseTalkError: It is not tried again: this is why it failed.
            RuntimeError: The same, where nobody foresaw that.
        """
        self.failures += 1
        if self.policy.again(event.kind, self.failures):
            return self.policy.wait(self.failures, self.draw)
        raise event.error or RuntimeError(event.said)

    def lost(self, event: Lost) -> float:
        """Count a worker that is gone, and return after how many seconds to try again.

        Raises:
            WorkerError: It is not tried again.
        """
        if not event.blamed:
            self.losses += 1
            if self.losses <= self.policy.losses:
                return self.policy.wait(self.losses, self.draw)
            often = counted(self.losses, "time")
            raise WorkerError(f"what rendered this went away, {often} ({event.said})", "render once more")
        self.deaths += 1
        self.failures += 1
        if self.deaths < self.policy.deaths and self.policy.again(LOST, self.failures):
            return self.policy.wait(self.failures, self.draw)
        often = counted(self.deaths, "time")
        problem = f"what rendered this ended before it was done, {often} ({event.said})"
        raise WorkerError(problem, "give a smaller or shorter source, or other settings: it may want too much memory")
