"""What has happened to jobs since this process began, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from musetalk.jobs.job import Job
from musetalk.pipeline.report import RenderReport
from musetalk.utils.prometheus import Counter, Family, Histogram, gauge

Origin: TypeAlias = Literal["submitted", "retried", "kept"]
Outcome: TypeAlias = Literal["done", "failed", "cancelled"]


class JobTally:
    """Counts jobs from where they come to how they end. What is counted at once has to be counted under one lock."""

    def __init__(self) -> None:
        self._accepted = Counter(
            "musetalk_jobs_accepted_total",
            "Jobs taken into the queue: submitted, asked for once more, or kept by the process before this one.",
            "origin",
            known=get_args(Origin),
        )
        self._ended = Counter("musetalk_jobs_ended_total", "Jobs that ended, by how.", "state", known=get_args(Outcome))
        self._failures = Counter("musetalk_job_failures_total", "Jobs that failed, by the kind of their error.", "kind")
        self._waited = Histogram("musetalk_job_wait_seconds", "How long jobs waited for their turn.")
        self._took = Histogram(
            "musetalk_job_seconds", "How long jobs worked, by how they ended.", "state", known=get_args(Outcome)
        )
        self._stages = Histogram(
            "musetalk_stage_seconds",
            "Seconds of work in each stage of a render that was done; stages overlap.",
            "stage",
        )
        self._frames = Counter(
            "musetalk_frames_total",
            "Output frames of renders that were done, by the backend that was asked and how they were made.",
            "backend",
            "made",
        )
        self._fallbacks = Counter(
            "musetalk_fallback_frames_total",
            "Of these, faces that another backend painted, and the kind of the error behind that.",
            "backend",
            "by",
            "kind",
        )

    def accepted(self, origin: Origin, jobs: int = 1) -> None:
        """Count jobs that are in the queue now."""
        self._accepted.add(jobs, origin)

    def started(self, waited: float) -> None:
        """Count a job whose turn has come, after that many seconds."""
        self._waited.observe(waited)

    def ended(self, job: Job, state: Outcome, kind: str, now: float) -> None:
        """Count the end of a job, as it was until `now`; `kind`: of its error."""
        self._ended.add(1, state)
        if state == "failed":
            self._failures.add(1, kind)
        if job.started is not None:
            self._took.observe(max(0.0, now - job.started), state)

    def rendered(self, report: RenderReport) -> None:
        """Count what a render has made."""
        for stage, seconds in report.stages.items():
            self._stages.observe(seconds, stage)
        for span in report.spans:
            self._frames.add(span.stop - span.start, report.backend, span.kind)
        for fallback in report.fallbacks:
            frames = fallback.stop - fallback.start
            self._fallbacks.add(frames, report.backend, fallback.backend, fallback.kind)

    def figures(self, active: Sequence[Job], limit: int, now: float) -> list[Family]:
        """Return all that was counted, and what is so now.

        Args:
            active: Jobs that have not ended.
            limit: Most there may be of them.
            now: Seconds since the epoch.
        """
        counting = (self._accepted, self._ended, self._failures, self._waited, self._took, self._stages)
        waits = [now - job.created for job in active if job.state == "queued"]
        states, oldest = {"waiting": len(waits), "running": len(active) - len(waits)}, max(waits, default=0.0)
        return [
            *(each.family() for each in (*counting, self._frames, self._fallbacks)),
            gauge("musetalk_jobs", "Jobs that have not ended.", states, "state"),
            gauge("musetalk_jobs_limit", "Most that may wait and run before others are refused.", limit),
            gauge("musetalk_queue_oldest_seconds", "How long the next job has waited.", oldest),
        ]
