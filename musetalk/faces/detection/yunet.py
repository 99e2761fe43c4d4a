"""Faces by YuNet (OpenCV's zoo, MIT): boxes and five points, through OpenCV's own `FaceDetectorYN`.

A look finds the faces; a closer one at each, cut out of the frame, places it, and follows it from frame to frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.errors import PATH, CheckpointError
from musetalk.faces.detection.boxes import distinct, same_face
from musetalk.faces.detection.five_points import square_of
from musetalk.faces.detection.opencv import LightDetector, shrunk
from musetalk.faces.types import FaceBox, Sought
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array

MAX_SIDE = 480  # pixels of the frames it is given: what a closer look makes use of
LOOK_SIDE = 320  # pixels of the longer side of a first look, unless settings say otherwise: it knows faces up to 300

_NAME = "yunet-1"  # with its revision: see `LightDetector`
_SURE, _KNOWN = 0.8, 0.6  # scores of faces that are found, and that are followed
_OVERLAP, _MOST = 0.3, 500  # intersection over union above which boxes are one face; boxes that are compared
_CUT_SIDE, _CUT_REACH = 192, 2.0  # pixels of a closer look, and its side in sides of the face
_POINTS = slice(4, 14)  # columns of a row: x, y, width, height; five points; score


class YuNetDetector(LightDetector):
    """Finds faces up to about half profile; the score is the network's.

    Safe to share between threads, which take turns. Each call stands alone: nothing is remembered of other frames.

    Args:
        settings: How large frames and faces are looked for.
        path: face_detection_yunet_2023mar.onnx.

    Raises:
        CheckpointError: The file cannot be read.
    """

    def __init__(self, settings: DetectorSettings, path: Path) -> None:
        self._wide, self._close = (_load(path) for _ in range(2))
        self._close.setInputSize((_CUT_SIDE, _CUT_SIDE))
        super().__init__(settings, _NAME, LOOK_SIDE, hashlib.sha256(path.read_bytes()).hexdigest()[:12])

    @property
    def max_side(self) -> int:
        """Longer side of the frames it makes use of, in pixels."""
        return max(MAX_SIDE, self._side)

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole, and measure what was found as `follow` does.

        Args:
            frames: uint8 RGB [H, W, 3] each.

        Returns:
            Per frame its faces with their points, in pixels of that frame, best score first.
        """
        found = []
        for frame, rough in zip(frames, self.search(frames), strict=True):
            close = self.follow(frame, rough)
            found.append(distinct(old if new is None else new for old, new in zip(rough, close, strict=True)))
        return found

    def search(self, frames: Sequence[UInt8Array], sought: Sought | None = None) -> list[list[FaceBox]]:
        """As `detect`, without measuring what was found; see `SearchingDetector`. Each face costs next to nothing."""
        del sought  # the network shows all of them at once
        return [self._search(frame) for frame in frames]

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were; see `FollowingDetector`."""
        with self._lock:
            return [self._measure(frame, box) for box in boxes]

    def _search(self, frame: UInt8Array) -> list[FaceBox]:
        looked, (sx, sy) = shrunk(frame, self._side)
        with self._lock:
            self._wide.setInputSize(looked.shape[1::-1])
            found = [box.scaled(1 / sx, 1 / sy) for box in _faces(self._wide, looked) if box.score >= _SURE]
        return distinct(box for box in found if box.width >= self._least(frame))

    def _measure(self, frame: UInt8Array, known: FaceBox) -> FaceBox | None:
        """Return the face near a known one, seen in a cutout of the frame around it; None where it is not found."""
        span = max(1.0, _CUT_REACH * (known.width + known.height) / 2)
        (cx, cy), step = known.center, span / _CUT_SIDE
        fold = max(1, ceil(step - 0.25))  # samples that are averaged, each way
        pixels, fine = _CUT_SIDE * fold, step / fold
        x0, y0 = cx - span / 2, cy - span / 2
        matrix = np.array([[fine, 0.0, x0 + fine / 2 - 0.5], [0.0, fine, y0 + fine / 2 - 0.5]])
        cut = cv2.warpAffine(frame, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        if fold > 1:
            cut = cv2.resize(cut, (_CUT_SIDE, _CUT_SIDE), interpolation=cv2.INTER_AREA)
        found = [box.scaled(step, step).moved(x0, y0) for box in _faces(self._close, cut) if box.score >= _KNOWN]
        alike = [box for box in found if same_face(box, known)]
        return max(alike, key=lambda box: box.score, default=None)


def _load(path: Path) -> cv2.FaceDetectorYN:
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (LOOK_SIDE, LOOK_SIDE), _KNOWN, _OVERLAP, _MOST)
    except (cv2.error, AttributeError) as error:
        raise CheckpointError(
            f"OpenCV {cv2.__version__} cannot read {PATH}",
            "python -m musetalk weights download yunet --replace; it needs opencv-python-headless 4.9 or later",
            path=path,
        ) from error


def _faces(detector: cv2.FaceDetectorYN, picture: npt.NDArray[np.generic]) -> list[FaceBox]:
    """Return the faces in a picture, uint8 RGB of the detector's size, in its pixels."""
    _, rows = detector.detect(cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_RGB2BGR))
    if rows is None:
        return []
    table = np.asarray(rows, np.float64)
    return [square_of(row[_POINTS].reshape(5, 2), (float(row[2]), float(row[3])), float(row[14])) for row in table]
