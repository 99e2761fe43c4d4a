"""The look at every planned face's pixels: each source frame is parsed once, however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

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

_MOST_FACES = 256  # in a batch, so that progress shows while one picture is repeated


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
    known: dict[int, UInt8Array] = {}  # of each track the labels parsed last
    for batch in _batches(pictures, plan, labeller.at_once):
        labels = labeller.labels(batch.crops) if batch.crops else ()
        for frame, face, place in batch.faces:
            if place is not None:
                known[face.track] = labels[place]
            reader.add(frame, face, known[face.track])
            seen += 1
        known = {face.track: known[face.track] for _, face, _ in batch.faces}
        run.emit("parse", min(batch.done, total), total)
    if reader.unseen:
        missed = f"face parsing saw no face in {reader.unseen} of {seen} crops"
        run.warn(f"{missed}: their masks are their neighbours', or drawn")
    return reader.finish(sigma)


@dataclass(slots=True)
class _Batch:
    """Faces that are parsed together.

    Attributes:
        done: Pictures that were taken in so far.
        faces: Source frame, face, and which of the crops it is; None: the one parsed last of its track.
        crops: uint8 RGB [S, S, 3] each.
    """

    done: int
    faces: list[tuple[int, FaceSample, int | None]] = field(default_factory=list)
    crops: list[UInt8Array] = field(default_factory=list)


def _batches(pictures: Iterable[tuple[int, UInt8Array]], plan: FacePlan, at_once: int) -> Iterator[_Batch]:
    """Yield what the parser is to see of each face; what is shown several times in a row it sees once."""
    batch = _Batch(0)
    last: dict[int, UInt8Array] = {}
    for number, picture in pictures:
        before, last = last, {}
        for face in plan.faces(number):
            crop = parsing_view(face.box).extract(picture)
            repeated = face.track in before and np.array_equal(before[face.track], crop)
            last[face.track] = before[face.track] if repeated else crop.copy()  # the picture's buffer may be used again
            if not repeated:
                batch.crops.append(last[face.track])
            batch.faces.append((number, face, None if repeated else len(batch.crops) - 1))
        batch.done += 1
        if len(batch.crops) >= at_once or len(batch.faces) >= _MOST_FACES:
            yield batch
            batch = _Batch(batch.done)
    yield batch
