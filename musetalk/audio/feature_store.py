"""A voice's features on disk: one file per job, and a bounded cache of them."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from musetalk.errors import PATH, OutputError, write_error
from musetalk.utils.arrays import Float32Array
from musetalk.utils.files import link_or_copy, whole_file

_log = logging.getLogger(__name__)

# Half precision: 192 kB per second of Whisper tiny's features (0.7 GB an hour) at a relative error of 2**-11, which is
# what networks that run in half precision receive anyhow.
_DTYPE = np.dtype("<f2")
_LARGEST = float(np.finfo(_DTYPE).max)
_CACHE_BYTES = 2 * 2**30  # near three hours of voice


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """Hidden states of a voice as .npy on disk. The file is opened for each reading and held open by none.

    Attributes:
        path: The file.
        steps: Encoder steps T, 50 a second.
        states: Hidden states per step.
        width: Size of a hidden state.
        dtype: Of the values on disk.
        offset: Where they begin, in bytes.
    """

    path: Path
    steps: int
    states: int
    width: int
    dtype: np.dtype[np.floating]
    offset: int

    @classmethod
    def open(cls, path: Path) -> FeatureFile:
        """Look at a file that `write_features` made. Nothing in it is ever executed.

        Raises:
            OSError: It cannot be read.
            ValueError: It is cut short, or holds something else.
        """
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version of .npy")
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
        if len(shape) != 3 or in_columns or dtype.kind != "f":
            raise ValueError("it holds no features")
        if path.stat().st_size != offset + math.prod(shape) * dtype.itemsize:
            raise ValueError("it is cut short")
        return cls(path, *shape, dtype, offset)

    def read(self, start: int, stop: int) -> Float32Array:
        """Steps [start, stop), 0 <= start <= stop <= steps: float32 [stop - start, states, width]."""
        row = self.states * self.width
        with self.path.open("rb") as file:
            file.seek(self.offset + start * row * self.dtype.itemsize)
            held = np.fromfile(file, self.dtype, (stop - start) * row)
        return held.astype(np.float32).reshape(stop - start, self.states, self.width)


def write_features(path: Path, shape: tuple[int, int, int], pieces: Iterable[Float32Array]) -> FeatureFile:
    """Write features as they come; the file appears whole or not at all.

    Args:
        path: The .npy file to make, in an existing folder.
        shape: Steps, states and width of all pieces together.
        pieces: float32 [n, states, width] each.

    Raises:
        OutputError: The disk is full or cannot be written to.
    """
    with whole_file(path, _no_room) as partial, partial.open("wb") as file:
        header = {"descr": _DTYPE.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(in_half_precision(piece).tobytes())
    return FeatureFile.open(path)


def in_half_precision(states: Float32Array) -> npt.NDArray[np.float16]:
    """Return hidden states as they are kept; values beyond what half precision holds become its largest."""
    return np.clip(states, -_LARGEST, _LARGEST).astype(_DTYPE)


def _no_room(path: Path, error: OSError) -> OutputError:
    problem = f'the voice\'s features cannot be written to "{PATH}" ({error})'
    return write_error(error)(problem, "free some space", path=path.parent)


class FeatureCache:
    """Keeps features between jobs, by key; throws away what was not asked for longest. Safe to share.

    Args:
        folder: Where; made if need be. Only files that it made are touched.
        max_bytes: Most that it holds.
    """

    def __init__(self, folder: Path, max_bytes: int = _CACHE_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def fetch(self, key: str, path: Path) -> FeatureFile | None:
        """Put what is kept under `key` at `path`, which is the caller's from then on; None: there is nothing."""
        kept = self._kept(key)
        try:
            FeatureFile.open(kept)
            os.utime(kept)
            link_or_copy(kept, path)
            return FeatureFile.open(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("kept features %s are not used: %s", kept, error)
            path.unlink(missing_ok=True)
            return None

    def store(self, key: str, features: FeatureFile) -> None:
        """Keep features under a key. What cannot be kept is logged and measured again next time."""
        try:
            if features.path.stat().st_size > self._max_bytes:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._kept(key)) as partial:
                link_or_copy(features.path, partial)
            self._shrink()
        except (OSError, OutputError) as error:
            _log.warning("the voice's features are not kept in %s: %s", self._folder, error)

    def _kept(self, key: str) -> Path:
        return self._folder / f"features-{key}.npy"

    def _shrink(self) -> None:
        """Remove the files whose last use lies furthest back until the rest fits."""
        found = [(path.stat(), path) for path in self._folder.glob("features-*.npy")]
        used = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda item: item[0].st_mtime_ns):
            if used <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            used -= status.st_size
