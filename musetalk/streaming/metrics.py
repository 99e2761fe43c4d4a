"""How quick a live session is, in the words that others publish."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from pydantic import BaseModel, ConfigDict

_KEPT = 1000  # of the newest values, of which percentiles are told


class Percentiles(BaseModel):
    """Of the newest values of a kind, in milliseconds. None: there were none."""

    model_config = ConfigDict(frozen=True)

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """Return those of some values."""
        known = list(values)
        if not known:
            return cls(p50=None, p95=None, p99=None)
        p50, p95, p99 = (round(float(value), 3) for value in np.percentile(known, (50, 95, 99)))
        return cls(p50=p50, p95=p95, p99=p99)


class LiveMetrics(BaseModel):
    """What a session has measured so far.

    Attributes:
        frames: Frames that were taken.
        first_frame_cold_ms: From the first sample of the session's first voice to the first frame that speaks it.
        first_frame_ms: The same of later voices.
        frame_ms: What a frame with a painted face takes to be made.
        steady_fps: Frames with a painted face that could be made in a second.
        interrupt_ms: From an interruption to the first frame in which the mouth is back at rest.
    """

    model_config = ConfigDict(frozen=True)

    frames: int
    first_frame_cold_ms: float | None
    first_frame_ms: Percentiles
    frame_ms: Percentiles
    steady_fps: float | None
    interrupt_ms: Percentiles


class Meter:
    """Takes times of a session. Not thread-safe.

    Args:
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._frames = 0
        self._cold: float | None = None
        self._first, self._work, self._interrupts = (deque[float](maxlen=_KEPT) for _ in range(3))
        self._begun: dict[int, float] = {}  # when the voices began that were not yet seen
        self._interrupted: float | None = None

    def voice_begins(self, number: int) -> None:
        """The first sample of a voice arrives."""
        self._begun[number] = self._now()

    def interrupted(self) -> None:
        """The voice is interrupted."""
        self._interrupted = self._now()
        self._begun.clear()

    def made(self, frames: int, seconds: float) -> None:
        """Frames with painted faces were made in so many seconds."""
        self._work.extend([1000 * seconds / frames] * frames)

    def taken(self, utterance: int | None, *, rests: bool) -> None:
        """A frame is taken: one that speaks a voice, or one in which nothing is painted, or one in between."""
        self._frames += 1
        began = None if utterance is None else self._begun.pop(utterance, None)
        if began is not None:
            passed = self._passed(began)
            if self._cold is None:
                self._cold = passed
            else:
                self._first.append(passed)
        if rests and self._interrupted is not None:
            self._interrupts.append(self._passed(self._interrupted))
            self._interrupted = None

    @property
    def metrics(self) -> LiveMetrics:
        """What was measured so far."""
        return LiveMetrics(
            frames=self._frames,
            first_frame_cold_ms=None if self._cold is None else round(self._cold, 3),
            first_frame_ms=Percentiles.of(self._first),
            frame_ms=Percentiles.of(self._work),
            steady_fps=round(1000 / float(np.mean(self._work)), 2) if self._work else None,
            interrupt_ms=Percentiles.of(self._interrupts),
        )

    def _passed(self, since: float) -> float:
        return 1000 * (self._now() - since)
