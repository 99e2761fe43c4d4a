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
from musetalk.faces.parsing.label_store import LabelStore, pack_labels
from musetalk.faces.parsing.lots import Lot
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.pipeline.kept_readings import KeptReadings
from musetalk.progress import RenderRun
from musetalk.utils.arrays import Float64Array, UInt8Array

_MOST_FACES = 256  # in a batch, so that progress shows while one picture is repeated


_Crops: TypeAlias = tuple[UInt8Array, ...]
_Seen: TypeAlias = tuple[UInt8Array | None, bytes | None, Float64Array | None]  # labels, packed, and landmarks


class FaceParser(Protocol):
    """Labels every pixel of a face."""

    @property
    def fingerprint(self) -> str:
        """Name and weights, as text: two parsers that could disagree never share one."""
        ...

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
    def fingerprint(self) -> str:
        """Name and weights, as text: two landmarkers that could disagree never share one."""
        ...

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
    def fingerprint(self) -> str:
        """Of all that decides what they see, as text."""
        names = ["" if each is None else each.fingerprint for each in (self.parser, self.landmarker)]
        return f"{names} at_once={self.at_once}"

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
    kept: KeptReadings | None = None,
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
        kept: What was seen before, and what is seen now; None: nothing was, and nothing is kept.
    """
    if readers.idle:
        return ParsedFaces()
    reading = _Reading(plan, readers, frames, folder, run, kept)
    first = reading.replay()
    if first < frames.stop:
        start = max(first - 1, frames.start)  # the one before tells what is repeated
        with closing(read_frames(source, start, frames.stop, cancel=run.cancel)) as pictures:
            reading.look(zip(range(start, frames.stop), pictures, strict=False), first)
    return reading.finish(sigma)


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
    reading = _Reading(plan, readers, range(total), folder, run, None)
    reading.look(pictures, 0)
    return reading.finish(sigma)


class _Reading:
    """Takes in what is seen of the faces of a stretch of the source, lot by lot."""

    def __init__(
        self,
        plan: FacePlan,
        readers: FaceReaders,
        frames: range,
        folder: Path,
        run: RenderRun,
        kept: KeptReadings | None,
    ) -> None:
        self._plan, self._readers, self._frames, self._run, self._kept = plan, readers, frames, run, kept
        store = None if readers.parser is None else LabelStore(folder / "labels.bin")
        self._builder = ParsedFacesBuilder(store, readers.aligner, five=readers.five)
        self._known: dict[int, _Seen] = {}  # what each track was seen like last
        self._tracks: dict[int, int] = {}  # their numbers, in the order in which they appear
        self._seen = self._taken_over = 0

    def replay(self) -> int:
        """Take over what was seen before; the source frame with which to go on: behind the last one, with none."""
        if self._kept is None:
            return self._frames.start
        first, last = np.searchsorted(self._plan.frame, (self._frames.start, self._frames.stop))
        rows, place = _rows(self._plan, slice(int(first), int(last)), self._tracks), 0
        for lot in self._kept.known(rows):
            own = slice(int(first) + place, int(first) + place + len(lot.rows))
            faces = _faces(self._plan, own)
            self._take(faces, lot)
            place += len(lot.rows)
            self._run.emit("parse", faces[-1][0] + 1 - self._frames.start, len(self._frames))
        self._taken_over = place
        return int(rows[place, 0]) if place < len(rows) else self._frames.stop

    def look(self, pictures: Iterable[tuple[int, UInt8Array]], first: int) -> None:
        """Look at pictures from a source frame on; those before tell only what is repeated."""
        for batch in _batches(pictures, self._plan, self._readers, first):
            if batch.faces:
                lot = self._lot(batch)
                self._take([(frame, face) for frame, face, _ in batch.faces], lot)
                if self._kept is not None:
                    self._kept.add(lot)
            done = first - self._frames.start + batch.done
            self._run.emit("parse", min(done, len(self._frames)), len(self._frames))

    def finish(self, sigma: float) -> ParsedFaces:
        """Say what was noticed, and return all of it, steady over time."""
        run, builder, seen = self._run, self._builder, self._seen
        if self._kept is not None:
            self._kept.finish()
            for problem in self._kept.problems:
                run.warn(problem)
            run.reused.faces += self._taken_over
        if builder.unseen:
            missed = f"face parsing saw no face in {builder.unseen} of {seen} crops"
            run.warn(f"{missed}: their masks are their neighbours', or drawn")
        if builder.astray:
            stand_in = "neighbours" if self._readers.parser is None else "labels or neighbours"
            run.warn(
                f"the landmarks of {builder.astray} of {seen} faces cannot be theirs: {stand_in} stood in for them"
            )
        return builder.finish(sigma)

    def _lot(self, batch: _Batch) -> Lot:
        """Let what is in a batch be seen."""
        labels = tuple(pack_labels(each) for each in batch.labels(self._readers))
        landmarks = batch.landmarks(self._readers, self._run.cancel.check)
        rows = np.array([_row(frame, face, self._tracks) for frame, face, _ in batch.faces], np.float64)
        places = np.array([-1 if place is None else place for _, _, place in batch.faces], np.int64)
        return Lot(rows, places, labels, landmarks, batch.full)

    def _take(self, faces: Sequence[tuple[int, FaceSample]], lot: Lot) -> None:
        for (frame, face), place in zip(faces, lot.places.tolist(), strict=True):
            if place >= 0:
                self._known[face.track] = lot.look(place)
            labels, packed, landmarks = self._known[face.track]
            self._builder.add(frame, face, labels, landmarks, packed)
        self._seen += len(faces)
        self._known = {face.track: self._known[face.track] for _, face in faces}


def _rows(plan: FacePlan, part: slice, tracks: dict[int, int]) -> Float64Array:
    """Return faces of a plan as lots have them; see `Lot.rows`. `tracks` learns their numbers."""
    own = plan.track[part].tolist()
    numbers = [tracks.setdefault(track, len(tracks)) for track in own]
    return np.column_stack([plan.frame[part], numbers, plan.boxes[part, :4]]).astype(np.float64)


def _row(frame: int, face: FaceSample, tracks: dict[int, int]) -> tuple[float, ...]:
    box = face.box
    return frame, tracks.setdefault(face.track, len(tracks)), box.x0, box.y0, box.x1, box.y1


def _faces(plan: FacePlan, part: slice) -> list[tuple[int, FaceSample]]:
    """Return faces of a plan by their place in it, with their frames."""
    frames = plan.frame[part].tolist()
    samples = {frame: plan.faces(frame) for frame in dict.fromkeys(frames)}
    return [(frame, face) for frame, faces in samples.items() for face in faces]


@dataclass(slots=True)
class _Batch:
    """Faces that are looked at together.

    Attributes:
        done: Pictures that were taken in so far.
        full: Whether it is looked at because it is full, and not because there are no more pictures.
        faces: Source frame, face, and which of those that are looked at it is; None: as its track was seen last.
        boxes: Of those that are looked at.
        parsed: What the parser sees of each, uint8 RGB [S, S, 3]; empty without one.
        marked: What the landmarker sees of each; empty without one.
    """

    done: int
    full: bool = False
    faces: list[tuple[int, FaceSample, int | None]] = field(default_factory=list)
    boxes: list[FaceBox] = field(default_factory=list)
    parsed: list[UInt8Array] = field(default_factory=list)
    marked: list[UInt8Array] = field(default_factory=list)

    def labels(self, readers: FaceReaders) -> Sequence[UInt8Array]:
        """Of each face that is looked at; none where nobody parses."""
        if readers.parser is None or not self.boxes:
            return ()
        return list(readers.parser.labels(self.parsed))

    def landmarks(self, readers: FaceReaders, check: Callable[[], None]) -> Float64Array:
        """Of each face that is looked at, float64 [n, 68, 2]; none where nobody looks for them."""
        if readers.landmarker is None or not self.boxes:
            return np.empty((0, 68, 2))
        return readers.landmarker.landmarks(self.marked, self.boxes, check)


def _batches(
    pictures: Iterable[tuple[int, UInt8Array]], plan: FacePlan, readers: FaceReaders, first: int
) -> Iterator[_Batch]:
    """Yield what is to be seen of each face from a frame on; what is shown several times in a row is looked at once."""
    batch = _Batch(0)
    last: dict[int, _Crops] = {}
    for number, picture in pictures:
        before, last = last, {}
        for face in plan.faces(number):
            crops = _crops(picture, face, readers)
            repeated = face.track in before and all(map(np.array_equal, before[face.track], crops))
            # copies: the picture's buffer may be used again
            last[face.track] = before[face.track] if repeated else tuple(crop.copy() for crop in crops)
            if number < first:
                continue
            batch.faces.append((number, face, None if repeated else len(batch.boxes)))
            if not repeated:
                batch.boxes.append(face.box)
                kept = list(last[face.track])
                batch.parsed += kept[:1] if readers.parser is not None else []
                batch.marked += kept[-1:] if readers.landmarker is not None else []
        batch.done += number >= first
        if len(batch.boxes) >= readers.at_once or len(batch.faces) >= _MOST_FACES:
            batch.full = True
            yield batch
            batch = _Batch(batch.done)
    yield batch


def _crops(picture: UInt8Array, face: FaceSample, readers: FaceReaders) -> _Crops:
    """Return what the readers see of a face: first the parser, last the landmarker."""
    parsed = () if readers.parser is None else (parsing_view(face.box).crop(picture),)
    return parsed if readers.landmarker is None else (*parsed, readers.landmarker.crop(picture, face.box))
