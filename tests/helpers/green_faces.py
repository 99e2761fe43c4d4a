"""Green rectangles for faces, and S3FD with a network that sees those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor

from musetalk.faces.detection.s3fd import S3FDDetector
from musetalk.faces.detection.s3fd_network import Heads
from musetalk.faces.detection.s3fd_preprocess import MEAN
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import UInt8Array

CPU = torch.device("cpu")
STRIDES = (4, 8, 16, 32, 64, 128)
FACE, GROUND = (40, 250, 40), (60, 60, 60)
TALL = 1.27  # height of a face as S3FD draws it, in widths: here the square's two measures of its side agree
SMALLEST = 14  # pixels of the network's input: a smaller face is not seen
Size = tuple[int, int]


class GreenNetwork:
    """Stands in for S3FD: a face is a green rectangle, measured by its moments to a fraction of a pixel.

    Args:
        swell: By how much faces of 200 pixels seem larger than they are, against those of 100.
    """

    def __init__(self, swell: float = 0.0) -> None:
        self._swell = swell
        self.shown: list[Size] = []  # (height, width) of each picture

    def __call__(self, x: Tensor) -> Heads:
        self.shown += [(x.shape[2], x.shape[3])] * len(x)
        maps = [(-(-x.shape[2] // stride), -(-x.shape[3] // stride)) for stride in STRIDES]
        heads = [(torch.zeros(len(x), 2, h, w), torch.zeros(len(x), 4, h, w)) for h, w in maps]
        for logits, _ in heads:
            logits[:, 0] = 9.0
        for picture, pixels in enumerate(x):
            colors = pixels.permute(1, 2, 0).numpy() + np.array(MEAN, np.float32)
            for cx, cy, width, height in rectangles(colors):
                factor = 1 + self._swell * float(np.log2(height / 100))
                mark(heads, picture, cx, cy, factor * width, factor * height)
        return heads


def rectangles(colors: np.ndarray) -> Iterator[tuple[float, float, float, float]]:
    """(centre x, centre y, width, height) of each green rectangle, from the share of each pixel that it covers."""
    green = colors[..., 1] - colors[..., 0]
    share = np.clip((green - 14) / (FACE[1] - FACE[0] - 14), 0, 1)  # of the mean color, green less blue is 13
    count, parts = cv2.connectedComponents((share > 0).astype(np.uint8))
    for part in range(1, count):
        weight = np.where(parts == part, share, 0)
        x, width = spread(weight.sum(axis=0))
        y, height = spread(weight.sum(axis=1))
        if height >= SMALLEST:
            yield x, y, width, height


def spread(weight: np.ndarray) -> tuple[float, float]:
    """Middle and length of a level stretch that was averaged over pixels."""
    places = np.arange(len(weight)) + 0.5
    middle = float((weight * places).sum() / weight.sum())
    variance = float((weight * (places - middle) ** 2).sum() / weight.sum())
    return middle, float(np.sqrt(max(12 * variance - 1, 1)))  # the pixels themselves add a twelfth


def mark(heads: Heads, picture: int, x: float, y: float, width: float, height: float) -> None:
    """Set the outputs of the anchor nearest to a face."""
    level = min(range(6), key=lambda index: abs(np.log(4 * STRIDES[index] / height)))
    (logits, offsets), stride = heads[level], STRIDES[level]
    row, column = (min(int(place / stride), size - 1) for place, size in zip((y, x), logits.shape[2:], strict=True))
    side = 4 * stride
    logits[picture, :, row, column] = torch.tensor([-4.0, 4.0])
    offsets[picture, :, row, column] = torch.tensor(
        [
            (x - stride * (column + 0.5)) / side / 0.1,
            (y - stride * (row + 0.5)) / side / 0.1,
            np.log(width / side) / 0.2,
            np.log(height / side) / 0.2,
        ]
    )


class Searching:
    """The same detector, but it searches every frame."""

    def __init__(self, detector: S3FDDetector) -> None:
        self._detector = detector
        self.fingerprint, self.max_side, self.detect = detector.fingerprint, detector.max_side, detector.detect


def tight(cx: float, cy: float, width: float) -> FaceBox:
    return FaceBox(cx - width / 2, cy - TALL * width / 2, cx + width / 2, cy + TALL * width / 2, 1.0)


def draw(size: Size, faces: Iterable[FaceBox], ground: tuple[int, int, int] = GROUND) -> UInt8Array:
    """Faces as rectangles that cover their pixels in part at the rim: uint8 RGB, size as (width, height)."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = ground
    for face in faces:
        columns, across = covered(size[0], face.x0, face.x1)
        rows, down = covered(size[1], face.y0, face.y1)
        part = picture[rows, columns]
        part[:] = (part + (down[:, None] * across)[..., None] * (np.float32(FACE) - part)).round()
    return picture


def covered(count: int, start: float, end: float) -> tuple[slice, np.ndarray]:
    """The pixels of a row that a stretch touches, and which share of each it covers."""
    first, last = max(0, int(np.floor(start))), min(count, int(np.ceil(end)))
    places = np.arange(first, last, dtype=np.float32)
    return slice(first, last), np.minimum(places + 1, end) - np.maximum(places, start)


def green(longest: int = 640) -> tuple[S3FDDetector, GreenNetwork]:
    network = GreenNetwork()
    return S3FDDetector(network, device=CPU, longest=longest), network
