"""From painted faces to finished frames: matched to their surroundings, laid over, restored.

Each piece is judged by itself, and passes smoothly from the one before it. So what a frame looks like depends on its
own piece and on those shortly before it in the same stretch, and never on where rendering began.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from musetalk.compositing.blending import lay, patch_of
from musetalk.compositing.matching import Look, between, matched, measure_look
from musetalk.enhance.steadiness import Memory
from musetalk.painting import Batch, PaintedFace
from musetalk.preparation import Preparation
from musetalk.progress import RenderRun
from musetalk.restoring import Restoring
from musetalk.segments import Segment


@dataclass(frozen=True, slots=True)
class _Before:
    """What is known of one face at the end of a piece, for the piece after it."""

    backend: str
    look: Look
    memory: Memory | None


class Finisher:
    """Finishes the segments of one render, which are given in order.

    Args:
        preparation: Of the render.
        run: Progress, cancellation, what is noticed.
    """

    def __init__(self, preparation: Preparation, run: RenderRun) -> None:
        self._settings, self._run = preparation.settings.blend, run
        enhancer = preparation.enhancer
        self._restoring = None if enhancer is None else Restoring(enhancer, preparation, run)
        self._before: dict[int, _Before] = {}
        self._last: Segment | None = None

    def finish(self, batch: Batch) -> Batch:
        """Finish one segment; its frames are changed in place."""
        self._run.cancel.check()
        segment, last = batch.segment, self._last
        follows = last is not None and segment.joined and last.stop == segment.start
        before = self._before if follows else {}
        self._last, self._before = segment, {}
        painted = tuple(self._finish(batch, face, before.get(face.track)) for face in batch.painted)
        return replace(batch, painted=painted)

    def _finish(self, batch: Batch, painted: PaintedFace, before: _Before | None) -> PaintedFace:
        if before is not None and before.backend != painted.backend:
            before = None  # another network, with colours of its own
        with self._run.clock.measure("composite"):
            look = self._composite(batch, painted, None if before is None else before.look)
        memory = None
        if self._restoring is not None:
            # Where pieces share frames, these are cross-faded, and say enough.
            known = None if before is None or batch.segment.lead else before.memory
            painted, memory = self._restoring.restore(batch, painted, known)
        self._before[painted.track] = _Before(painted.backend, look, memory)
        return painted

    def _composite(self, batch: Batch, painted: PaintedFace, before: Look | None) -> Look:
        """Lay one face over the frames of its piece, its look passing from the one before to its own."""
        frames, first = batch.frames, batch.segment.first
        parts = zip(frames, painted.generated, painted.placements, painted.masks, strict=True)
        patches = [patch_of(*part) for part in parts]
        shown = [(frame, patch) for frame, patch in zip(frames, patches, strict=True) if patch is not None]
        own = measure_look([frame for frame, _ in shown], [patch for _, patch in shown], self._settings)
        for place, (frame, patch) in enumerate(zip(frames, patches, strict=True)):
            if patch is not None:
                look = between(before, own, (place + 1) / len(frames))
                lay(frame, matched(patch, look, first + place), self._settings.method)
        return own
