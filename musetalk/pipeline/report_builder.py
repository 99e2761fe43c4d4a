"""The report of a finished render, from what was known before and what was noticed on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from musetalk.backends.spec import AnyBackend
from musetalk.media.ffmpeg_commands import rate_text
from musetalk.media.filters import encoded_size
from musetalk.media.sound.voice import Voice
from musetalk.metrics.types import Measures
from musetalk.pipeline.accounting import (
    count_unenhanced_frames,
    enhance_failure_sentences,
    fallback_frames,
    fallback_names,
    fallback_sentences,
    is_all_fallback,
    join_enhance_failures,
    join_fallbacks,
    spans_of,
)
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.report import LOUDNESS_BINS, EnhanceFailure, Fallback, RenderReport, versions
from musetalk.progress import RenderRun

_SAMPLED_SEGMENTS = 200


def report_of(
    plan: RenderPlan,
    voice: Voice,
    out: Path,
    backend: AnyBackend,
    settings: dict[str, Any],
    run: RenderRun,
    peak_mb: float,
    measures: Measures | None,
) -> RenderReport:
    """Sum up a render.

    Args:
        plan: What was known before.
        voice: That was spoken.
        out: What was made.
        backend: That was asked for.
        settings: As plain values, all of them.
        run: What was noticed.
        peak_mb: Most resident memory, in MiB.
        measures: Of the result; None: nobody asked for them.
    """
    source, timeline = plan.source, plan.timeline
    face_frames = sum(s.stop - s.start for s in plan.segments if s.tracks)
    fallbacks, whole = join_fallbacks(run.fallbacks), is_all_fallback(plan.segments, run.fallbacks)
    enhancer, unrestored = plan.components.enhancer, join_enhance_failures(run.enhance_failures)
    return RenderReport(
        output=str(out),
        frames=timeline.frame_count,
        face_frames=face_frames,
        passthrough_frames=timeline.frame_count - face_frames,
        fallback_frames=fallback_frames(fallbacks),
        fallbacks=fallbacks,
        spans=spans_of(plan, fallbacks),
        loudness=_loudness(plan),
        fps=rate_text(source.fps),
        voice_seconds=float(voice.seconds),
        video_seconds=float(timeline.frame_count / source.fps),
        wall_seconds=round(run.elapsed, 3),
        stages=run.clock.seconds,
        peak_rss_mb=peak_mb,
        backend=backend.name,
        device=plan.session.generator.device,
        detector=plan.components.detector.fingerprint,
        bbox_shift_range=_shift_range(plan),
        warnings=_warnings(run, backend.name, face_frames, fallbacks, unrestored, whole=whole),
        settings=settings,
        versions=versions(),
        measures=measures,
        instead=fallback_names(fallbacks) if whole else "",
        enhancer="" if enhancer is None else enhancer.name,
        restored_frames=0 if enhancer is None else face_frames - count_unenhanced_frames(unrestored),
        unrestored=unrestored,
        source_fps=rate_text(source.clock.own_fps),
        requested=backend.name,
        size=encoded_size((plan.output_layout.width, plan.output_layout.height)),
        frame_steps=tuple(each.chosen.account() for each in plan.components.frame_steps),
        known_frames=run.reused.frames,
        known_faces=run.reused.faces,
    )


def _warnings(
    run: RenderRun,
    backend: str,
    face_frames: int,
    fallbacks: tuple[Fallback, ...],
    unrestored: tuple[EnhanceFailure, ...],
    *,
    whole: bool,
) -> tuple[str, ...]:
    """Return what the user should know, a sentence each: what failed first."""
    failed = (
        *fallback_sentences(fallbacks, backend, face_frames, whole=whole),
        *enhance_failure_sentences(unrestored, face_frames),
    )
    return (*failed, *run.warnings)


def _shift_range(plan: RenderPlan) -> tuple[int, int] | None:
    """Over some of the painted frames, evenly spread."""
    painted = [segment for segment in plan.segments if segment.tracks]
    some = painted[:: max(1, len(painted) // _SAMPLED_SEGMENTS)]
    sources = [plan.timeline.source_frame(segment.start) for segment in some]
    places = [(source, face) for source in sources for face in plan.face_plan.faces(source)]
    return plan.session.cropper.shift_range([source for source, _ in places], [face for _, face in places])


def _loudness(plan: RenderPlan) -> tuple[float, ...]:
    frames = plan.timeline.frame_count
    openness = plan.envelope.window(0, frames)[:, 0]
    starts = np.unique(np.arange(LOUDNESS_BINS) * frames // LOUDNESS_BINS)
    return tuple(np.round(np.maximum.reduceat(openness, starts).astype(float), 3).tolist())
