"""Painting: decode, generate and composite, overlapped, a few frames in memory at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count, islice, repeat, zip_longest

import cv2
import numpy as np

from musetalk.ahead import ahead, through
from musetalk.arrays import UInt8Array
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask
from musetalk.errors import BackendError, GeneratorError
from musetalk.faces.geometry import Placement
from musetalk.generators.types import Clip
from musetalk.layout import first_row_shown
from musetalk.media.playback import play
from musetalk.painter import Painter
from musetalk.preparation import Preparation
from musetalk.progress import RenderRun
from musetalk.segments import Segment


@dataclass(frozen=True, slots=True)
class PaintedFace:
    """One face over the frames of a segment: where its crops lie, where they show, what the generator made of them."""

    placements: tuple[Placement, ...]
    masks: tuple[FaceMask, ...]
    generated: tuple[UInt8Array, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A segment with its frames from `segment.first` on, on its way through the stages.

    Attributes:
        segment: Which.
        frames: uint8 RGB [H, W, 3] each; compositing changes them in place.
        sources: The same as they were decoded, where the render is measured; else empty.
        painted: What the generator made of each face.
    """

    segment: Segment
    frames: list[UInt8Array]
    sources: tuple[UInt8Array, ...] = ()
    painted: tuple[PaintedFace, ...] = ()


@dataclass(frozen=True, slots=True)
class FinishedFrame:
    """One output frame.

    Attributes:
        number: Which.
        picture: uint8 RGB [H, W, 3].
        masks: Where faces were painted in it; none: it passed through.
        source: As it was decoded, where the render is measured.
    """

    number: int
    picture: UInt8Array
    masks: tuple[FaceMask, ...]
    source: UInt8Array | None = None


def render_frames(preparation: Preparation, start: int, stop: int, run: RenderRun) -> Generator[UInt8Array, None, None]:
    """Make output frames [start, stop): uint8 RGB [H, W, 3]; see `finished_frames`."""
    with closing(finished_frames(preparation, start, stop, run)) as frames:
        for frame in frames:
            yield frame.picture


def finished_frames(
    preparation: Preparation, start: int, stop: int, run: RenderRun
) -> Generator[FinishedFrame, None, None]:
    """Make output frames [start, stop).

    Whole segments are made and what was not asked for is dropped, so that a frame's pixels do not depend on the
    range. Closing the iterator ends every thread and child process, also in the middle of a call.
    """
    segments = [s for s in preparation.segments if s.first < stop and s.stop > start]
    run = run.branch()
    decoded = ahead(_decode(preparation, segments, run), capacity=1, name="decode")
    generated = ahead(through(partial(_generate, preparation, run), decoded), capacity=1, name="generate")
    finished = ahead(through(partial(_composite, preparation, run), generated), capacity=1, name="composite")
    with closing(finished):
        try:
            for frame in _joined(finished, segments):
                if start <= frame.number < stop:
                    yield frame
        finally:
            run.cancel.cancel()


def _joined(batches: Iterator[Batch], segments: Sequence[Segment]) -> Iterator[FinishedFrame]:
    """The frames of all segments in order; those that two segments painted cross-faded."""
    held: list[FinishedFrame] = []  # painted by the segment before, and by this one, too
    for batch, after in zip_longest(batches, segments[1:]):
        frames = _finished(batch)
        for place, (before, own) in enumerate(zip(held, frames, strict=False), 1):
            frames[place - 1] = _faded(before, own, place / (len(held) + 1))
        own_frames = frames[batch.segment.lead - len(held) :]
        shared = 0 if after is None else after.lead
        yield from own_frames[: len(own_frames) - shared]
        held = own_frames[len(own_frames) - shared :]


def _finished(batch: Batch) -> list[FinishedFrame]:
    masks = zip(*(painted.masks for painted in batch.painted), strict=True) if batch.painted else repeat(())
    sources = batch.sources or repeat(None)
    parts = zip(count(batch.segment.first), batch.frames, masks, sources, strict=False)
    return [FinishedFrame(*part) for part in parts]


def _faded(before: FinishedFrame, after: FinishedFrame, share: float) -> FinishedFrame:
    """One frame painted twice, mixed; `share` is of the second. What both left alone stays as it is."""
    mixed = cv2.addWeighted(before.picture, 1 - share, after.picture, share, 0)
    return FinishedFrame(before.number, np.asarray(mixed, np.uint8), before.masks + after.masks, before.source)


def paint(preparation: Preparation, batch: Batch, run: RenderRun) -> Batch:
    """Generate and composite one segment, here and now; the frames are changed in place."""
    return _composite(preparation, run, _generate(preparation, run, batch))


def _decode(preparation: Preparation, segments: list[Segment], run: RenderRun) -> Generator[Batch, None, None]:
    if not segments:
        return
    frames = play(
        preparation.source,
        preparation.timeline,
        segments[0].first,
        segments[-1].stop,
        spool_dir=preparation.folder,
        cancel=run.cancel,
    )
    shared: list[UInt8Array] = []  # with the segment before, which paints into its own
    with closing(frames):
        for segment, after in zip_longest(segments, segments[1:]):
            with run.clock.measure("decode"):
                pictures = [*shared, *islice(frames, segment.stop - segment.first - len(shared))]
                shared = [picture.copy() for picture in pictures[len(pictures) - (after.lead if after else 0) :]]
                sources = tuple(picture.copy() for picture in pictures) if preparation.settings.measure else ()
            yield Batch(segment, pictures, sources)


def _generate(preparation: Preparation, run: RenderRun, batch: Batch) -> Batch:
    run.cancel.check()
    segment = batch.segment
    if not segment.tracks:
        return batch
    return replace(batch, painted=tuple(_paint(batch, track, preparation, run) for track in segment.tracks))


def _paint(batch: Batch, track: int, preparation: Preparation, run: RenderRun) -> PaintedFace:
    """Paint one face over a segment: by the chosen backend, or else by its understudy, which is noted."""
    segment, understudy, reason = batch.segment, preparation.understudy, preparation.instead
    try:
        painted = _paint_by(preparation.painter, batch, track, preparation, run)
    except GeneratorError as error:
        if understudy is None:
            raise
        reason = error.problem
    else:
        if reason:
            run.fell_back(segment.first, segment.stop, track, preparation.backend, reason)
        return painted
    # Out here what the failed call held is gone.
    try:
        with run.clock.measure("load"):
            painter = understudy.painter(run.cancel)
        painted = _paint_by(painter, batch, track, preparation, run)
    except BackendError as error:
        raise BackendError(f"{reason}; and who would step in cannot: {error.problem}", error.remedy) from error
    run.fell_back(segment.first, segment.stop, track, painter.backend, reason)
    return painted


def _paint_by(painter: Painter, batch: Batch, track: int, preparation: Preparation, run: RenderRun) -> PaintedFace:
    """Let a painter paint one face over a segment, in clips that it can take."""
    length, count = painter.generator.clip_length, len(batch.frames)
    clips = [range(start, min(start + length, count)) for start in range(0, count, length)]
    with run.clock.measure("generate"):
        parts = [_paint_clip(painter, batch, clip, track, preparation, run) for clip in clips]
    placements, masks, generated = zip(*((part.placements, part.masks, part.generated) for part in parts), strict=True)
    return PaintedFace(tuple(chain(*placements)), tuple(chain(*masks)), tuple(chain(*generated)))


def _paint_clip(
    painter: Painter, batch: Batch, part: range, track: int, preparation: Preparation, run: RenderRun
) -> PaintedFace:
    """Paint one face over frames of a segment, counted from its first."""
    layout, start = painter.layout, batch.segment.first
    sources = [preparation.timeline.source_frame(start + frame) for frame in part]
    faces = [next(f for f in preparation.plan.faces(source) if f.track == track) for source in sources]
    placements = tuple(layout.crops(sources, faces))
    masks = tuple(layout.mask(*each) for each in zip(sources, faces, placements, strict=True))
    frames = batch.frames[part.start : part.stop]
    crops = np.stack([p.extract(frame) for p, frame in zip(placements, frames, strict=True)])
    in_crop = tuple(p.to_crop(face) for p, face in zip(placements, faces, strict=True))
    speech = painter.speech.window(start + part.start, start + part.stop)
    reached, share = _reached(batch.segment, part, track)
    clip = Clip(
        crops,
        speech,
        in_crop,
        first_row_shown(masks, placements),
        check=run.cancel.check,
        step=lambda done, total: run.painting(reached + share * done / total),
        note=run.warn,
    )
    return PaintedFace(placements, masks, tuple(painter.generator.generate(clip)))


def _reached(segment: Segment, part: range, track: int) -> tuple[float, float]:
    """How far painting has come before one face in a part of a segment, and how far that brings it: output frames."""
    whole = segment.stop - segment.first
    own = (segment.stop - segment.start) / len(segment.tracks)  # what is painted again counts for nothing
    before = segment.start + own * (segment.tracks.index(track) + part.start / whole)
    return before, own * len(part) / whole


def _composite(preparation: Preparation, run: RenderRun, batch: Batch) -> Batch:
    run.cancel.check()
    with run.clock.measure("composite"):
        for painted in batch.painted:
            parts = zip(batch.frames, painted.generated, painted.placements, painted.masks, strict=True)
            for frame, generated, placement, mask in parts:
                composite(frame, generated, placement, mask)
    return batch
