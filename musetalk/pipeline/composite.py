"""Compositing: corrects, blends and enhances generated faces.

Each piece is judged by itself, and passes smoothly from the one before it. So what a frame looks like depends on its
own piece and on those shortly before it in the same stretch, and never on where rendering began. Where a generator
takes clips of any length, a piece is judged by its first frames, and may be finished in parts, as its frames come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from musetalk.compositing.appearance import AppearanceCorrection, apply_correction, interpolate, measure_appearance
from musetalk.compositing.blending import Patch, blend
from musetalk.enhancers.deflicker import Memory
from musetalk.faces.crops.crop import CropTransform
from musetalk.media.frames import Part
from musetalk.pipeline.cropping import AROUND, patch_in
from musetalk.pipeline.enhance import EnhanceStage
from musetalk.pipeline.generate import Batch, GeneratedFace
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.utils.stopping import ends_by, stop_point

_Rectangle: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1

JUDGED = 2  # first frames by which a piece is judged: sharpness needs two neighbours
_PASSING = 4  # frames over which one look passes to the next


@dataclass(frozen=True, slots=True)
class _Look:
    """How a face is corrected in one piece.

    Attributes:
        own: What the piece asks for.
        before: What the piece before it asked for, from where its look passes to its own; None: there is none.
    """

    own: AppearanceCorrection
    before: AppearanceCorrection | None

    def at(self, place: int, passing: int) -> AppearanceCorrection:
        """Return the look of the frame at a place in the piece, where passing takes so many frames."""
        return interpolate(self.before, self.own, min(1.0, (place + 1) / passing))


@dataclass(frozen=True, slots=True)
class _Before:
    """What is known of one face at the end of a piece, or of a part of it, for what comes after it."""

    backend: str
    look: _Look
    memory: Memory | None


class Compositor:
    """Finishes the segments of one render, which are given in order.

    Args:
        plan: Of the render.
        run: Progress, cancellation, what is noticed.
    """

    def __init__(self, plan: RenderPlan, run: RenderRun) -> None:
        self._settings, self._run = plan.finish.blend, run
        self._whole = plan.components.generator.spec.min_clip > 1  # whether pieces are judged by all of their frames
        enhancer = plan.components.enhancer
        self._enhancing = None if enhancer is None else EnhanceStage(enhancer, plan, run)
        self._before: dict[int, _Before] = {}
        self._last: Segment | None = None

    def finish(self, batch: Batch) -> Batch:
        """Finish one segment; its frames are changed in place.

        All faces are judged before any is laid, and laid before any is enhanced, so that none depends on what came
        before another one.
        """
        with ends_by(self._run.cancel.check):
            return self._finish(batch)

    def _finish(self, batch: Batch) -> Batch:
        stop_point()
        segment, last = batch.segment, self._last
        follows = last is not None and segment.joined and last.stop == segment.start
        known = self._before if follows else {}
        before = [_same(known.get(painted.track), painted) for painted in batch.painted]
        painted, memories = batch.painted, list[Memory | None]([None] * len(before))
        enhancing = self._enhancing
        views = [[] if enhancing is None else enhancing.views(face, segment.first) for face in painted]
        with self._run.clock.measure("composite"):
            parts = _open_parts(batch, views)
            looks = self._composite(segment, parts, painted, before)
        if enhancing is not None:
            # Where pieces share frames, these are cross-faded, and say enough.
            remembered = [None if each is None or segment.lead else each.memory for each in before]
            painted, memories = enhancing.enhance(segment, parts, painted, views, remembered)
        with self._run.clock.measure("composite"):
            for own in {id(own): own for own in parts}.values():
                for frame, part in zip(batch.frames, own, strict=True):
                    frame.paint(part)
        ends = zip(painted, looks, memories, strict=True)
        self._last = segment
        self._before = {face.track: _Before(face.backend, look, memory) for face, look, memory in ends}
        return replace(batch, painted=painted)

    def _composite(
        self,
        segment: Segment,
        parts: Sequence[Sequence[Part]],
        painted: Sequence[GeneratedFace],
        before: Sequence[_Before | None],
    ) -> list[_Look]:
        """Lay each face over its parts of the frames, its look passing from the one before to its own."""
        patches = [_patches(own, face) for own, face in zip(parts, painted, strict=True)]
        looks = [self._look(segment, *each) for each in zip(parts, patches, before, strict=True)]
        passing = segment.stop - segment.first if self._whole else _PASSING
        for own, laid, look in zip(parts, patches, looks, strict=True):
            for place, (part, patch) in enumerate(zip(own, laid, strict=True)):
                stop_point()
                if patch is not None:
                    shown = look.at(segment.handed_on + place, passing)
                    corrected = apply_correction(patch, shown, segment.first + place)
                    blend(part.rgb, corrected, self._settings.method)
                    part.cover(patch.x, patch.y, patch.weight)
        return looks

    def _look(
        self, segment: Segment, parts: Sequence[Part], patches: Sequence[Patch | None], before: _Before | None
    ) -> _Look:
        """Return the look of a face: what its piece asks for, or, where a part was laid already, what that had."""
        if segment.handed_on and before is not None:
            return before.look
        judged = len(parts) if self._whole else JUDGED
        pairs = list(zip(parts, patches, strict=True))[:judged]
        shown = [(part.rgb, patch) for part, patch in pairs if patch is not None]
        own = measure_appearance([picture for picture, _ in shown], [patch for _, patch in shown], self._settings)
        return _Look(own, None if before is None else before.look.own)


def _open_parts(batch: Batch, views: Sequence[Sequence[CropTransform]]) -> list[list[Part]]:
    """Open what is painted of the frames of a piece, for each face: the same rectangle of each, so that it stays put.

    Faces that touch share their parts; what lies between others stays as it is.
    """
    parts = [list[Part]()] * len(batch.painted)
    for rectangle, faces in _groups(list(map(_surroundings, batch.painted, views))):
        opened = [frame.part(*rectangle) for frame in batch.frames]
        for face in faces:
            parts[face] = opened
    return parts


def _groups(rectangles: Sequence[_Rectangle]) -> list[tuple[_Rectangle, list[int]]]:
    """Return rectangles that do not touch, each with the places of those in `rectangles` that it holds."""
    groups: list[tuple[_Rectangle, list[int]]] = []
    for place, rectangle in enumerate(rectangles):
        whole, places = rectangle, [place]
        while touching := next((group for group in groups if _touch(whole, group[0])), None):
            groups.remove(touching)
            whole, places = _around(whole, touching[0]), [*touching[1], *places]
        groups.append((whole, places))
    return groups


def _patches(parts: Sequence[Part], painted: GeneratedFace) -> list[Patch | None]:
    """Return what is laid over each part, in its pixels."""
    patches = list[Patch | None]()
    faces = zip(parts, painted.generated, painted.transforms, painted.masks, painted.presence, strict=True)
    for face in faces:
        stop_point()
        patches.append(patch_in(*face))
    return patches


def _surroundings(painted: GeneratedFace, views: Sequence[CropTransform]) -> _Rectangle:
    """Return what is looked at of a face in any frame of its piece."""
    seen = [(view.x, view.y, view.x + view.width, view.y + view.height) for view in views]
    masks = [(mask.x, mask.y, mask.x + mask.alpha.shape[1], mask.y + mask.alpha.shape[0]) for mask in painted.masks]
    x0, y0, x1, y1 = _around(*masks, *seen)
    return x0 - AROUND, y0 - AROUND, x1 + AROUND, y1 + AROUND


def _around(*rectangles: _Rectangle) -> _Rectangle:
    """Return the smallest rectangle that holds all of some."""
    left, top, right, bottom = zip(*rectangles, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _touch(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _same(before: _Before | None, painted: GeneratedFace) -> _Before | None:
    """Return what is known of a face, if the same network painted it: another has colors of its own."""
    return before if before is not None and before.backend == painted.backend else None
