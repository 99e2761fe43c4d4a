"""Painting: what the generator makes of the faces of a segment, and who steps in where it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from musetalk.backends.types import Clip, FaceGenerator, Masked
from musetalk.compositing.masks import FaceMask, thinned
from musetalk.errors import BackendError, GeneratorError
from musetalk.faces.crops.crop import Placement
from musetalk.faces.types import FaceSample
from musetalk.pipeline.fallback import Painter
from musetalk.pipeline.masking import first_row_shown
from musetalk.pipeline.prepare import Preparation
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.stopping import ends_by, left_alone


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restorer made of one face in one frame.

    Attributes:
        placement: The part of the frame that it was shown.
        face: uint8 RGB [S', S', 3].
        mask: Where, and how strongly, that shows.
    """

    placement: Placement
    face: UInt8Array
    mask: FaceMask


@dataclass(frozen=True, slots=True)
class FaceSteps:
    """How one face in one frame was made.

    Attributes:
        backend: The name of what painted it.
        face: As planned.
        placement: Where its crop lies.
        mask: Where that shows.
        generated: What the generator made of it.
        restored: What a restorer made of that; None: nothing was restored.
        masked: The crop as its painter was shown it, uint8 RGB [S, S, 3]; None: nothing was hidden, or nobody asked.
    """

    backend: str
    face: FaceSample
    placement: Placement
    mask: FaceMask
    generated: UInt8Array
    restored: Restored | None
    masked: UInt8Array | None = None

    @property
    def shown(self) -> tuple[FaceMask, ...]:
        """Where anything of it shows."""
        return (self.mask,) if self.restored is None else (self.mask, self.restored.mask)


@dataclass(frozen=True, slots=True)
class PaintedFace:
    """One face over the frames of a segment.

    Attributes:
        track: Whose face.
        backend: The name of what painted it.
        faces: As planned.
        placements: Where its crops lie.
        masks: Where they show.
        presence: How much of them shows, 0 to 1: less than 1 while they fade into a pause, or out of one.
        generated: What the generator made of them.
        masked: What their painter was shown of crops; see `GeneratorSpec`.
        restored: What a restorer made of that; empty: nothing was restored.
    """

    track: int
    backend: str
    faces: tuple[FaceSample, ...]
    placements: tuple[Placement, ...]
    masks: tuple[FaceMask, ...]
    presence: tuple[float, ...]
    generated: tuple[UInt8Array, ...]
    masked: Masked | None
    restored: tuple[Restored, ...] = ()

    def steps(self) -> list[FaceSteps]:
        """The same frame by frame."""
        restored = self.restored or (None,) * len(self.faces)
        masks = map(thinned, self.masks, self.presence)
        parts = zip(self.faces, self.placements, masks, self.generated, restored, strict=True)
        return [FaceSteps(self.backend, *part) for part in parts]


@dataclass(frozen=True, slots=True)
class Batch:
    """A segment with its frames from `segment.first` on, on its way through the stages.

    Attributes:
        segment: Which.
        frames: uint8 RGB [H, W, 3] each; compositing changes them in place.
        sources: The same as they were decoded, where somebody wants to see them beside the result; else empty.
        painted: What the generator made of each face.
    """

    segment: Segment
    frames: list[UInt8Array]
    sources: tuple[UInt8Array, ...] = ()
    painted: tuple[PaintedFace, ...] = ()


def generate(preparation: Preparation, run: RenderRun, batch: Batch) -> Batch:
    """Paint every face of a segment; the frames stay as they are."""
    run.cancel.check()
    segment = batch.segment
    if not segment.tracks:
        return batch
    with ends_by(run.cancel.check):
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
    stride = painter.generator.spec.stride_at(preparation.source.fps)
    length, count = stride * painter.generator.clip_length, len(batch.frames)
    clips = [range(start, min(start + length, count)) for start in range(0, count, length)]
    with run.clock.measure("generate"):
        parts = [_paint_clip(painter, batch, clip, track, preparation, run) for clip in clips]
    return replace(
        parts[0],
        faces=tuple(chain(*(part.faces for part in parts))),
        placements=tuple(chain(*(part.placements for part in parts))),
        masks=tuple(chain(*(part.masks for part in parts))),
        presence=tuple(chain(*(part.presence for part in parts))),
        generated=tuple(chain(*(part.generated for part in parts))),
    )


def _paint_clip(
    painter: Painter, batch: Batch, part: range, track: int, preparation: Preparation, run: RenderRun
) -> PaintedFace:
    """Paint one face over frames of a segment, counted from its first."""
    layout, start = painter.layout, batch.segment.first
    sources = [preparation.timeline.source_frame(start + frame) for frame in part]
    faces = tuple(next(f for f in preparation.plan.faces(source) if f.track == track) for source in sources)
    placements = tuple(layout.crops(sources, faces))
    masks = tuple(layout.mask(*each) for each in zip(sources, faces, placements, strict=True))
    presence = tuple(preparation.presence_of(start + frame) for frame in part)
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
        step=lambda done, total: run.painting(reached + share * done / total, (done, total)),
        note=run.warn,
        stride=painter.generator.spec.stride_at(preparation.source.fps),
    )
    generated, masked = tuple(_generated(painter.generator, clip, preparation)), painter.generator.spec.masked_input
    return PaintedFace(track, painter.backend, faces, placements, masks, presence, generated, masked)


def _generated(generator: FaceGenerator, clip: Clip, preparation: Preparation) -> UInt8Array:
    """What the generator makes of a clip.

    Neither a compiler, which works in the first call, nor a video network's layer, which takes a CPU seconds, is waited
    for.
    """
    if preparation.settings.network.compile or generator.device == "cpu":
        return left_alone(lambda: generator.generate(clip))
    return generator.generate(clip)


def _reached(segment: Segment, part: range, track: int) -> tuple[float, float]:
    """How far painting has come before one face in a part of a segment, and how far that brings it: output frames."""
    whole = segment.stop - segment.first
    own = (segment.stop - segment.start) / len(segment.tracks)  # what is painted again counts for nothing
    before = segment.start + own * (segment.tracks.index(track) + part.start / whole)
    return before, own * len(part) / whole
