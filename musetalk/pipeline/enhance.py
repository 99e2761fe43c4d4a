"""Enhancing generated faces: seen aligned, kept steady over time, and blended back as strongly as asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from musetalk.compositing.blending import blend
from musetalk.compositing.masks import FaceMask, intersect_masks, scale_alpha, soft_square, visible_mask
from musetalk.enhancers.alignment import face_view, whole_face
from musetalk.enhancers.deflicker import Memory, deflicker
from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import ComputeError
from musetalk.faces.crops.upright_crop import UprightCropTransform
from musetalk.media.frames import Part
from musetalk.pipeline.cropping import patch_in
from musetalk.pipeline.generate import EnhancedFace, GeneratedFace
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array

_BASE = 256  # pixels of an enhanced face's side at an upscale of 1: what most networks paint


class EnhanceStage:
    """Enhances the painted faces of one render.

    Args:
        enhancer: What enhances.
        plan: Of the render.
        run: Cancellation, and where it is noted what was not enhanced.
    """

    def __init__(self, enhancer: FaceEnhancer, plan: RenderPlan, run: RenderRun) -> None:
        self._enhancer, self._plan, self._run = enhancer, plan, run
        self._settings = plan.finish.enhance

    def enhance(
        self,
        segment: Segment,
        parts: Sequence[Sequence[Part]],
        painted: Sequence[GeneratedFace],
        views: Sequence[Sequence[UprightCropTransform]],
        before: Sequence[Memory | None],
    ) -> tuple[tuple[GeneratedFace, ...], list[Memory | None]]:
        """Enhance the faces of a piece, in place; what fails stays as it was painted, and is noted.

        Args:
            segment: The piece.
            parts: For each face those of its frames, with the painted faces laid over them.
            painted: These faces.
            views: Where each of them is seen, frame by frame.
            before: What the piece before it leaves, for each of them; None: nothing that follows on.

        Returns:
            The faces with what was enhanced, and what is left of each for the piece after it.
        """
        with self._run.clock.measure("enhance"):
            crops = [np.stack(list(map(_seen, own, seen))) for own, seen in zip(parts, views, strict=True)]
            faces = zip(parts, painted, views, crops, before, strict=True)
            done = [self._enhance(segment, *face) for face in faces]
        return tuple(face for face, _ in done), [memory for _, memory in done]

    def views(self, painted: GeneratedFace, first: int) -> list[UprightCropTransform]:
        """Return where the enhancer sees a face, frame by frame, from output frame `first` on."""
        shapes, source = self._plan.session.cropper.parsed, self._plan.timeline.source_frame
        return [
            face_view(face, self._enhancer.size, shapes.five(source(first + place), face))
            for place, face in enumerate(painted.faces)
        ]

    def _enhance(
        self,
        segment: Segment,
        parts: Sequence[Part],
        painted: GeneratedFace,
        views: Sequence[UprightCropTransform],
        crops: UInt8Array,
        before: Memory | None,
    ) -> tuple[GeneratedFace, Memory | None]:
        check = self._run.cancel.check
        try:
            enhanced = self._enhancer.enhance(crops, check)
        except ComputeError as error:
            self._run.record_enhance_failure(segment.first, segment.stop, painted.track, error.problem, error.kind)
            return painted, None
        side = min(enhanced.shape[1], _BASE * self._settings.upscale)
        steadiness = self._settings.steadiness
        steady, memory = deflicker(_scaled(crops, side), _scaled(enhanced, side), before, steadiness, check)
        masks = [self._mask(painted, view, place, segment.first) for place, view in enumerate(views)]
        for part, face, view, mask in zip(parts, steady, views, masks, strict=True):
            patch = patch_in(part, face, view, mask)
            if patch is not None:
                blend(part.rgb, patch)
                part.cover(patch.x, patch.y, patch.weight)
        return replace(painted, enhanced=tuple(map(EnhancedFace, views, steady, masks))), memory

    def _mask(self, painted: GeneratedFace, view: UprightCropTransform, place: int, first: int) -> FaceMask:
        """Return where an enhanced face shows: where the painted one does, or all over the face."""
        size, share = self._enhancer.size, self._settings.strength * painted.presence[place]
        if self._settings.region == "mouth":
            return scale_alpha(intersect_masks(painted.masks[place], visible_mask(view, soft_square(size))), share)
        source = self._plan.timeline.source_frame(first + place)
        mask = self._plan.session.masker.remove_occluders(
            visible_mask(view, whole_face(size)), source, painted.faces[place]
        )
        return scale_alpha(mask, share)


def _seen(part: Part, view: UprightCropTransform) -> UInt8Array:
    return view.moved(-part.x, -part.y).crop(part.rgb)


def _scaled(faces: UInt8Array, side: int) -> UInt8Array:
    """Faces, uint8 RGB [N, S, S, 3], at another side."""
    if faces.shape[1] == side:
        return faces
    how = cv2.INTER_AREA if faces.shape[1] > side else cv2.INTER_CUBIC
    return np.stack([np.asarray(cv2.resize(face, (side, side), interpolation=how), np.uint8) for face in faces])
