"""Preflight: probes the inputs and estimates the work; what cannot work fails here, in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from musetalk.errors import DiskSpaceError, OutputError
from musetalk.faces.types import FaceDetector
from musetalk.frame_steps.registry import FrameStepRegistry, size_after
from musetalk.media.captions import read_captions
from musetalk.media.inputs import open_inputs
from musetalk.media.rate_notes import notes_on_rate
from musetalk.media.sound.voice import Voice, extract_voice
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.media.writer import OUTPUT_SUFFIXES, check_encoder
from musetalk.pipeline.face_sampling import Sampling, sample_faces
from musetalk.pipeline.file_uses import FileUses
from musetalk.pipeline.forecast import Costs, RenderKind, Work, stage_seconds
from musetalk.pipeline.kept_findings import KeptFindings
from musetalk.pipeline.space import estimate_space
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import FrameStepChoice, InputSettings, OutputSettings
from musetalk.utils.files import readable
from musetalk.utils.units import apart, counted, duration, number, size

STEPS = 5  # of the stage; the last one, loading the backend, is the caller's
# Begin the part of what is told that whoever forecasts a job can leave out.
LEARNED, GUESSED = "by renders made here it takes about", "by a first guess, the work beside the backend's takes about"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is known of a job before it starts.

    Attributes:
        source: The video or picture.
        voice: The voice, already extracted.
        timeline: Which source frame each output frame shows.
        sampled_frames: Frames that were looked at for faces.
        sampled_faces: Of these, frames with a face.
        estimated_seconds: How long the render should take, the backend's own work left out.
        forecast_seconds: How long all of it should take, by renders that were made here; None: none was yet.
        estimated_memory_mb: How much memory it should need, in MiB.
        estimated_disk_mb: How much disk it should need while it runs, in MiB.
        kept: What earlier renders found; None: nothing is looked up.
    """

    source: Source
    voice: Voice
    timeline: Timeline
    sampled_frames: int
    sampled_faces: int
    estimated_seconds: float
    forecast_seconds: float | None
    estimated_memory_mb: float
    estimated_disk_mb: float
    kept: KeptFindings | None = None


def check_output(out: Path, uses: FileUses, settings: OutputSettings) -> None:
    """Make sure, before anything else, that the output can be written and that it destroys nothing.

    Args:
        out: The file to make.
        uses: All files that are read and written, `out` among them.
        settings: What is made of finished frames.

    Raises:
        OutputError: Its name, its folder or the codec will not do, or one file is in another one's way.
        MediaError: What is to be read has a name that no file can have, or captions are none.
    """
    if out.suffix.lower() not in OUTPUT_SUFFIXES:
        problem, remedy = f'"{readable(out.name)}" is no video name', f"end it in one of {', '.join(OUTPUT_SUFFIXES)}"
        raise OutputError(problem, remedy, path=out)
    uses.check()
    check_encoder(settings.encoder)
    if settings.captions is not None:
        read_captions(settings.captions)


def run_preflight(
    video: Path,
    voice: Path,
    wanted: InputSettings,
    detector: FaceDetector | None,
    kind: RenderKind,
    costs: Costs,
    *,
    folder: Path,
    run: RenderRun,
    frame_steps: Sequence[FrameStepChoice] = (),
    kept: KeptFindings | None = None,
) -> Preflight:
    """Probe both inputs, and estimate what the render will take.

    Args:
        video: The source.
        voice: The voice.
        wanted: How they are read.
        detector: What looks for faces in a few frames; None: nothing does, for a render looks at all of them next.
        kind: Of the render.
        costs: Of renders of that kind.
        folder: The job's temporary directory; the voice is extracted into it.
        run: Gets the warnings.
        frame_steps: What will be done to finished frames.
        kept: What earlier renders found, which costs nothing any more; None: nothing is looked up.

    Raises:
        MediaError: An input cannot be used (see its subclasses).
        SettingsError: A frame step cannot work; or another error of its own.
        OutputError: There is too little disk.
    """
    extract = partial(extract_voice, voice, folder, wanted.source.limits, track=wanted.voice_track)
    source, sound = open_inputs(video, wanted.source, extract, run.cancel)
    run.emit("preflight", 2, STEPS)
    timeline = plan_timeline(source.frame_count, source.fps, sound.seconds, length=wanted.length, tail=wanted.tail)
    sampled = Sampling(0, 0) if detector is None else sample_faces(source, timeline, detector, run.cancel)
    if sampled.oddity:
        run.warn(sampled.oddity)
    run.emit("preflight", 3, STEPS)
    costs = costs if kept is None else _what_is_left(costs, kept, source, timeline, run.cancel)
    whole, beside = _forecast(source, timeline, kind, costs)
    steps, limits = FrameStepRegistry().chosen(frame_steps), wanted.source.limits
    space = estimate_space(source, timeline, size_after(steps, (source.width, source.height), limits))
    _check_disk(folder, space.disk)
    _note_facts(source, wanted.source.fps, (*sound.notes, *(note for step in steps for note in step.check())), run)
    preflight = Preflight(
        source=source,
        voice=sound,
        timeline=timeline,
        sampled_frames=sampled.frames,
        sampled_faces=sampled.with_face,
        estimated_seconds=beside,
        forecast_seconds=whole if costs.frames else None,
        estimated_memory_mb=space.memory / 2**20,
        estimated_disk_mb=space.disk / 2**20,
        kept=kept,
    )
    run.emit("preflight", 4, STEPS, note="; ".join([describe(preflight), *sound.notes]))
    return preflight


def _what_is_left(costs: Costs, kept: KeptFindings, source: Source, timeline: Timeline, cancel: CancelToken) -> Costs:
    """Return what a render costs where some of it was found before."""
    found = kept.of(source, timeline.sources_used, cancel)
    return costs if found is None else costs.spared(*found.shares(timeline.sources_used))


def _forecast(source: Source, timeline: Timeline, kind: RenderKind, costs: Costs) -> tuple[float, float]:
    """Return how many seconds the whole render takes, and how many of them all but painting."""
    whole = sum(stage_seconds(Work.of(source, float(timeline.frame_count / source.fps)), kind, costs).values())
    return whole, whole - timeline.frame_count * costs.paint * kind.loop_steps


def _check_disk(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        amount, there = apart(needed, free, size)
        raise DiskSpaceError(
            f"the render needs some {amount} of disk, and {there} {'is' if there.startswith('1 ') else 'are'} free",
            "free some space, or write elsewhere",
        )


def describe(preflight: Preflight) -> str:
    """Return what was found and estimated, in a sentence."""
    source, looked = preflight.source, preflight.sampled_frames
    seen = f"a face in {preflight.sampled_faces} of {counted(looked, 'sampled frame')}; " if looked else ""
    memory, disk = (size(mb * 2**20) for mb in (preflight.estimated_memory_mb, preflight.estimated_disk_mb))
    return (
        f"{source.width}x{source.height} at {number(float(source.fps), 5)} frames/s, voice "
        f"{duration(float(preflight.voice.seconds))}; {seen}"
        f"{_estimate(preflight)}; beside the backend's own, about {memory} of "
        f"memory; {disk} of disk"
    )


def _estimate(preflight: Preflight) -> str:
    if preflight.forecast_seconds is not None:
        return f"{LEARNED} {duration(max(1, round(preflight.forecast_seconds)))}"
    return f"{GUESSED} {duration(max(1, round(preflight.estimated_seconds)))}"


def _note_facts(source: Source, asked: Fraction | None, others: Sequence[str], run: RenderRun) -> None:
    for note in (*others, *source.notes, *notes_on_rate(source, asked)):
        run.warn(note)
