"""Face parsing of every planned face; each source frame is parsed once, however often it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from musetalk.faces.crops.aligner import Aligner
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.label_store import LabelStore
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.progress import RenderRun
from musetalk.utils.arrays import Float64Array, UInt8Array

_MOST_FACES = 256  # in a batch, so that progress shows while one picture is repeated


_Crops: TypeAlias = tuple[UInt8Array, ...]


class FaceParser(Protocol):
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


class FaceLandmarker(Protocol):
    """Finds 68 landmarks of a face."""

    @property
    def at_once(self) -> int:
        """Faces that it likes to be given together."""
        ...

    def crop(self, frame: UInt8Array, box: FaceBox) -> UInt8Array:
        """Return what it is to be shown of a face in a frame: uint8 RGB [S, S, 3]."""
        ...

    def landmarks(
        self, crops: Sequence[UInt8Array], boxes: Sequence[FaceBox], check: Callable[[], None]
    ) -> Float64Array:
        """Find the landmarks of faces.

        Args:
            crops: What `crop` cut out.
            boxes: Of the faces, as `crop` was told.
            check: Called between pieces of the work; raises where it is to end.

        Returns:
            float64 [N, 68, 2], in pixels of the frames.
        """
        ...


@dataclass(frozen=True, slots=True)
class FaceReaders:
    """What reads planned faces: the parser and the landmarker.

    Attributes:
        parser: Parses them; None: nobody does.
        landmarker: Finds their landmarks; None: nobody does.
        aligner: What aligns them; None: nothing here does.
        five: Whether anybody asks for eyes, nose and mouth.
    """

    parser: FaceParser | None = None
    landmarker: FaceLandmarker | None = None
    aligner: Aligner | None = None
    five: bool = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to run."""
        return self.parser is None and self.landmarker is None

    @property
    def at_once(self) -> int:
        """Faces that are worth looking at together."""
        return max((each.at_once for each in (self.parser, self.landmarker) if each is not None), default=1)


def parse_faces(
    source: Source,
    plan: FacePlan,
    frames: range,
    readers: FaceReaders,
    sigma: float,
    *,
    folder: Path,
    run: RenderRun,
) -> ParsedFaces:
    """Look at the planned faces of a stretch of the source.

    Args:
        source: The video or picture.
        plan: The faces that will be painted.
        frames: Source frames.
        readers: What looks.
        sigma: Of the smoothing in time, in frames.
        folder: The job's temporary directory, where the labels are kept.
        run: Progress, cancellation, warnings.
    """
    if readers.idle:
        return ParsedFaces()
    with closing(read_frames(source, frames.start, frames.stop, cancel=run.cancel)) as pictures:
        numbered = zip(frames, pictures, strict=False)
        return parse_pictures(numbered, plan, readers, sigma, folder=folder, run=run, total=len(frames))


def parse_pictures(
    pictures: Iterable[tuple[int, UInt8Array]],
    plan: FacePlan,
    readers: FaceReaders,
    sigma: float,
    *,
    folder: Path,
    run: RenderRun,
    total: int,
) -> ParsedFaces:
    """As `parse_faces`, of `total` source frames that are at hand: (number, uint8 RGB [H, W, 3]), ascending."""
    store = None if readers.parser is None else LabelStore(folder / "labels.bin")
    reader = ParsedFacesBuilder(store, readers.aligner, five=readers.five)
    seen = 0
    known: dict[int, tuple[UInt8Array | None, Float64Array | None]] = {}  # what each track was seen like last
    for batch in _batches(pictures, plan, readers):
        looks = list(zip(batch.labels(readers), batch.landmarks(readers, run.cancel.check), strict=True))
        for frame, face, place in batch.faces:
            if place is not None:
                known[face.track] = looks[place]
            reader.add(frame, face, *known[face.track])
            seen += 1
        known = {face.track: known[face.track] for _, face, _ in batch.faces}
        run.emit("parse", min(batch.done, total), total)
    if reader.unseen:
        missed = f"face parsing saw no face in {reader.unseen} of {seen} crops"
        run.warn(f"{missed}: their masks are their neighbours', or drawn")
    if reader.astray:
        stand_in = "neighbours" if readers.parser is None else "labels or neighbours"
        run.warn(f"the landmarks of {reader.astray} of {seen} faces cannot be theirs: {stand_in} stood in for them")
    return reader.finish(sigma)


@dataclass(slots=True)
class _Batch:
    """Faces that are looked at together.

    Attributes:
        done: Pictures that were taken in so far.
        faces: Source frame, face, and which of those that are looked at it is; None: as its track was seen last.
        boxes: Of those that are looked at.
        parsed: What the parser sees of each, uint8 RGB [S, S, 3]; empty without one.
        marked: What the landmarker sees of each; empty without one.
    """

    done: int
    faces: list[tuple[int, FaceSample, int | None]] = field(default_factory=list)
    boxes: list[FaceBox] = field(default_factory=list)
    parsed: list[UInt8Array] = field(default_factory=list)
    marked: list[UInt8Array] = field(default_factory=list)

    def labels(self, readers: FaceReaders) -> Sequence[UInt8Array | None]:
        """Of each face that is looked at."""
        if readers.parser is None or not self.boxes:
            return [None] * len(self.boxes)
        return list(readers.parser.labels(self.parsed))

    def landmarks(self, readers: FaceReaders, check: Callable[[], None]) -> Sequence[Float64Array | None]:
        """Of each face that is looked at."""
        if readers.landmarker is None or not self.boxes:
            return [None] * len(self.boxes)
        return list(readers.landmarker.landmarks(self.marked, self.boxes, check))


def _batches(pictures: Iterable[tuple[int, UInt8Array]], plan: FacePlan, readers: FaceReaders) -> Iterator[_Batch]:
    """Yield what is to be seen of each face; what is shown several times in a row is looked at once."""
    batch = _Batch(0)
    last: dict[int, _Crops] = {}
    for number, picture in pictures:
        before, last = last, {}
        for face in plan.faces(number):
            crops = _crops(picture, face, readers)
            repeated = face.track in before and all(map(np.array_equal, before[face.track], crops))
            # copies: the picture's buffer may be used again
            last[face.track] = before[face.track] if repeated else tuple(crop.copy() for crop in crops)
            batch.faces.append((number, face, None if repeated else len(batch.boxes)))
            if not repeated:
                batch.boxes.append(face.box)
                kept = list(last[face.track])
                batch.parsed += kept[:1] if readers.parser is not None else []
                batch.marked += kept[-1:] if readers.landmarker is not None else []
        batch.done += 1
        if len(batch.boxes) >= readers.at_once or len(batch.faces) >= _MOST_FACES:
            yield batch
            batch = _Batch(batch.done)
    yield batch


def _crops(picture: UInt8Array, face: FaceSample, readers: FaceReaders) -> _Crops:
    """Return what the readers see of a face: first the parser, last the landmarker."""
    parsed = () if readers.parser is None else (parsing_view(face.box).crop(picture),)
    return parsed if readers.landmarker is None else (*parsed, readers.landmarker.crop(picture, face.box))
