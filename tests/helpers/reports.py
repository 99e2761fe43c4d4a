"""Reports without a render."""

from __future__ import annotations

import os
from pathlib import Path

from musetalk.pipeline.report import RenderReport
from musetalk.settings import RenderSettings


def some_report(out: Path, settings: RenderSettings, *, frames: int = 1) -> RenderReport:
    """As of a render in which every frame had a face, by this process."""
    return RenderReport(
        output=str(out),
        frames=frames,
        face_frames=frames,
        passthrough_frames=0,
        fallback_frames=0,
        fallbacks=(),
        spans=(),
        loudness=(),
        fps="25/1",
        voice_seconds=frames / 25,
        video_seconds=frames / 25,
        wall_seconds=0.1,
        stages={},
        peak_rss_mb=0.0,
        backend=settings.backend,
        device=str(os.getpid()),
        bbox_shift_range=None,
        detector="haar-1",
        warnings=(),
        settings=settings.model_dump(mode="json"),
        versions={},
    )
