"""Generation: faces of a segment by the generator, or by the fallback where it fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from musetalk.backends.types import Clip, FaceGenerator
from musetalk.compositing.masks import FaceMask, scale_alpha
from musetalk.errors import BackendError, ComputeError, OutOfMemoryError
from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.types import FaceSample
from musetalk.media.frames import Frame
from musetalk.pipeline.backend_session import BackendSession
from musetalk.pipeline.cropping import crop_from
from musetalk.pipeline.masking import first_row_shown
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.stopping import ends_by, left_alone
from musetalk.utils.units import listed


@dataclass(frozen=True, slots=True)
class EnhancedFace:
    """What an enhancer made of one face in one frame.

    Attributes:
        transform: The part of the frame that it was shown.
        face: uint8 RGB [S', S', 3].
        mask: Where, and how strongly, that shows.
    """

    transform: CropTransform
    face: UInt8Array
    mask: FaceMask


@dataclass(frozen=True, slots=True)
class FaceSteps:
    """How one face in one frame was made.

    Attributes:
        backend: The name of what painted it.
        face: As planned.
        transform: Where its crop lies.
        mask: Where that shows.
        generated: What the generator made of it.
        enhanced: What an enhancer made of that; None: nothing was enhanced.
        masked: The crop as its generator was shown it, uint8 RGB [S, S, 3]; None: nothing was hidden, or nobody asked.
    """

    backend: str
    face: FaceSample
    transform: CropTransform
    mask: FaceMask
    generated: UInt8Array
    enhanced: EnhancedFace | None
    masked: UInt8Array | None = None

    @property
    def shown(self) -> tuple[FaceMask, ...]:
        """Where anything of it shows."""
        return (self.mask,) if self.enhanced is None else (self.mask, self.enhanced.mask)


@dataclass(frozen=True, slots=True)
class GeneratedFace:
    """One face over the frames of a segment.

    Attributes:
        track: Whose face.
        backend: The name of what painted it.
        faces: As planned.
        transforms: Where its crops lie.
        masks: Where they show.
        presence: How much of them shows, 0 to 1: less than 1 while they fade into a pause, or out of one.
        generated: What the generator made of them.
        enhanced: What an enhancer made of that; empty: nothing was enhanced.
    """

    track: int
    backend: str
    faces: tuple[FaceSample, ...]
    transforms: tuple[CropTransform, ...]
    masks: tuple[FaceMask, ...]
    presence: tuple[float, ...]
    generated: tuple[UInt8Array, ...]
    enhanced: tuple[EnhancedFace, ...] = ()

    def steps(self) -> list[FaceSteps]:
        """The same frame by frame."""
        enhanced = self.enhanced or (None,) * len(self.faces)
        masks = map(scale_alpha, self.masks, self.presence)
        parts = zip(self.faces, self.transforms, masks, self.generated, enhanced, strict=True)
        return [
            FaceSteps(
                backend=self.backend, face=face, transform=transform, mask=mask, generated=generated, enhanced=own
            )
            for face, transform, mask, generated, own in parts
        ]


@dataclass(frozen=True, slots=True)
class Batch:
    """A segment with its frames from `segment.first` on, on its way through the stages.

    Attributes:
        segment: Which.
        frames: As they are decoded; compositing changes them in place.
        sources: The same as they were decoded, where somebody wants to see them beside the result; else empty.
        painted: What the generator made of each face.
    """

    segment: Segment
    frames: list[Frame]
    sources: tuple[Frame, ...] = ()
    painted: tuple[GeneratedFace, ...] = ()


def generate(plan: RenderPlan, run: RenderRun, batch: Batch) -> Batch:
    """Paint every face of a segment; the frames stay as they are."""
    run.cancel.check()
    segment = batch.segment
    if not segment.tracks:
        return batch
    with ends_by(run.cancel.check):
        return replace(batch, painted=tuple(_generate_face(batch, track, plan, run) for track in segment.tracks))


def _generate_face(batch: Batch, track: int, plan: RenderPlan, run: RenderRun) -> GeneratedFace:
    """Paint one face over a segment: by the chosen backend, or else by its fallback, which is noted."""
    segment, fallback = batch.segment, plan.fallback
    reason, kind = plan.components.fallback_reason, plan.components.fallback_kind
    try:
        painted = _generate_by_chosen(batch, track, plan, run)
    except ComputeError as error:
        if fallback is None:
            raise
        reason, kind = error.problem, error.kind
    else:
        if reason:
            run.record_fallback(segment.first, segment.stop, track, plan.session.backend, reason, kind)
        return painted
    # Out here what the failed call held is gone.
    try:
        with run.clock.measure("load"):
            session = fallback.session(run.cancel)
        painted = _generate_by(session, batch, track, plan, run)
    except BackendError as error:
        raise error.retold(f"{reason}; and who would step in cannot: {error.problem}") from error
    run.record_fallback(segment.first, segment.stop, track, session.backend, reason, kind)
    return painted


def _generate_by_chosen(batch: Batch, track: int, plan: RenderPlan, run: RenderRun) -> GeneratedFace:
    """Let the chosen backend paint one face over a segment; where memory runs out, once more with what others left."""
    try:
        return _generate_by(plan.session, batch, track, plan, run)
    except OutOfMemoryError:
        if not (gone := plan.components.make_room()):
            raise
    # Out here what the failed call held is gone.
    backend = plan.session.backend
    run.warn(f"memory ran out while {backend} painted: {listed(gone)} went, and it was tried once more")
    return _generate_by(plan.session, batch, track, plan, run)


def _generate_by(session: BackendSession, batch: Batch, track: int, plan: RenderPlan, run: RenderRun) -> GeneratedFace:
    """Let a session paint one face over a segment, in clips that it can take."""
    stride = session.generator.spec.stride_at(plan.source.fps)
    length, count = stride * session.generator.clip_length, len(batch.frames)
    clips = [range(start, min(start + length, count)) for start in range(0, count, length)]
    with run.clock.measure("generate"):
        parts = [_generate_clip(session, batch, clip, track, plan, run) for clip in clips]
    return replace(
        parts[0],
        faces=tuple(chain(*(part.faces for part in parts))),
        transforms=tuple(chain(*(part.transforms for part in parts))),
        masks=tuple(chain(*(part.masks for part in parts))),
        presence=tuple(chain(*(part.presence for part in parts))),
        generated=tuple(chain(*(part.generated for part in parts))),
    )


def _generate_clip(
    session: BackendSession, batch: Batch, part: range, track: int, plan: RenderPlan, run: RenderRun
) -> GeneratedFace:
    """Paint one face over frames of a segment, counted from its first."""
    masker, start = session.masker, batch.segment.first
    sources = [plan.timeline.source_frame(start + frame) for frame in part]
    faces = tuple(next(f for f in plan.face_plan.faces(source) if f.track == track) for source in sources)
    transforms = tuple(session.cropper.crops(sources, faces))
    masks = tuple(masker.mask(*each) for each in zip(sources, faces, transforms, strict=True))
    presence = tuple(plan.presence_of(start + frame) for frame in part)
    frames = batch.frames[part.start : part.stop]
    crops = np.stack([crop_from(frame, place) for frame, place in zip(frames, transforms, strict=True)])
    in_crop = tuple(p.to_crop(face) for p, face in zip(transforms, faces, strict=True))
    speech = session.speech.window(start + part.start, start + part.stop)
    before, share = _progress_of(batch.segment, part, track)
    clip = Clip(
        crops,
        speech,
        in_crop,
        first_row_shown(masks, transforms),
        check=run.cancel.check,
        step=lambda done, total: run.painting(before + share * done / total, (done, total)),
        note=run.warn,
        stride=session.generator.spec.stride_at(plan.source.fps),
        kept=session.latents,
    )
    return GeneratedFace(
        track=track,
        backend=session.backend,
        faces=faces,
        transforms=transforms,
        masks=masks,
        presence=presence,
        generated=tuple(_generate(session.generator, clip, compiled=plan.components.compiled)),
    )


def _generate(generator: FaceGenerator, clip: Clip, *, compiled: bool) -> UInt8Array:
    """Return what the generator makes of a clip.

    Neither a compiler, which works in the first call, nor a video network's layer, which takes a CPU seconds, is waited
    for.
    """
    if compiled or generator.device == "cpu":
        return left_alone(lambda: generator.generate(clip))
    return generator.generate(clip)


def _progress_of(segment: Segment, part: range, track: int) -> tuple[float, float]:
    """How far painting has come before one face in a part of a segment, and how far that brings it: output frames."""
    whole = segment.stop - segment.first
    own = (segment.stop - segment.start) / len(segment.tracks)  # what is painted again counts for nothing
    before = segment.start + own * (segment.tracks.index(track) + part.start / whole)
    return before, own * len(part) / whole
