"""`ParsedFaces`: extent, points and labels of each planned face."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from musetalk.errors import PATH, CoordsError
from musetalk.faces.crops.aligner import Aligner
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.landmarks.marks import extent_of_landmarks, five_of_landmarks, landmarks_believed
from musetalk.faces.landmarks.point_smoothing import smooth_points
from musetalk.faces.parsing.extent_smoothing import smooth_extents
from musetalk.faces.parsing.face_extent import measure_extent, parsing_view
from musetalk.faces.parsing.label_points import five_of_labels
from musetalk.faces.parsing.label_store import LabelStore, pack_labels
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.proportions import FaceExtent, assumed_extent
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.utils.array_files import names_in, read_arrays
from musetalk.utils.arrays import Float64Array, Int64Array, UInt8Array
from musetalk.utils.files import whole_file

_LEAST_SKIN = 0.04  # of the labels' area: with less, the parser has not seen the face
_WIDTHS = (0.45, 1.3)  # believed widths from cheek to cheek, in widths of the box; 0.8 is typical
_TRACKS = 2**20  # more than a frame ever has
_MOST_POINTS = 68  # of a face
_LARGEST = 2**31  # bytes that a file of them may unpack to: far beyond the longest video, short of harm
_ROW = 12  # frame, track; x0, y0, x1, y1 of the box; the six of FaceExtent, NaN where it was not measured


@dataclass(frozen=True, slots=True)
class ParsedFace:
    """Labels of one face in one frame.

    Attributes:
        labels: uint8 [512, 512], values of `FaceLabel`. Not to be written to.
        seen: The part of the frame that they cover.
    """

    labels: UInt8Array
    seen: BoxCropTransform


class ParsedFaces:
    """Extents and labels by source frame and track; made by `ParsedFacesBuilder`, or empty. Safe between threads.

    Where a face was not parsed, extents are those of a typical face in its box.
    """

    def __init__(
        self,
        keys: Int64Array | None = None,
        extents: Float64Array | None = None,
        store: LabelStore | None = None,
        points: Float64Array | None = None,
        boxes: Float64Array | None = None,
        five: Float64Array | None = None,
    ) -> None:
        self._keys = np.zeros(0, np.int64) if keys is None else keys
        self._extents = np.zeros((0, 6)) if extents is None else extents
        self._store = store
        self._points = points
        self._boxes = boxes
        self._five = five

    def extent(self, frame: int, face: FaceSample) -> FaceExtent:
        """Return how far a face reaches in a source frame."""
        row = self._row(frame, face)
        return assumed_extent(face.box) if row is None else FaceExtent(*self._extents[row].tolist())

    def points(self, frame: int, face: FaceSample) -> Float64Array | None:
        """Return the points by which a face in a source frame is aligned, float64 [k, 2].

        None where nobody asked for them.
        """
        row = self._row(frame, face)
        return None if row is None or self._points is None else self._points[row]

    def five(self, frame: int, face: FaceSample) -> Float64Array | None:
        """Eyes, nose and corners of the mouth, float64 [5, 2] in the order of `FivePoints`; None where nobody knows."""
        row = self._row(frame, face)
        found = None if row is None or self._five is None else np.asarray(self._five[row], np.float64)
        return None if found is None or np.isnan(found).any() else found

    def parsed(self, frame: int, face: FaceSample) -> ParsedFace | None:
        """Return the labels of a face in a source frame; None where it was not parsed, or they show no face."""
        row = self._row(frame, face)
        if row is None or self._store is None:
            return None
        labels = self._store.read(row)
        return ParsedFace(labels, parsing_view(face.box)) if shows_face(labels) else None

    def around(self, frame: int, face: FaceSample, reach: int) -> list[tuple[int, FaceSample]]:
        """Return the face in the frames around a source frame, ascending, and in that frame itself.

        Its track is followed both ways, up to the first frame that has no row of it: tracks end with their shot.

        Args:
            frame: The source frame.
            face: The face in it.
            reach: How many frames, at most, it is followed each way.

        Returns:
            Source frames, and the face in each; of the others than `frame` only its box is known, and the mouth is
            that of `face`. Empty where nothing is known of `frame`.
        """
        if self._boxes is None or self._row(frame, face) is None:
            return []
        found = [(frame, face)]
        for step in (-1, 1):
            for distance in range(1, reach + 1):
                row = self._row(frame + step * distance, face)
                if row is None:
                    break
                x0, y0, x1, y1 = self._boxes[row].tolist()
                box = FaceBox(x0, y0, x1, y1, face.box.score)
                found.append((frame + step * distance, replace(face, box=box)))
        return sorted(found, key=lambda each: each[0])

    @property
    def labels(self) -> LabelStore | None:
        """The labels of all faces; None: faces were not parsed."""
        return self._store

    def reduced(self, *, labels: bool, five: bool) -> ParsedFaces:
        """Return the same without labels, without the five points, or without either, as if nobody had asked."""
        store, found = self._store if labels else None, self._five if five else None
        return ParsedFaces(self._keys, self._extents, store, self._points, self._boxes, found)

    def with_labels(self, labels: LabelStore) -> ParsedFaces:
        """Return the same with labels that lie elsewhere, of the same faces in the same order."""
        return ParsedFaces(self._keys, self._extents, labels, self._points, self._boxes, self._five)

    def save(self, path: Path) -> None:
        """Write all but the labels, which have a file of their own, as `.npz`.

        Raises:
            OutputError: It cannot be written.
        """
        ends = None if self._store is None else self._store.ends
        stored = {"keys": self._keys, "extents": self._extents, "boxes": self._boxes, "ends": ends}
        stored |= {"points": self._points, "five": self._five}
        arrays: dict[str, Any] = {name: values for name, values in stored.items() if values is not None}
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path, labels: Path | None, faces: FacePlan) -> ParsedFaces:
        """Read what `save` wrote. Nothing in the file is ever executed.

        Args:
            path: The file.
            labels: The labels' own; None: faces were not parsed.
            faces: That it is about, all of them.

        Raises:
            CoordsError: It is damaged, or about other faces.
        """
        try:
            known = names_in(path)
            stored = read_arrays(path, known, _LARGEST)
            keys = faces.frame * _TRACKS + faces.track
            _check_arrays(stored, keys, 0 if labels is None else labels.stat().st_size)
        except (OSError, ValueError) as error:
            raise CoordsError(
                f'"{PATH}" holds no parsed faces of these ({error})', "make it again", path=path
            ) from error
        store = None if labels is None or "ends" not in stored else LabelStore(labels, stored["ends"])
        extents, points, boxes = (stored.get(name) for name in ("extents", "points", "boxes"))
        return cls(keys, extents, store, points, boxes, stored.get("five"))

    def _row(self, frame: int, face: FaceSample) -> int | None:
        key = frame * _TRACKS + face.track
        row = int(np.searchsorted(self._keys, key))
        return row if row < len(self._keys) and self._keys[row] == key else None


class ParsedFacesBuilder:
    """Takes in what is seen of planned faces, frame by frame, and keeps what it tells: 400 bytes a face, and `store`.

    Args:
        store: Where the labels go; None: faces are not parsed.
        aligner: What aligns faces; None: nothing here does.
        five: Whether anybody asks for the five points.
    """

    def __init__(self, store: LabelStore | None, aligner: Aligner | None = None, *, five: bool = False) -> None:
        self._store, self._aligner, self._asked = store, aligner, five
        self._rows = array("d")
        self._points: list[Float64Array | None] = []
        self._five: list[Float64Array | None] = []
        self._unseen = self._astray = 0

    @property
    def unseen(self) -> int:
        """Faces that their labels do not show."""
        return self._unseen

    @property
    def astray(self) -> int:
        """Faces whose landmarks cannot be theirs."""
        return self._astray

    def add(
        self,
        frame: int,
        face: FaceSample,
        labels: UInt8Array | None,
        landmarks: Float64Array | None = None,
        packed: bytes | None = None,
    ) -> None:
        """Take in one face: by frame, then by track, ascending. Where there are landmarks, they count before labels.

        Args:
            frame: The source frame.
            face: As planned.
            labels: uint8 [512, 512] of `parsing_view(face.box)`; None where faces are not parsed.
            landmarks: float64 [68, 2], in pixels of the frame; None where nobody looks for them.
            packed: The labels as `pack_labels` returns them; None: they are packed here.
        """
        box, shown = face.box, labels if labels is not None and shows_face(labels) else None
        self._unseen += labels is not None and shown is None
        if landmarks is not None and not landmarks_believed(landmarks, box):
            self._astray += 1
            landmarks = None
        self._rows.extend((frame, face.track, box.x0, box.y0, box.x1, box.y1, *_extent(box, shown, landmarks)))
        seen = parsing_view(box)
        if self._aligner is not None:
            self._points.append(_points_of(landmarks, shown, seen, self._aligner.of_landmarks, self._aligner.measure))
        if self._asked:
            self._five.append(_points_of(landmarks, shown, seen, five_of_landmarks, five_of_labels))
        if self._store is not None and labels is not None:
            self._store.add(pack_labels(labels) if packed is None else packed)

    def finish(self, sigma: float) -> ParsedFaces:
        """Make extents and points steady over time.

        Args:
            sigma: Of the smoothing, in frames.
        """
        rows = np.array(self._rows).reshape(-1, _ROW)
        frames, tracks = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
        extents, five = np.zeros((len(rows), 6)), np.full((len(rows), 5, 2), nan)
        points: dict[int, Float64Array] = {}
        for track in np.unique(tracks):
            own = np.flatnonzero(tracks == track)
            for run in np.split(own, np.flatnonzero(np.diff(frames[own]) != 1) + 1):
                faces = [FaceBox(x0, y0, x1, y1, 1.0) for x0, y0, x1, y1 in rows[run, 2:6].tolist()]
                extents[run] = _steady(faces, rows[run, 6:], sigma)
                if self._aligner is not None:
                    measured = [self._points[row] for row in run]
                    points.update(zip(run.tolist(), self._aligner.steady(measured, faces, sigma), strict=True))
                if self._asked:
                    calm = smooth_points([self._five[row] for row in run], faces, sigma=sigma)
                    five[run] = nan if calm is None else np.stack(calm)
        found = np.stack([points[row] for row in range(len(rows))]) if points else None
        keys, boxes = frames * _TRACKS + tracks, rows[:, 2:6].copy()
        return ParsedFaces(keys, extents, self._store, found, boxes, five if self._asked else None)


def shows_face(labels: UInt8Array) -> bool:
    """Return whether labels, uint8 [512, 512], show enough skin to be a face's."""
    return bool(np.count_nonzero(labels == FaceLabel.SKIN) >= _LEAST_SKIN * labels.size)


def _check_arrays(stored: dict[str, npt.NDArray[Any]], keys: Int64Array, labels_bytes: int) -> None:
    """Check that what was read fits together, and the faces that it is about.

    Args:
        stored: By names.
        keys: Of the faces.
        labels_bytes: Size of their labels' file.

    Raises:
        ValueError: It does not; the text says where.
    """
    rows, points = len(keys), stored.get("points")
    count = 0 if points is None or points.ndim != 3 else points.shape[1]
    shapes: dict[str, tuple[int, ...]] = {"keys": (rows,), "extents": (rows, 6), "boxes": (rows, 4)}
    further = {"points": (rows, count, 2), "five": (rows, 5, 2), "ends": (rows + 1,)}
    wanted = shapes | {name: shape for name, shape in further.items() if name in stored}
    if set(stored) != set(wanted) or count > _MOST_POINTS:
        raise ValueError("other arrays")
    for name, shape in wanted.items():
        dtype = np.int64 if name in ("keys", "ends") else np.float64
        if stored[name].dtype != dtype or stored[name].shape != shape:
            raise ValueError(f"{name} is {stored[name].dtype}{list(stored[name].shape)}")
        if name in ("extents", "boxes", "points") and not np.isfinite(stored[name]).all():
            raise ValueError(f"{name} are no numbers")
    if not np.array_equal(stored["keys"], keys):
        raise ValueError("other faces")
    ends = stored.get("ends", np.zeros(1, np.int64))
    if ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] != labels_bytes:
        raise ValueError("the labels' file has another size")


def _extent(box: FaceBox, labels: UInt8Array | None, landmarks: Float64Array | None) -> tuple[float, ...]:
    """Return how far a face reaches, as landmarks or labels tell; NaN where they do not."""
    if landmarks is not None:
        return _values(extent_of_landmarks(landmarks))
    found = None if labels is None else measure_extent(labels, parsing_view(box))
    sound = found is not None and _WIDTHS[0] < (found.right - found.left) / box.width < _WIDTHS[1]
    return _values(found) if found is not None and sound else (nan,) * 6


def _points_of(
    landmarks: Float64Array | None,
    labels: UInt8Array | None,
    seen: BoxCropTransform,
    of_landmarks: Callable[[Float64Array], Float64Array],
    of_labels: Callable[[UInt8Array, BoxCropTransform], Float64Array | None],
) -> Float64Array | None:
    """Points as landmarks tell them, or else labels; None where neither does."""
    if landmarks is not None:
        return of_landmarks(landmarks)
    return None if labels is None else of_labels(labels, seen)


def _steady(faces: list[FaceBox], measured: Float64Array, sigma: float) -> Float64Array:
    """Smooth the extents of consecutive frames: float64 [n, 6]."""
    found = [None if np.isnan(row[0]) else FaceExtent(*row.tolist()) for row in measured]
    return np.array([_values(extent) for extent in smooth_extents(found, faces, sigma=sigma)])


def _values(extent: FaceExtent) -> tuple[float, ...]:
    return extent.left, extent.right, extent.line, extent.chin, extent.above, extent.below
