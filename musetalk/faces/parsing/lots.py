"""`Lot`: what was seen of faces that were looked at together; kept as files.

Networks may tell the last bit of a picture otherwise beside other pictures, and a face that is shown again is not
looked at again. So a lot is taken over as it was, and only where all lots before it were: its name is the digest of it
and of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from musetalk.errors import CoordsError
from musetalk.faces.parsing.label_store import unpack_labels
from musetalk.utils.array_files import read_arrays
from musetalk.utils.arrays import Float64Array, Int64Array, UInt8Array
from musetalk.utils.files import whole_file

FIRST = sha256(b"first lot").hexdigest()
"""The name of what comes before the first lot."""
_ARRAYS = ("lots", "rows", "places", "packed", "ends", "landmarks")
_LARGEST = 2**30  # bytes that a file of lots may unpack to: far beyond the largest, short of harm
_ROW, _MARKS = 6, (68, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """Faces that were looked at together, of whole frames.

    Attributes:
        rows: float64 [n, 6], a face each: its frame, the number of its track, x0, y0, x1, y1 of its box. Tracks are
            counted in the order in which they appear in all lots.
        places: int64 [n], which of those that were looked at it is; -1: as its track was seen last.
        labels: Of those that were looked at their labels, packed; empty where faces are not parsed.
        landmarks: float64 [m, 68, 2] of these; m is 0 where nobody looks for them.
        full: Whether it was looked at because it was full, and not because there were no more faces.
    """

    rows: Float64Array
    places: Int64Array
    labels: tuple[bytes, ...]
    landmarks: Float64Array
    full: bool

    def name(self, before: str) -> str:
        """Return the digest of where it stands, behind lots of that name."""
        parts = self.rows.tobytes(), self.places.tobytes(), bytes([self.full])
        return sha256(b"".join((bytes.fromhex(before), *parts))).hexdigest()

    def look(self, place: int) -> tuple[UInt8Array | None, bytes | None, Float64Array | None]:
        """Return labels, the same packed, and landmarks of one of those that were looked at.

        Raises:
            CoordsError: The labels are damaged.
        """
        packed = self.labels[place] if self.labels else None
        marks = self.landmarks[place] if len(self.landmarks) else None
        try:
            return None if packed is None else unpack_labels(packed), packed, marks
        except ValueError as error:
            raise CoordsError(f"kept face labels are damaged ({error})", "render without reusing findings") from error


def write_lots(path: Path, lots: Sequence[Lot]) -> None:
    """Write lots in a row as `.npz`; the file appears whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    packed = [each for lot in lots for each in lot.labels]
    arrays: dict[str, Any] = {
        "lots": np.array([(len(lot.rows), lot.full, len(lot.labels), len(lot.landmarks)) for lot in lots], np.int64),
        "rows": np.concatenate([lot.rows for lot in lots]),
        "places": np.concatenate([lot.places for lot in lots]),
        "packed": np.frombuffer(b"".join(packed), np.uint8),
        "ends": np.cumsum([0, *map(len, packed)], dtype=np.int64),
        "landmarks": np.concatenate([lot.landmarks.reshape(-1, *_MARKS) for lot in lots]),
    }
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # labels are packed already


def read_lots(path: Path) -> list[Lot]:
    """Read what `write_lots` wrote. Nothing in the file is ever executed.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is damaged, or holds something else.
    """
    arrays = read_arrays(path, _ARRAYS, _LARGEST)
    _check(arrays)
    packed, ends = arrays["packed"].tobytes(), arrays["ends"].tolist()
    row = label = mark = 0
    lots = []
    for rows, full, labels, marks in arrays["lots"].tolist():
        pieces = tuple(packed[ends[n] : ends[n + 1]] for n in range(label, label + labels))
        own, places = arrays["rows"][row : row + rows], arrays["places"][row : row + rows]
        if rows < 1 or places.min() < -1 or any(0 < count <= places.max() for count in (labels, marks)):
            raise ValueError("a face is missing")
        lots.append(Lot(own, places, pieces, arrays["landmarks"][mark : mark + marks], bool(full)))
        row, label, mark = row + rows, label + labels, mark + marks
    return lots


def _check(arrays: dict[str, npt.NDArray[Any]]) -> None:
    lots, ends = arrays["lots"], arrays["ends"]
    if lots.ndim != 2 or lots.shape[1] != 4 or lots.dtype != np.int64 or (lots < 0).any():
        raise ValueError("it holds no lots")
    rows, _, labels, marks = lots.sum(axis=0).tolist()
    shapes = {"rows": (rows, _ROW), "places": (rows,), "ends": (labels + 1,), "landmarks": (marks, *_MARKS)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {list(arrays[name].shape)}")
    if ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] != arrays["packed"].nbytes:
        raise ValueError("labels are missing")
