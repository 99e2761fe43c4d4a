"""Latents of an avatar's crops, as safetensors: written and read crop by crop, so that memory does not grow with them.

Its two tensors are `latents`, float32 [N, 8, h, w], and `digests`, uint8 [N, 16]: of the pixels of each crop.
"""

from __future__ import annotations

import json
import struct
import threading
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from musetalk.errors import PATH, AvatarError, write_error
from musetalk.utils.arrays import Float32Array, Int64Array
from musetalk.utils.plain_json import read_plain_json

_HEADER = 512  # bytes that its description has: padded, so that it can be written last
_DIGEST, _FLOAT = 16, 4  # bytes
_CHANNELS, _MOST_SIDE = 8, 256  # of latents


class LatentsWriter:
    """Writes latents, each crop's once; leaving the `with` block completes the file.

    Args:
        path: The file to make; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[bytes, None] = {}
        self._shape: tuple[int, ...] = (_CHANNELS, 0, 0)

    def __enter__(self) -> LatentsWriter:
        self._file = self._path.open("wb")
        self._file.write(bytes(8 + _HEADER))
        return self

    def add(self, digests: list[bytes], latents: Float32Array) -> None:
        """Take in latents, float32 [N, 8, h, w], with the digests of their crops.

        Raises:
            OutputError: The disk is full or cannot be written to.
        """
        self._shape = latents.shape[1:]
        try:
            for digest, own in zip(digests, latents, strict=True):
                if digest not in self._digests:
                    self._file.write(np.ascontiguousarray(own, "<f4").tobytes())
                    self._digests[digest] = None
        except OSError as error:
            problem = f'latents cannot be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "free some space", path=self._path.parent) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.write(b"".join(self._digests))
                self._file.seek(0)
                count = len(self._digests)
                self._file.write(_header(count, self._shape))


class LatentsFile:
    """Latents of an avatar, as one render uses them: it counts what is asked for. Safe between threads.

    Args:
        path: What `LatentsWriter` wrote.

    Raises:
        AvatarError: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._asked: dict[bytes, bool] = {}
        try:
            with path.open("rb") as file:
                self._shape = _read_header(file.read(8 + _HEADER), path.stat().st_size)
                file.seek(8 + _HEADER + _FLOAT * prod(self._shape))
                halves = np.fromfile(file, "<i8", 2 * self._shape[0]).reshape(-1, 2)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AvatarError(f'"{PATH}" holds no latents ({error})', "create the avatar again", path=path) from error
        self._order: Int64Array = np.argsort(halves[:, 0], kind="stable")
        self._first, self._second = halves[self._order, 0], halves[self._order, 1]

    def __len__(self) -> int:
        """Crops of which it holds latents."""
        return self._shape[0]

    def get(self, digest: bytes) -> Float32Array | None:
        """Return the latents of one crop, float32 [8, h, w]; None: they are not kept.

        Raises:
            AvatarError: They cannot be read.
        """
        row = self._row(digest)
        with self._lock:
            self._asked[digest] = row is not None
        if row is None:
            return None
        count = prod(self._shape[1:])
        try:
            with self._path.open("rb") as file:
                file.seek(8 + _HEADER + _FLOAT * count * row)
                latents = np.fromfile(file, "<f4", count)
            return latents.astype(np.float32, copy=False).reshape(self._shape[1:])
        except (OSError, ValueError) as error:
            problem = f'"{PATH}" can no longer be read ({error})'
            raise AvatarError(problem, "create the avatar again", path=self._path) from error

    @property
    def missed(self) -> tuple[int, int]:
        """How many crops were asked for that it does not hold, and how many crops were asked for at all."""
        with self._lock:
            return sum(not held for held in self._asked.values()), len(self._asked)

    def _row(self, digest: bytes) -> int | None:
        first, second = struct.unpack("<qq", digest)
        place = int(np.searchsorted(self._first, first))
        while place < len(self._first) and self._first[place] == first:
            if self._second[place] == second:
                return int(self._order[place])
            place += 1
        return None


def _header(count: int, shape: tuple[int, ...]) -> bytes:
    end = _FLOAT * count * prod(shape)
    described = {
        "latents": {"dtype": "F32", "shape": [count, *shape], "data_offsets": [0, end]},
        "digests": {"dtype": "U8", "shape": [count, _DIGEST], "data_offsets": [end, end + _DIGEST * count]},
    }
    return struct.pack("<Q", _HEADER) + json.dumps(described).encode().ljust(_HEADER)


def _read_header(stored: bytes, file_bytes: int) -> tuple[int, ...]:
    """Return the shape of the latents: only what `_header` writes is taken, and only in a file of the size it says.

    Raises:
        ValueError, KeyError, TypeError: It is something else.
    """
    described: Any = read_plain_json(stored[8:])
    shape = described["latents"]["shape"]
    count, channels, height, width = (int(each) for each in shape)
    sound = count >= 0 and channels == _CHANNELS and min(height, width) >= 0 and max(height, width) <= _MOST_SIDE
    size = 8 + _HEADER + count * (_FLOAT * channels * height * width + _DIGEST)
    if not sound or stored != _header(count, (channels, height, width)) or size != file_bytes:
        raise ValueError("another format, or another size")
    return count, channels, height, width
