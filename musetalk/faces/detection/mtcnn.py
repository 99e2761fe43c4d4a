"""Faces by MTCNN: boxes and five points, from networks so small that OpenCV runs them on a CPU in milliseconds.

A search passes from the first network, which sees all of the frame at several sizes, over the second to the third. The
third alone follows a known face from frame to frame, and places every face, so that both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, radians

import cv2
import numpy as np

from musetalk.errors import PackageError
from musetalk.faces.detection.boxes import distinct, same_face
from musetalk.faces.detection.five_points import tilt_of
from musetalk.faces.detection.mtcnn_boxes import best_of, moved, squares_around
from musetalk.faces.detection.mtcnn_networks import (
    CELL,
    PACKAGE,
    REMEDY,
    SECOND_SIDE,
    STRIDE,
    THIRD_SIDE,
    MtcnnNetworks,
    find_networks,
)
from musetalk.faces.detection.mtcnn_views import View, mean_face
from musetalk.faces.detection.opencv import LightDetector, shrunk
from musetalk.faces.types import FaceBox, Sought
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import Float64Array, UInt8Array

MAX_SIDE = 480  # pixels of the longer side, unless settings say otherwise

_NAME = "mtcnn-2"  # with its revision: see `LightDetector`
_LEAST_FACE = 20.0  # pixels: smaller ones are guesses
_STEP = 0.709  # scale step of the search: half the area, as published
_WANTED = 0.9  # share of the least face's size at which the search begins
_CHANCES = (0.6, 0.7, 0.7)  # what each network has to give a face in a search, as published
_SURE = 0.8  # what the third has to give a face that was found; of false alarms seen, one had more (folded hands)
_KNOWN = 0.7  # and one that is followed
_AT_ONCE = 12  # squares that the third network is shown at once where not all faces are wanted
_MOST_TILT = radians(67)  # of a head; videos that have to be turned show tilts of 73 and more
_SAME, _SAME_OF_ALL = 0.5, 0.7  # intersection over union above which proposals of one size, and of all, are one


class MtcnnDetector(LightDetector):
    """Finds faces up to about half profile; the score is the last network's probability.

    Safe to share between threads, which take turns. Each call stands alone: nothing is remembered of other frames.

    Args:
        settings: How large frames and faces are looked for.
        networks: What looks; None: those of the installed package.

    Raises:
        PackageError: The package is not installed, or its files cannot be read.
    """

    def __init__(self, settings: DetectorSettings, networks: MtcnnNetworks | None = None) -> None:
        self._networks = networks or _installed()
        super().__init__(settings, _NAME, MAX_SIDE, self._networks.digest)

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole, and measure what was found as `follow` does.

        Args:
            frames: uint8 RGB [H, W, 3] each.

        Returns:
            Per frame its faces with their points, in pixels of that frame, best score first.
        """
        return self.search(frames)

    def search(self, frames: Sequence[UInt8Array], sought: Sought | None = None) -> list[list[FaceBox]]:
        """As `detect`, but it may end at the faces that are sought; see `SearchingDetector`."""
        found = []
        for frame in frames:
            small, (sx, sy) = shrunk(frame, self.max_side)
            with self._lock:
                close = self._search(small, sought and sought.scaled(sx, sy))
            found.append([box.scaled(1 / sx, 1 / sy) for box in close])
        return found

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were; see `FollowingDetector`."""
        small, (sx, sy) = shrunk(frame, self.max_side)
        with self._lock:
            found = self._measure(small, [box.scaled(sx, sy) for box in boxes], _KNOWN)
        return [None if box is None else box.scaled(1 / sx, 1 / sy) for box in found]

    def _search(self, small: UInt8Array, sought: Sought | None) -> list[FaceBox]:
        """Return the faces in a frame of the searched size, best score first."""
        least = self._least(small, _LEAST_FACE)
        squares = self._refined(small, self._proposals(small, least))  # before it sizes are hardly known
        if sought is not None:
            ranks = [sought.rank(FaceBox(x0, y0, x1, y1, 0.0)) for x0, y0, x1, y1 in squares.tolist()]
            squares = squares[np.argsort(ranks, kind="stable")]
        found: list[FaceBox] = []
        step = max(1, len(squares)) if sought is None else _AT_ONCE
        for start in range(0, len(squares), step):
            rough = self._confirmed(small, squares[start : start + step])
            rough = [box for box in rough if box.width >= _WANTED * least]
            close = (box for box in self._measure(small, rough, _SURE) if box is not None and box.width >= least)
            found = distinct([*found, *close])
            if sought is not None and len(found) >= sought.most:
                break
        return found

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
        """Return those squares that the second network takes for faces, better placed: float64 [n, 4]."""
        if not len(squares):
            return squares
        crops = np.stack([View.of(square).cut(frame, SECOND_SIDE) for square in squares])
        chances, offsets = self._networks.second(crops)
        likely = chances > _CHANCES[1]
        return squares_around(best_of(moved(squares, offsets)[likely], chances[likely], _SAME_OF_ALL)[:, :4])

    def _confirmed(self, frame: UInt8Array, squares: Float64Array) -> list[FaceBox]:
        """Return those squares that the third network takes for faces, each face once."""
        found = self._looked(frame, [View.of(row) for row in squares])
        return distinct(box for box in found if box.score > _CHANCES[2])

    def _measure(self, frame: UInt8Array, known: Sequence[FaceBox], least: float) -> list[FaceBox | None]:
        """Return the faces near known ones, where they score enough.

        The first look tells how to turn and place the second, which decides: so it hardly matters where a face was
        known to be, and a stretch of frames is measured the same wherever it begins.
        """
        first = self._looked(frame, [View.around(box) for box in known])
        near = [index for index, (new, old) in enumerate(zip(first, known, strict=True)) if _near(new, old)]
        views = [View.around(first[index]) for index in near]
        second = self._looked(frame, views, mirrored=True)
        found: list[FaceBox | None] = [None] * len(known)
        for place, index in enumerate(near):
            box = mean_face(second[place :: len(near)])
            if box.score >= least and _near(box, known[index]) and _stands(box):
                found[index] = box
        return found

    def _looked(self, frame: UInt8Array, views: Sequence[View], *, mirrored: bool = False) -> list[FaceBox]:
        """Return what the third network sees in each view; and behind these, in each as a mirror shows it."""
        if not views:
            return []
        crops = np.stack([view.cut(frame, THIRD_SIDE) for view in views])
        if mirrored:
            views, crops = [*views, *(view.mirror() for view in views)], np.concatenate([crops, crops[:, :, ::-1]])
        chances, offsets, points = self._networks.third(crops)
        parts = zip(views, chances.tolist(), offsets.astype(np.float64), points.astype(np.float64), strict=True)
        return [view.face(score, edges, at) for view, score, edges, at in parts]


def _installed() -> MtcnnNetworks:
    files = find_networks()
    if files is None:
        raise PackageError(f"the package {PACKAGE} is not installed", REMEDY)
    return MtcnnNetworks(files)


def _stands(face: FaceBox) -> bool:
    """Whether a face stands more or less upright: turned so, the network sees those that lie on their side, too."""
    return face.points is None or abs(tilt_of(face.points)) <= _MOST_TILT


def _near(found: FaceBox, known: FaceBox) -> bool:
    """Return whether a face may be the known one: where it is, and not half or twice as large."""
    return same_face(found, known) and 0.25 < found.area / known.area < 4
