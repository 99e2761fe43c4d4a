"""`Look`: what one look through consecutive frames has shown. Of looks in a row plans are made; kept as files.

Looks depend on the frames that they cover and on those before, never on what comes after: the looks through a longer
part of a source begin with those through a shorter one, but for the last, which the end cut short. Everything that does
depend on the whole (tracks, bridging, smoothing) is made of them anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from musetalk.faces.tracking.following import FrameFaces
from musetalk.faces.tracking.tracker import Seen
from musetalk.faces.types import FaceBox, FivePoints, MouthShape
from musetalk.utils.array_files import read_arrays
from musetalk.utils.arrays import Float64Array
from musetalk.utils.files import whole_file

LOOKS_REVISION = 1  # raise with every change of what looks hold or how they are made
_ARRAYS = ("looks", "usual", "repeats", "counts", "seen", "ends")
_LARGEST = 2**30  # bytes that a file of looks may unpack to: far beyond the longest, short of harm
_BOX, _MOUTH, _POINTS = 5, 4, 10


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has shown: of the frames from where the look before it ended.

    Attributes:
        start, stop: The frames; none where a cut, or the end, came right behind another look.
        ends_shot: Whether a shot ends with them, and the next frame begins another one.
        final: Whether they are the last ones because the source was read no further.
        settled: Whether the last search has shown faces, and only those that were known before.
        usual: How much pictures usually change, as it was when the look was taken; see `ShotFinder`.
        repeats: Of each frame whether it shows the same picture as the one before it, in the same shot.
        faces: Of each of the other frames the faces, in source pixels.
        known: The faces of the last frame, in pixels of the frames that were looked at.
    """

    start: int
    stop: int
    ends_shot: bool
    final: bool
    settled: bool
    usual: float
    repeats: tuple[bool, ...]
    faces: tuple[tuple[Seen, ...], ...]
    known: FrameFaces

    @property
    def resume(self) -> int:
        """The frame from which frames are read to go on behind it: its last, or the first of the next shot."""
        return self.stop if self.ends_shot else self.stop - 1

    def as_kept(self) -> Look:
        """Return the same with plain numbers, as a file gives them back, so that both lead to the same."""
        return _Reading(_arrays([self])).looks(self.start)[0]


def usable(looks: Sequence[Look], stop: int) -> list[Look]:
    """Of looks in a row return those that looking through the frames before `stop` begins with."""
    return [look for look in looks if look.stop <= stop and (not look.final or look.stop == stop)]


def write_looks(path: Path, looks: Sequence[Look], note: str = "") -> None:
    """Write looks in a row as `.npz`, and a note on them; the file appears whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, note=np.array(note), **_arrays(looks))


def read_looks(path: Path, start: int, stop: int | None = None) -> tuple[list[Look], str]:
    """Read looks, and the note on them, that `write_looks` wrote. Nothing in the file is ever executed.

    Args:
        path: The file.
        start: The frame with which they begin.
        stop: The frame behind their last; None: any.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is damaged, or holds something else.
    """
    arrays = read_arrays(path, (*_ARRAYS, "note"), _LARGEST)
    looks = _Reading(arrays).looks(start)
    if stop is not None and (looks[-1].stop if looks else start) != stop:
        raise ValueError("it ends elsewhere")
    return looks, str(arrays["note"])


def _arrays(looks: Sequence[Look]) -> dict[str, Any]:
    """Return looks as arrays: flat ones, and how many rows of them belong to what.

    looks: int64 [L, 6], frames, whether each ends a shot, is final, is settled, and how many faces are near and far
    usual: float64 [L]
    repeats: bool [frames]
    counts: int64 [pictures], faces of each
    seen: float64 [faces, 9], box and mouth; NaN where it was not located
    ends: float64 [known faces, 15], box and points; NaN where there are none
    """
    flags = [
        (look.stop - look.start, look.ends_shot, look.final, look.settled, len(look.known.near), len(look.known.far))
        for look in looks
    ]
    pictures = [faces for look in looks for faces in look.faces]
    seen = [(*_box_row(face.box), *_mouth_row(face.mouth)) for faces in pictures for face in faces]
    ends = [(*_box_row(box), *_point_row(box.points)) for look in looks for box in look.known.every]
    return {
        "looks": np.array(flags, np.int64).reshape(-1, 6),
        "usual": np.array([look.usual for look in looks], np.float64),
        "repeats": np.array([each for look in looks for each in look.repeats], np.bool_),
        "counts": np.array([len(faces) for faces in pictures], np.int64),
        "seen": np.array(seen, np.float64).reshape(-1, _BOX + _MOUTH),
        "ends": np.array(ends, np.float64).reshape(-1, _BOX + _POINTS),
    }


def _box_row(box: FaceBox) -> tuple[float, ...]:
    return box.x0, box.y0, box.x1, box.y1, box.score


def _mouth_row(mouth: MouthShape | None) -> tuple[float, ...]:
    return (nan,) * _MOUTH if mouth is None else (mouth.cx, mouth.cy, mouth.half_width, mouth.angle)


def _point_row(points: FivePoints | None) -> tuple[float, ...]:
    return (nan,) * _POINTS if points is None else tuple(points.array().ravel().tolist())


class _Reading:
    """Takes looks out of arrays again.

    Raises:
        ValueError: The arrays do not fit together.
    """

    def __init__(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self._flags = arrays["looks"].tolist()
        self._usual = arrays["usual"].tolist()
        self._repeats = arrays["repeats"].tolist()
        self._counts = arrays["counts"].tolist()
        self._seen, self._ends = arrays["seen"], arrays["ends"]
        _check(arrays)

    def looks(self, start: int) -> list[Look]:
        """Return them, the first of which begins with frame `start`."""
        repeats, counts, seen, ends = map(iter, (self._repeats, self._counts, self._seen.tolist(), self._ends.tolist()))
        looks = []
        for (frames, ends_shot, final, settled, near, far), usual in zip(self._flags, self._usual, strict=True):
            own = tuple(islice(repeats, frames))
            shown = [islice(seen, next(counts)) for _ in range(own.count(False))]
            faces = tuple(tuple(_seen(row) for row in rows) for rows in shown)
            known = FrameFaces([_face(row) for row in islice(ends, near)], [_face(row) for row in islice(ends, far)])
            stop = start + frames
            looks.append(Look(start, stop, bool(ends_shot), bool(final), bool(settled), usual, own, faces, known))
            start = stop
        return looks


def _check(arrays: dict[str, npt.NDArray[Any]]) -> None:
    flags, counts, seen, ends = (arrays[name] for name in ("looks", "counts", "seen", "ends"))
    if flags.ndim != 2 or flags.shape[1] != 6 or flags.dtype != np.int64 or (flags < 0).any():
        raise ValueError("it holds no looks")
    if (counts < 0).any() or counts.dtype != np.int64:
        raise ValueError("a frame has fewer faces than none")
    shapes: dict[str, tuple[int, ...]] = {
        "usual": (len(flags),),
        "repeats": (int(flags[:, 0].sum()),),
        "counts": (int((~arrays["repeats"].astype(np.bool_)).sum()),),
        "seen": (int(counts.sum()), _BOX + _MOUTH),
        "ends": (int(flags[:, 4:].sum()), _BOX + _POINTS),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {list(arrays[name].shape)}")
    if not (
        np.isfinite(arrays["usual"]).all() and np.isfinite(seen[:, :_BOX]).all() and np.isfinite(ends[:, :_BOX]).all()
    ):
        raise ValueError("a face has no place")


def _seen(row: list[float]) -> Seen:
    x0, y0, x1, y1, score, *mouth = row
    return Seen(FaceBox(x0, y0, x1, y1, score), None if isnan(mouth[0]) else MouthShape(*mouth))


def _face(row: list[float]) -> FaceBox:
    x0, y0, x1, y1, score, *places = row
    points: Float64Array = np.array(places).reshape(-1, 2)
    return FaceBox(x0, y0, x1, y1, score, None if np.isnan(points).any() else FivePoints.of(points))
