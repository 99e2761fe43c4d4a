"""How far a whole job has come, and how long it still takes: a forecast, corrected by what happens."""

from __future__ import annotations

from dataclasses import replace

from musetalk.pipeline.forecast import Forecast
from musetalk.progress import ProgressEvent

_TRUST_SECONDS = 10.0  # of work, after which a stage's own pace counts as much as its forecast
_LEAST_FACTOR, _MOST_FACTOR = 0.5, 4.0  # by which what has happened may correct what is to come


class WholeMeter:
    """Reads the events of one job, in order.

    Args:
        forecast: How long each of its stages should take.
    """

    def __init__(self, forecast: Forecast) -> None:
        self._phases = [((turn, stage), s) for turn, stages in enumerate(forecast.turns) for stage, s in stages.items()]
        self._at = 0
        self._waited = 0.0
        self._waits_since: float | None = None
        self._began = 0.0
        self._share = 0.0

    def read(self, event: ProgressEvent) -> tuple[float, float]:
        """Return the share of all work that is done, 0 to 1, and the seconds that are left, after an event.

        What is waited for a device is no work.
        """
        event = replace(event, seconds=self._working_seconds(event))
        here = next((n for n, (key, _) in enumerate(self._phases) if key == (event.turn, event.stage)), self._at)
        if here > self._at:
            self._at, self._began = here, event.seconds
        left = self._left_here(event) + self._factor(event) * sum(s for _, s in self._phases[self._at + 1 :])
        done = max(0.0, event.seconds)
        self._share = max(self._share, done / (done + left) if done + left > 0 else 0.0)
        return self._share, left

    def _working_seconds(self, event: ProgressEvent) -> float:
        """Return the seconds of an event without those in which the job waited for a device."""
        if self._waits_since is None:
            self._waits_since = event.seconds if event.before else None
        elif not event.before:
            self._waited += event.seconds - self._waits_since
            self._waits_since = None
        return (event.seconds if self._waits_since is None else self._waits_since) - self._waited

    def _part(self, event: ProgressEvent) -> float | None:
        """Return how much of the present stage is done; None: it does not say."""
        if event.total <= 1:
            return None
        return min(1.0, (event.done + event.part) / event.total)

    def _left_here(self, event: ProgressEvent) -> float:
        expected, spent, part = self._phases[self._at][1], max(0.0, event.seconds - self._began), self._part(event)
        if not part:
            return max(0.0, expected - spent)
        trust = spent / (spent + _TRUST_SECONDS)
        return (1 - part) * (trust * spent / part + (1 - trust) * expected)

    def _factor(self, event: ProgressEvent) -> float:
        """By how much all has taken longer so far than was expected."""
        here = self._phases[self._at][1] * (self._part(event) or 0.0)
        expected = sum(s for _, s in self._phases[: self._at]) + here
        if expected <= 0:
            return 1.0
        spent = self._began if not here else event.seconds
        measured = max(_LEAST_FACTOR, min(_MOST_FACTOR, spent / expected))
        trust = spent / (spent + _TRUST_SECONDS)
        return float(measured**trust)
