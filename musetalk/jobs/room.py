"""How many jobs may wait and run."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.errors import QueueError
from musetalk.utils.units import counted

_JOBS, _OWN = 100, 10
_FOR_EACH_WORKER = 10  # so that many workers have something to go on with
_SHARE = 10  # one owner may have a tenth of all


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs may wait and run, together.

    Attributes:
        jobs: Of everybody; None: 100, or ten for each worker that is there, where that is more.
        own: Of one owner; None: ten, or a tenth of everybody's, where that is more.
    """

    jobs: int | None = None
    own: int | None = None

    def of_all(self, workers: int) -> int:
        """Return how many may be everybody's.

        Args:
            workers: How many are there that jobs are handed to.
        """
        return max(_JOBS, workers * _FOR_EACH_WORKER) if self.jobs is None else self.jobs

    def of_one(self, workers: int) -> int:
        """Return how many may be one owner's."""
        return max(_OWN, self.of_all(workers) // _SHARE) if self.own is None else self.own

    def check(self, there: int, own: int, workers: int) -> None:
        """Make sure that there is room for one more.

        Args:
            there: How many jobs wait and run.
            own: Of these, how many are its owner's.
            workers: How many workers are there.

        Raises:
            QueueError: There is not.
        """
        if own >= self.of_one(workers):
            raise QueueError(f"{own} renders of yours are waiting already", "wait for one, or stop one")
        most = self.of_all(workers)
        if there >= most:
            problem = f"there is room for {counted(most, 'render')}, and {there:,} wait or run already"
            raise QueueError(problem, "try again when some are done")
