"""Crops and masks of an avatar that somebody else placed, as two files: their places, and the masks one after another.

`crops.npz` has `frame`, int64 [N], ascending; `boxes` and `squares`, int32 [N, 4] as x0, y0, x1, y1 in pixels of the
source, half open; and `ends`, int64 [N + 1]: where in the other file each mask ends. That has them packed by zlib, each
uint8 over its square, 255 where the generated crop shows.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from musetalk.compositing.masks import FaceMask, trimmed
from musetalk.errors import PATH, AvatarError, write_error
from musetalk.utils.array_files import read_arrays
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import whole_file

_LEVEL = 6  # of compression: masks are soft, and kept for long
_LARGEST = 2**28  # bytes that the places may unpack to: three million frames
_WIDEST = 6  # times as wide as its crop that a square may be
_REMEDY = "import the avatar again"
_ARRAYS = ("frame", "boxes", "squares", "ends")


class GivenCropsWriter:
    """Writes crops and masks frame by frame; leaving the `with` block completes the files.

    Args:
        places: The `.npz` to make.
        masks: The file of masks to make.
    """

    def __init__(self, places: Path, masks: Path) -> None:
        self._places, self._masks = places, masks
        self._rows = array("q")
        self._ends = array("q", [0])

    def __enter__(self) -> GivenCropsWriter:
        self._file = self._masks.open("wb")
        return self

    def add(self, frame: int, box: Sequence[int], square: Sequence[int], mask: UInt8Array) -> None:
        """Take the crop of a frame, later than those before, and its mask over a square around it.

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        packed = zlib.compress(np.ascontiguousarray(mask).tobytes(), _LEVEL)
        try:
            self._file.write(packed)
        except OSError as error:
            problem = f'masks cannot be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "free some space", path=self._masks.parent) from error
        self._rows.extend((frame, *box, *square))
        self._ends.append(self._ends[-1] + len(packed))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None:
            return
        rows = np.array(self._rows, np.int64).reshape(-1, 9)
        arrays: dict[str, Any] = {
            "frame": rows[:, 0],
            "boxes": rows[:, 1:5].astype(np.int32),
            "squares": rows[:, 5:].astype(np.int32),
            "ends": np.array(self._ends, np.int64),
        }
        with whole_file(self._places) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)


class GivenCropsFile:
    """Crops and masks that `GivenCropsWriter` wrote: a `GivenCrops`. Safe between threads.

    Args:
        places: The `.npz`.
        masks: The file of masks.
        size: (width, height) of the source's frames.

    Raises:
        AvatarError: They are damaged, or about another source.
    """

    def __init__(self, places: Path, masks: Path, size: tuple[int, int]) -> None:
        self._masks = masks
        try:
            stored = read_arrays(places, _ARRAYS, _LARGEST)
            _check(stored, size, masks.stat().st_size)
        except (OSError, ValueError) as error:
            raise AvatarError(f'"{PATH}" holds no crops of this avatar ({error})', _REMEDY, path=places) from error
        self._frame, self._ends = stored["frame"], stored["ends"]
        self._boxes, self._squares = stored["boxes"], stored["squares"]

    def box(self, frame: int) -> tuple[int, int, int, int] | None:
        """Return the crop in a source frame; None: it has none."""
        row = self._row(frame)
        return None if row is None else _four(self._boxes[row])

    def square(self, frame: int) -> tuple[int, int, int, int] | None:
        """Return the square around a crop over which its mask lies; None: the frame has no crop."""
        row = self._row(frame)
        return None if row is None else _four(self._squares[row])

    def mask(self, frame: int) -> FaceMask | None:
        """Return where the crop shows, no further than it reaches; None: the frame has no crop.

        Raises:
            AvatarError: It is damaged.
        """
        box, square, levels = self.box(frame), self.square(frame), self.levels(frame)
        if box is None or square is None or levels is None:
            return None
        x, y = square[:2]
        inside = levels[box[1] - y : box[3] - y, box[0] - x : box[2] - x]
        return trimmed(FaceMask(box[0], box[1], inside * np.float32(1 / 255)))

    def levels(self, frame: int) -> UInt8Array | None:
        """Return the mask over the whole square: uint8 [h, w]; None: the frame has no crop.

        Raises:
            AvatarError: It is damaged.
        """
        row, square = self._row(frame), self.square(frame)
        if row is None or square is None:
            return None
        width, height = square[2] - square[0], square[3] - square[1]
        start, stop = self._ends[row : row + 2].tolist()
        try:
            with self._masks.open("rb") as file:
                file.seek(start)
                packed = file.read(stop - start)
            levels = zlib.decompressobj().decompress(packed, width * height + 1)
        except (OSError, zlib.error) as error:
            raise AvatarError(f'a mask in "{PATH}" cannot be read ({error})', _REMEDY, path=self._masks) from error
        if len(levels) != width * height:
            raise AvatarError(f'a mask in "{PATH}" is not of its size', _REMEDY, path=self._masks)
        return np.frombuffer(levels, np.uint8).reshape(height, width)

    def _row(self, frame: int) -> int | None:
        row = int(np.searchsorted(self._frame, frame))
        return row if row < len(self._frame) and self._frame[row] == frame else None


def _four(row: npt.NDArray[np.int32]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def _check(stored: dict[str, npt.NDArray[Any]], size: tuple[int, int], masks_bytes: int) -> None:
    """Check that what was read fits together, and the source.

    Raises:
        ValueError: It does not; the text says where.
    """
    frame, boxes, squares, ends = (stored[name] for name in _ARRAYS)
    rows = len(frame) if frame.ndim == 1 else -1
    shapes = {"frame": (rows,), "boxes": (rows, 4), "squares": (rows, 4), "ends": (rows + 1,)}
    for name, shape in shapes.items():
        dtype = np.int64 if name in ("frame", "ends") else np.int32
        if stored[name].dtype != dtype or stored[name].shape != shape:
            raise ValueError(f"{name} is {stored[name].dtype}{list(stored[name].shape)}")
    if (frame < 0).any() or (np.diff(frame) <= 0).any():
        raise ValueError("frames are not in order")
    if (boxes < 0).any() or (boxes > np.array([*size, *size])).any() or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError("a crop is not in its frame")
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0).astype(np.int64)
    squares = squares.astype(np.int64)
    wide = (squares[:, 2:] - squares[:, :2]).max(axis=1, initial=0)
    around = (squares[:, :2] <= boxes[:, :2]).all(axis=1) & (squares[:, 2:] >= boxes[:, 2:]).all(axis=1)
    if not around.all() or (wide > _WIDEST * sides).any():
        raise ValueError("a mask is not around its crop")
    if ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] != masks_bytes:
        raise ValueError("the masks' file has another size")
