"""The look at every planned face's pixels: each source frame is parsed once, however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from musetalk.arrays import UInt8Array
from musetalk.faces.aligner import Aligner
from musetalk.faces.extent import parsing_view
from musetalk.faces.face_shapes import FaceShapes, ShapeReader
from musetalk.faces.label_store import LabelStore
from musetalk.faces.plan import FacePlan
from musetalk.faces.types import FaceSample
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.progress import RenderRun


class FaceLabeller(Protocol):
    """Labels every pixel of a face."""

    @property
    def at_once(self) -> int:
        """Faces that it likes to be given together."""
        ...

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        """Label faces.

        Args:
            crops: uint8 RGB [S, S, 3] each, S its own: a face with some surroundings.

        Returns:
            uint8 [N, 512, 512], values of `FaceLabel`.
        """
        ...


def read_shapes(
    source: Source,
    plan: FacePlan,
    frames: range,
    labeller: FaceLabeller,
    sigma: float,
    *,
    folder: Path,
    run: RenderRun,
    aligner: Aligner | None = None,
) -> FaceShapes:
    """Parse the planned faces of a stretch of the source.

    Args:
        source: The video or picture.
        plan: The faces that will be painted.
        frames: Source frames.
        labeller: What parses.
        sigma: Of the smoothing in time, in frames.
        folder: The job's temporary directory, where the labels are kept.
        run: Progress, cancellation, warnings.
        aligner: What aligns faces, if anything does.
    """
    with closing(read_frames(source, frames.start, frames.stop, cancel=run.cancel)) as pictures:
        numbered, total = zip(frames, pictures, strict=False), len(frames)
        return shapes_in(numbered, plan, labeller, sigma, folder=folder, run=run, total=total, aligner=aligner)


def shapes_in(
    pictures: Iterable[tuple[int, UInt8Array]],
    plan: FacePlan,
    labeller: FaceLabeller,
    sigma: float,
    *,
    folder: Path,
    run: RenderRun,
    total: int,
    aligner: Aligner | None = None,
) -> FaceShapes:
    """As `read_shapes`, of `total` source frames that are at hand: (number, uint8 RGB [H, W, 3]), ascending."""
    reader = ShapeReader(LabelStore(folder / "labels.bin"), aligner)
    seen = 0
    for faces, crops, done in _batches(pictures, plan, labeller.at_once):
        for (frame, face), labels in zip(faces, labeller.labels(crops) if crops else (), strict=True):
            reader.add(frame, face, labels)
            seen += 1
        run.emit("parse", min(done, total), total)
    if reader.unseen:
        missed = f"face parsing saw no face in {reader.unseen} of {seen} crops"
        run.warn(f"{missed}: their masks are their neighbours', or drawn")
    return reader.finish(sigma)


def _batches(
    pictures: Iterable[tuple[int, UInt8Array]], plan: FacePlan, at_once: int
) -> Iterator[tuple[Sequence[tuple[int, FaceSample]], Sequence[UInt8Array], int]]:
    """Yield faces, what the parser is to see of them, and how many pictures were taken in so far."""
    faces: list[tuple[int, FaceSample]] = []
    crops: list[UInt8Array] = []
    done = 0
    for number, picture in pictures:
        for face in plan.faces(number):
            faces.append((number, face))
            crops.append(parsing_view(face.box).extract(picture).copy())  # the picture's buffer may be used again
        done += 1
        if len(faces) >= at_once:
            yield faces, crops, done
            faces, crops = [], []
    yield faces, crops, done
