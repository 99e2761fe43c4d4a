"""Faces of a source: looked for frame by frame, or taken over where an earlier render has looked."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceDetector
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.pipeline.face_sampling import MAX_SAMPLES, find_oddity
from musetalk.pipeline.kept_findings import KeptSource
from musetalk.progress import RenderRun
from musetalk.settings import FaceChoice, TrackerSettings
from musetalk.utils.arrays import UInt8Array


def find_faces(
    source: Source,
    total: int,
    detector: FaceDetector,
    settings: TrackerSettings,
    choice: FaceChoice,
    kept: KeptSource | None,
    keep_in: Path,
    run: RenderRun,
) -> FacePlan:
    """Find the faces of the frames before `total`.

    Args:
        source: The video or picture.
        total: How many of its frames are wanted.
        detector: What looks.
        settings: Cuts, bridging, smoothing.
        choice: Which faces matter.
        kept: What was found before, and what is found now; None: nothing was, and nothing is kept.
        keep_in: Where whole pictures may be kept meanwhile; see `decode`.
        run: Progress, cancellation, warnings; is told how much was taken over.
    """
    looks = None if kept is None else kept.looks(detector, settings.shot_threshold, choice)
    known, note = ([], None) if looks is None else looks.known(total)
    run.reused.frames = known[-1].stop if known else 0
    complete = known and (known[-1].final or known[-1].stop == total)
    start = total if complete else known[-1].resume if known else 0
    run.emit("plan", run.reused.frames, total)
    judged: dict[int, UInt8Array] = {}
    read = partial(read_frames, source, max_side=detector.max_side, cancel=run.cancel)
    with closing(_keeping(read(start, total, keep_in=None if start else keep_in), start, total, judged)) as frames:
        plan = plan_faces(
            frames,
            frame_size=(source.width, source.height),
            fps=source.fps,
            detector=detector,
            settings=settings,
            choice=choice,
            on_frame=lambda done: run.emit("plan", done, total),
            cancel=run.cancel,
            known=known,
            on_look=None if looks is None else looks.add,
        )
    if note is None:
        for number in sorted(_to_judge(total)):
            if number < min(start, plan.frame_count):
                with closing(read(number, number + 1)) as frames:
                    judged.update((number, frame) for frame in frames)
        note = _oddity(plan, judged, total)
        if looks is not None:
            looks.finish(total, note)
    for sentence in (note, *(() if looks is None else looks.problems)):
        if sentence:
            run.warn(sentence)
    return plan


def find_faces_around(
    source: Source,
    frames: range,
    detector: FaceDetector,
    settings: TrackerSettings,
    choice: FaceChoice,
    run: RenderRun,
) -> FacePlan:
    """Find all faces of a few frames in a row, however many; the plan's first frame is the first of them."""
    start, stop = frames.start, frames.stop
    with closing(read_frames(source, start, stop, max_side=detector.max_side, cancel=run.cancel)) as pictures:
        return plan_faces(
            pictures,
            frame_size=(source.width, source.height),
            fps=source.fps,
            detector=detector,
            settings=settings,
            choice=choice,
            every=True,
            on_frame=lambda done: run.emit("plan", done, len(frames)),
            cancel=run.cancel,
        )


def _oddity(plan: FacePlan, judged: dict[int, UInt8Array], total: int) -> str:
    """Return what is unusual in frames that are judged, given by their numbers."""
    pictures = sorted(judged.items(), key=lambda each: each[0])
    showing = [picture for frame, picture in pictures if plan.faces(frame)]
    return find_oddity([picture for _, picture in pictures], showing, alone=total == 1)


def _to_judge(total: int) -> set[int]:
    """Return a few of `total` frames, far apart."""
    return {total * (2 * index + 1) // (2 * MAX_SAMPLES) for index in range(MAX_SAMPLES)}


def _keeping(
    frames: Iterator[UInt8Array], start: int, total: int, kept: dict[int, UInt8Array]
) -> Generator[UInt8Array, None, None]:
    """Pass frames on, which begin with number `start`, and keep copies of those that are judged by their number."""
    wanted = _to_judge(total)
    for number, frame in enumerate(frames, start):
        if number in wanted:
            kept[number] = frame.copy()
        yield frame
