"""Faces by MTCNN: boxes and five points, from networks so small that OpenCV runs them on a CPU in milliseconds.

A search passes from the first network, which sees all of the frame at several sizes, over the second to the third. The
third alone follows a known face from frame to frame, and places every face, so that both agree.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np

from musetalk.arrays import UInt8Array
from musetalk.errors import BackendError
from musetalk.faces.mtcnn_boxes import best_of, moved, squares_around
from musetalk.faces.mtcnn_networks import (
    CELL,
    PACKAGE,
    REMEDY,
    SECOND_SIDE,
    STRIDE,
    THIRD_SIDE,
    MtcnnNetworks,
    find_networks,
)
from musetalk.faces.mtcnn_views import View, mean_face
from musetalk.faces.overlap import distinct, same_face
from musetalk.faces.smoothing import Float64Array
from musetalk.faces.types import FaceBox
from musetalk.settings import DetectorSettings

MAX_SIDE = 480  # pixels of the longer side, unless settings say otherwise

_REVISION = 1  # raise with every change that moves boxes: saved plans are keyed by it
_LEAST_FACE = 20  # pixels: smaller ones are guesses
_STEP = 0.709  # scale step of the search: half the area, as published
_WANTED = 0.9  # share of the least face's size at which the search begins
_CHANCES = (0.6, 0.7, 0.7)  # what each network has to give a face in a search, as published
_SURE = 0.8  # what the third has to give a face that was found: no false alarm of those seen had so much
_KNOWN = 0.7  # and one that is followed
_SAME, _SAME_OF_ALL = 0.5, 0.7  # intersection over union above which proposals of one size, and of all, are one


class MtcnnDetector:
    """Finds faces up to about half profile; the score is the last network's probability.

    Safe to share between threads, which take turns. Each call stands alone: nothing is remembered of other frames.

    Args:
        settings: How large frames and faces are looked for.
        networks: What looks; None: those of the installed package.

    Raises:
        BackendError: The package is not installed, or its files cannot be read.
    """

    def __init__(self, settings: DetectorSettings, networks: MtcnnNetworks | None = None) -> None:
        self._settings = settings
        self._max_side = settings.max_side or MAX_SIDE
        self._networks = networks or _installed()
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Name, revision, settings and weights."""
        settings = f"max_side={self._max_side} min_face={self._settings.min_face:g}"
        return f"mtcnn-{_REVISION} {settings} weights={self._networks.digest}"

    @property
    def max_side(self) -> int:
        """Longer side of the frames it searches, in pixels; it shrinks larger ones itself."""
        return self._max_side

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole, and measure what was found as `follow` does.

        Args:
            frames: uint8 RGB [H, W, 3] each.

        Returns:
            Per frame its faces with their points, in pixels of that frame, best score first.
        """
        found = []
        for frame in frames:
            small, (sx, sy) = self._shrunk(frame)
            with self._lock:
                close = self._measure(small, self._search(small), _SURE)
            large = (box for box in close if box is not None and box.width >= self._least(small))
            found.append([box.scaled(1 / sx, 1 / sy) for box in distinct(large)])
        return found

    def search(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """As `detect`, without measuring what was found; see `SearchingDetector`."""
        found = []
        for frame in frames:
            small, (sx, sy) = self._shrunk(frame)
            with self._lock:
                sure = (box for box in self._search(small) if box.score >= _SURE and box.width >= self._least(small))
                found.append([box.scaled(1 / sx, 1 / sy) for box in sure])
        return found

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were; see `FollowingDetector`."""
        small, (sx, sy) = self._shrunk(frame)
        with self._lock:
            found = self._measure(small, [box.scaled(sx, sy) for box in boxes], _KNOWN)
        return [None if box is None else box.scaled(1 / sx, 1 / sy) for box in found]

    def _search(self, small: UInt8Array) -> list[FaceBox]:
        """Faces in a frame of the searched size, roughly placed; not much smaller than the least."""
        least = self._least(small)
        rough = self._confirmed(small, self._refined(small, self._proposals(small, least)))
        return [box for box in rough if box.width >= _WANTED * least]

    def _least(self, small: UInt8Array) -> float:
        """Side of the smallest face that is looked for in a frame of the searched size."""
        return max(float(_LEAST_FACE), self._settings.min_face * float(min(small.shape[:2])))

    def _shrunk(self, frame: UInt8Array) -> tuple[UInt8Array, tuple[float, float]]:
        """The frame, at most `max_side` pixels long, and its size as fractions (across, down) of what it was."""
        height, width = frame.shape[:2]
        scale = self._max_side / max(height, width)
        if scale >= 1:
            return frame, (1.0, 1.0)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        return small, (size[0] / width, size[1] / height)

    def _proposals(self, frame: UInt8Array, least: float) -> Float64Array:
        """Squares that may hold faces of a least size: float64 [n, 4]."""
        height, width = frame.shape[:2]
        scale = CELL / (_WANTED * least)
        found = [np.zeros((0, 5))]
        while min(height, width) * scale >= CELL:
            size = (ceil(width * scale), ceil(height * scale))
            picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            chances, offsets = self._networks.first(np.asarray(picture, np.uint8))
            rows, columns = np.nonzero(chances >= _CHANCES[0])
            corners = STRIDE * np.stack([columns, rows], axis=1)
            cells = np.concatenate([corners, corners + CELL], axis=1) * np.tile((width / size[0], height / size[1]), 2)
            found.append(best_of(moved(cells, offsets[rows, columns]), chances[rows, columns], _SAME))
            scale *= _STEP
        every = np.concatenate(found)
        return squares_around(best_of(every[:, :4], every[:, 4], _SAME_OF_ALL)[:, :4])

    def _refined(self, frame: UInt8Array, squares: Float64Array) -> Float64Array:
        """Those squares that the second network takes for faces, better placed: float64 [n, 4]."""
        if not len(squares):
            return squares
        crops = np.stack([View.of(square).cut(frame, SECOND_SIDE) for square in squares])
        chances, offsets = self._networks.second(crops)
        likely = chances > _CHANCES[1]
        return squares_around(best_of(moved(squares, offsets)[likely], chances[likely], _SAME_OF_ALL)[:, :4])

    def _confirmed(self, frame: UInt8Array, squares: Float64Array) -> list[FaceBox]:
        """Those squares that the third network takes for faces, each face once."""
        found = self._looked(frame, [View.of(row) for row in squares])
        return distinct(box for box in found if box.score > _CHANCES[2])

    def _measure(self, frame: UInt8Array, known: Sequence[FaceBox], least: float) -> list[FaceBox | None]:
        """The faces near known ones, where they score enough.

        The first look tells how to turn and place the second, which decides: so it hardly matters where a face was
        known to be, and a stretch of frames is measured the same wherever it begins.
        """
        first = self._looked(frame, [View.around(box) for box in known])
        near = [index for index, (new, old) in enumerate(zip(first, known, strict=True)) if _near(new, old)]
        views = [View.around(first[index]) for index in near]
        second = self._looked(frame, [view for one in views for view in (one, one.mirror())])
        found: list[FaceBox | None] = [None] * len(known)
        for place, index in enumerate(near):
            box = mean_face(second[2 * place : 2 * place + 2])
            if box.score >= least and _near(box, known[index]):
                found[index] = box
        return found

    def _looked(self, frame: UInt8Array, views: Sequence[View]) -> list[FaceBox]:
        """What the third network sees in each view."""
        if not views:
            return []
        chances, offsets, points = self._networks.third(np.stack([view.cut(frame, THIRD_SIDE) for view in views]))
        parts = zip(views, chances.tolist(), offsets.astype(np.float64), points.astype(np.float64), strict=True)
        return [view.face(score, edges, at) for view, score, edges, at in parts]


def _installed() -> MtcnnNetworks:
    files = find_networks()
    if files is None:
        raise BackendError(f"the package {PACKAGE} is not installed", REMEDY)
    return MtcnnNetworks(files)


def _near(found: FaceBox, known: FaceBox) -> bool:
    """Whether a face may be the known one: where it is, and not half or twice as large."""
    return same_face(found, known) and 0.25 < found.area / known.area < 4
