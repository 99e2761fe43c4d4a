"""What a simulated batch used, and the reports and parts of renders that nobody made."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.fleet_model import FPS, PART_SECONDS, Clip
from musetalk.batch.executor import RenderTask
from musetalk.pipeline.report import RenderReport

PART_FRAMES = round(PART_SECONDS * FPS)


@dataclass(frozen=True, slots=True)
class Parts:
    """How many frames and parts a clip has; see `musetalk.batch.executor.Parts`."""

    frames: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return math.ceil(self.frames / PART_FRAMES)


@dataclass(slots=True)
class Usage:
    """What a batch used.

    Attributes:
        busy: Seconds in which workers did something, of all together.
        work: Seconds of undisturbed work on tasks; of these, `plan` to find faces, and `redone` for nothing.
        load: Seconds of undisturbed work until workers were ready.
        bytes: Of storage, both ways.
        driver: Seconds of the driver, by what for.
        video_seconds: Of what was made.
        tasks, failed, lost: Tasks that were begun, those that failed, workers that were lost.
    """

    busy: float = 0.0
    work: float = 0.0
    plan: float = 0.0
    redone: float = 0.0
    load: float = 0.0
    bytes: float = 0.0
    driver: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    video_seconds: float = 0.0
    tasks: int = 0
    failed: int = 0
    lost: int = 0


def report_of(task: RenderTask, clip: Clip) -> RenderReport:
    """Return the report of a render of which only its length matters."""
    seconds = clip.frames / FPS
    return RenderReport(
        output=str(task.out),
        frames=clip.frames,
        face_frames=clip.frames,
        passthrough_frames=0,
        fallback_frames=0,
        fallbacks=(),
        spans=(),
        loudness=(),
        fps=f"{FPS}/1",
        voice_seconds=seconds,
        video_seconds=seconds,
        wall_seconds=0.0,
        stages={},
        peak_rss_mb=0.0,
        backend=task.settings.backend,
        device="",
        detector="",
        bbox_shift_range=None,
        warnings=(),
        settings={},
        versions={},
    )


def frames_of(part: int, clip: Clip) -> int:
    """Return how many frames a part of a clip has."""
    return min(PART_FRAMES, clip.frames - part * PART_FRAMES)
