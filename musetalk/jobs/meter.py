"""Speed and remaining time of a stage, from progress events."""

from __future__ import annotations

from collections import deque

from musetalk.jobs.job import JobProgress
from musetalk.jobs.whole_meter import WholeMeter
from musetalk.pipeline.forecast import Forecast
from musetalk.progress import ProgressEvent

_WINDOW_SECONDS = 5.0  # a rate is taken over the last few clips, not over one
_LEAST_SECONDS = 0.3
_KEEP_EVERY_SECONDS = 1.0


class ProgressMeter:
    """Reads the events of one job, in order.

    Args:
        forecast: How long all of it should take; None: nobody knows.
    """

    def __init__(self, forecast: Forecast | None = None) -> None:
        self._whole = None if forecast is None else WholeMeter(forecast)
        self._stage = ""
        self._reached = (0, 0)
        self._note = ""
        self._points: deque[tuple[float, float]] = deque()
        self._kept: tuple[str, float] = ("", 0.0)

    def read(self, event: ProgressEvent) -> JobProgress:
        """Return the progress after an event."""
        done, total = self._reached
        if event.stage != self._stage or event.done < done or event.total != total:  # the next backend's, if no other
            self._stage = event.stage
            self._points.clear()
        self._reached = (event.done, event.total)
        self._note = event.note or self._note
        come = event.done + event.part
        if not self._points or come != self._points[-1][1]:  # what is painted is written without coming any further
            self._points.append((event.seconds, come))
        while len(self._points) > 2 and event.seconds - self._points[0][0] > _WINDOW_SECONDS:
            self._points.popleft()
        first_seconds, first_done = self._points[0]
        elapsed = event.seconds - first_seconds
        rate = max(0.0, come - first_done) / elapsed if elapsed >= _LEAST_SECONDS else 0.0
        left = max(0.0, event.total - come) / rate if rate > 0 and event.total else None
        whole, whole_left = (None, None) if self._whole is None else self._whole.read(event)
        return JobProgress(
            stage=event.stage,
            done=event.done,
            total=event.total,
            frames_per_second=round(rate, 2),
            seconds_left=None if left is None else round(left, 1),
            part=round(event.part, 3),
            note=self._note,
            step=event.step,
            steps=event.steps,
            before=event.before,
            whole=None if whole is None else round(whole, 4),
            whole_seconds_left=None if whole_left is None else round(whole_left, 1),
        )

    def worth_keeping(self, event: ProgressEvent) -> bool:
        """Return whether an event should reach the disk: a stage's first, then one a second."""
        stage, seconds = self._kept
        if event.stage == stage and event.seconds - seconds < _KEEP_EVERY_SECONDS:
            return False
        self._kept = (event.stage, event.seconds)
        return True
