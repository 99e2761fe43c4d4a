"""What becomes of a task that was not done: another try, after a while and elsewhere, or its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from musetalk.batch.executor import Failed, Lost
from musetalk.batch.retries import RetryPolicy, Tries
from musetalk.errors import WorkerError
from musetalk.utils.units import counted


@dataclass(slots=True)
class TaskTries:
    """What was tried in vain so far for a task.

    Attributes:
        policy: What is tried again.
        draw: A number from 0 to 1 by chance.
        tries: How often.
        avoid: Workers and machines that tried: others are to, if there are any.
    """

    policy: RetryPolicy
    draw: Callable[[], float]
    tries: Tries = field(default_factory=Tries)
    avoid: set[str] = field(default_factory=set)

    def failed(self, event: Failed) -> float:
        """Count a failure, and return after how many seconds to try again.

        Raises:
            MuseTalkError: It is not tried again: this is why it failed.
            RuntimeError: The same, where nobody foresaw that.
        """
        if again := self.tries.failed(event.kind, self.policy):
            return self.policy.wait(again, self.draw)
        raise event.error or RuntimeError(event.said)

    def lost(self, event: Lost) -> float:
        """Count a worker that is gone, and return after how many seconds to try again.

        Raises:
            WorkerError: It is not tried again.
        """
        if again := self.tries.lost(self.policy, blamed=event.blamed):
            return self.policy.wait(again, self.draw)
        if not event.blamed:
            often = counted(self.tries.losses + 1, "time")
            raise WorkerError(f"what rendered this went away, {often} ({event.said})", "render once more")
        often = counted(self.tries.deaths, "time")
        problem = f"what rendered this ended before it was done, {often} ({event.said})"
        raise WorkerError(problem, "give a smaller or shorter source, or other settings: it may want too much memory")
