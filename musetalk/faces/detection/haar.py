"""Face detection by the Haar cascades of OpenCV 4: nothing to download, near-frontal faces.

A search proposes places, a closer search around each place measures the face, and a second cascade has to agree.
The same closer search follows a known face from frame to frame at a fraction of the cost of a whole search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.detection.boxes import distinct
from musetalk.faces.detection.haar_cascades import STAGE_THRESHOLD, WINDOW, Cascades, load_cascades
from musetalk.faces.detection.opencv import LightDetector
from musetalk.faces.types import FaceBox, Sought
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array

MAX_SIDE = 480  # pixels of the longer side, unless settings say otherwise

_NAME = "haar-2"  # with its revision: see `LightDetector`
_PROPOSAL_STEP = 1.2  # scale step of the whole search: twice as fast as 1.1, and the closer search makes up for it
_CLOSE_FACE = 48  # size faces are brought to for the closer search, in pixels: larger is slower, not steadier
_CLOSE_STEP = 1.05  # scale step of the closer search
_CLOSE_MARGIN = 0.35  # what the closer search sees around the face, as a fraction of its size
_CLOSE_SIZES = (0.65, 1.5)  # sizes it considers, relative to the expected one: fewer, and the answer follows the hint
_TURN = 22.0  # degrees by which tilted heads are turned back; the cascade itself forgives about 15
_TURNED_SCALE = 0.6  # tilted heads are searched for in a smaller frame: a third of the time, the smallest missed
_SAME_FACE = 0.2  # how far the edges of windows on one face differ, as a fraction of their size
_LEAST_SCORE = 6.0  # real faces scored 8 and more in the clips this was tuned on
_SURE_SCORE = 30.0  # and false alarms up to 22: in between the second cascade decides
_SECOND_SURE = 15  # windows of the second cascade that settle it: real faces had 20 and more, tilted ones too
_SECOND_LEAST = 5  # fewer refuse: false alarms had up to 12, so that in between the eyes decide
_EYE_FACE = 80  # size faces are brought to for the eyes, in pixels
_EYE_LEAST = 5  # windows on an eye that count as an eye


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Windows that agree on one face.

    Attributes:
        edges: Their mean (x0, y0, x1, y1), each as heavy as its margin.
        count: Their number.
        margin: Sum of what their level weights have above the face cascade's threshold.
    """

    edges: tuple[float, float, float, float]
    count: int
    margin: float


@dataclass(frozen=True, slots=True)
class _Patch:
    """The surroundings of a face, brought to one size and turned upright.

    Attributes:
        pixels: uint8 [h, w], grey.
        origin: (x, y) of the upper left corner in the frame.
        scale: (x, y) pixels of the frame per pixel of the patch.
        pivot: (x, y) in the patch that it was turned about.
        turn: By how many degrees the frame was turned clockwise.
    """

    pixels: UInt8Array
    origin: tuple[float, float]
    scale: tuple[float, float]
    pivot: tuple[float, float]
    turn: float

    def box_in_frame(self, edges: tuple[float, float, float, float], score: float) -> FaceBox:
        """Bring (x0, y0, x1, y1) back into the frame: its middle is turned back, its sides stay upright."""
        (x0, y0, x1, y1), (px, py) = edges, self.pivot
        dx, dy = (x0 + x1) / 2 - px, (y0 + y1) / 2 - py
        c, s = cos(radians(self.turn)), sin(radians(self.turn))
        (ox, oy), (kx, ky) = self.origin, self.scale
        cx, cy = ox + kx * (px + c * dx + s * dy), oy + ky * (py - s * dx + c * dy)
        half_width, half_height = kx * (x1 - x0) / 2, ky * (y1 - y0) / 2
        return FaceBox(cx - half_width, cy - half_height, cx + half_width, cy + half_height, score)


class HaarDetector(LightDetector):
    """Finds near-frontal faces, tilted by up to about 30 degrees; the score sums the evidence of all agreeing windows.

    Safe to share between threads, which take turns. Each call stands alone: nothing is remembered of other frames.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings, _NAME, MAX_SIDE)
        self._loaded: Cascades | None = None

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole.

        Args:
            frames: uint8 RGB [H, W, 3] each.

        Returns:
            Per frame its faces, in pixels of that frame, best score first.

        Raises:
            PackageError: This OpenCV has no cascades.
        """
        return [self._search(frame, closer=True) for frame in frames]

    def search(self, frames: Sequence[UInt8Array], sought: Sought | None = None) -> list[list[FaceBox]]:
        """As `detect`, without looking again at each face to place it better; see `SearchingDetector`."""
        return [self._search(frame, sought, closer=False) for frame in frames]

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were; see `FollowingDetector`.

        Raises:
            PackageError: This OpenCV has no cascades.
        """
        gray, scale = self._gray(frame)
        with self._lock:
            cascades = self._cascades()
            found = [_measure(cascades, gray, box.scaled(scale, scale)) for box in boxes]
        return [box if box is None else box.scaled(1 / scale, 1 / scale) for box in found]

    def _search(self, frame: UInt8Array, sought: Sought | None = None, *, closer: bool) -> list[FaceBox]:
        gray, scale = self._gray(frame)
        least = max(WINDOW, round(self._least(gray)))
        with self._lock:
            cascades = self._cascades()
            kept: list[FaceBox] = []
            for turns in ((0.0,), (_TURN, -_TURN)):  # tilted heads only where no upright one is found
                places = [box for turn in turns for box in _places(cascades.face, gray, least, turn)]
                if sought is not None:
                    places = sought.scaled(scale, scale).in_order(places)
                kept = _confirmed(cascades, gray, places, len(places) if sought is None else sought.most)
                if kept:
                    break
            if closer:  # each is better placed from close by
                kept = distinct(_measure(cascades, gray, box) or box for box in kept)
        return [box.scaled(1 / scale, 1 / scale) for box in kept]

    def _gray(self, frame: UInt8Array) -> tuple[UInt8Array, float]:
        """Return the frame in grey, at most `max_side` pixels long, and how much smaller it was made."""
        gray = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        scale = min(1.0, self.max_side / max(gray.shape))
        return (_resized(gray, scale) if scale < 1 else gray), scale

    def _cascades(self) -> Cascades:
        if self._loaded is None:
            self._loaded = load_cascades()
        return self._loaded


def _places(cascade: cv2.CascadeClassifier, gray: UInt8Array, least: int, turn: float) -> list[FaceBox]:
    """Search all of `gray` quickly for what may be faces of `least` pixels and more, turned by `turn` degrees."""
    side = max(gray.shape)
    frame = FaceBox(0, 0, gray.shape[1], gray.shape[0], 0)
    whole = _patch(gray, frame, round(side * _TURNED_SCALE) if turn else side, turn)
    rects = cascade.detectMultiScale(whole.pixels, scaleFactor=_PROPOSAL_STEP, minNeighbors=1, minSize=(least, least))
    corners = sorted((float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in rects)
    return [whole.box_in_frame(edges, 0.0) for edges in corners]


def _confirmed(cascades: Cascades, gray: UInt8Array, places: Sequence[FaceBox], enough: int) -> list[FaceBox]:
    """Return the faces near some places, as many as are enough, those of the first places before others; best first."""
    kept: list[FaceBox] = []
    for place in places:
        found = _measure(cascades, gray, place)
        if found is not None:
            kept = distinct([*kept, found])
        if len(kept) >= enough:
            break
    return kept


def _measure(cascades: Cascades, gray: UInt8Array, expected: FaceBox) -> FaceBox | None:
    """Measure the face near `expected`, all in pixels of `gray`; None where there is none."""
    best: FaceBox | None = None
    for turn in (0.0, _TURN, -_TURN):
        found = _measure_turned(cascades, gray, expected, turn)
        if found is not None and (best is None or found.score > best.score):
            best = found
        if best is not None and best.score >= _SURE_SCORE:
            break
    return best


def _measure_turned(cascades: Cascades, gray: UInt8Array, expected: FaceBox, turn: float) -> FaceBox | None:
    patch = _patch(gray, expected, _CLOSE_FACE, turn)
    found = _closer(cascades.face, patch)
    if found is None:
        return None
    box = patch.box_in_frame(found.edges, found.margin)
    if box.score >= _SURE_SCORE or (box.score >= _LEAST_SCORE and _agreed(cascades, gray, box, turn)):
        return box
    return None


def _agreed(cascades: Cascades, gray: UInt8Array, box: FaceBox, turn: float) -> bool:
    """Return whether the second cascade, and in doubt the eyes, take `box` for a face as well."""
    second = _closer(cascades.second, _patch(gray, box, _CLOSE_FACE, turn))
    count = 0 if second is None else second.count
    if count >= _SECOND_SURE:
        return True
    return count >= _SECOND_LEAST and _has_eye(cascades.eye, _patch(gray, box, _EYE_FACE, turn))


def _patch(gray: UInt8Array, box: FaceBox, face: int, turn: float) -> _Patch:
    """Cut out a box with its surroundings, so that it becomes `face` pixels wide."""
    size = max(box.width, box.height, 1.0)
    reach = size * (0.5 + _CLOSE_MARGIN)
    cx, cy = box.center
    x0, y0 = max(0, floor(cx - reach)), max(0, floor(cy - reach))
    part = gray[y0 : max(0, ceil(cy + reach)), x0 : max(0, ceil(cx + reach))]
    if part.size == 0:
        return _Patch(part, (x0, y0), (1.0, 1.0), (0.0, 0.0), turn)
    pixels = _resized(part, face / size)
    kx, ky = part.shape[1] / pixels.shape[1], part.shape[0] / pixels.shape[0]
    pivot = ((cx - x0) / kx, (cy - y0) / ky)
    if turn:
        matrix = cv2.getRotationMatrix2D(pivot, -turn, 1.0)
        turned = cv2.warpAffine(pixels, matrix, pixels.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        pixels = np.asarray(turned, dtype=np.uint8)
    return _Patch(pixels, (x0, y0), (kx, ky), pivot, turn)


def _closer(cascade: cv2.CascadeClassifier, patch: _Patch) -> _Cluster | None:
    """Find the windows that agree on a face about `_CLOSE_FACE` pixels large: in pixels of the patch."""
    least, most = (int(_CLOSE_FACE * factor) for factor in _CLOSE_SIZES)
    if min(patch.pixels.shape) < least:
        return None
    rects, _, weights = cascade.detectMultiScale3(
        patch.pixels,
        scaleFactor=_CLOSE_STEP,
        minNeighbors=0,
        minSize=(least, least),
        maxSize=(most, most),
        outputRejectLevels=True,
    )
    if len(rects) == 0:
        return None
    return _largest_cluster(np.asarray(rects, dtype=np.float64), np.ravel(np.asarray(weights, dtype=np.float64)))


def _largest_cluster(rects: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> _Cluster:
    """Find the windows that most others agree with, directly or through each other.

    Args:
        rects: float64 [n, 4] as (x, y, width, height), n > 0.
        weights: float64 [n], level weights.
    """
    order = np.lexsort(rects.T)  # OpenCV's threads find them in any order; sums must not depend on it
    rects, weights = rects[order], weights[order]
    edges = np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:]], axis=1)  # [n, 4]
    allowed = _SAME_FACE * np.minimum(rects[:, None, 2], rects[None, :, 2])  # [n, n]
    linked = (np.abs(edges[:, None] - edges[None]) <= allowed[:, :, None]).all(axis=2)  # [n, n]
    labels = np.arange(len(rects))
    while True:  # each round hands the lowest label on to the neighbours
        lowest = np.where(linked, labels[None, :], len(rects)).min(axis=1)
        if np.array_equal(lowest, labels):
            break
        labels = lowest
    chosen = labels == np.bincount(labels).argmax()
    margins = np.maximum(weights[chosen] - STAGE_THRESHOLD, 1e-6)
    x0, y0, x1, y1 = (float(value) for value in np.average(edges[chosen], axis=0, weights=margins))
    return _Cluster((x0, y0, x1, y1), int(chosen.sum()), float(margins.sum()))


def _has_eye(cascade: cv2.CascadeClassifier, patch: _Patch) -> bool:
    """Return whether an eye is found where a face in the middle of the patch, `_EYE_FACE` pixels wide, has its eyes."""
    (px, py), half = patch.pivot, _EYE_FACE / 2
    top, bottom = py - 0.7 * half, py + 0.2 * half
    part = patch.pixels[max(0, int(top)) : int(bottom), max(0, int(px - half)) : int(px + half)]
    if min(part.shape) < WINDOW:
        return False
    eyes = cascade.detectMultiScale(part, scaleFactor=1.1, minNeighbors=0, minSize=(20, 20), maxSize=(40, 40))
    return len(eyes) >= _EYE_LEAST


def _resized(gray: UInt8Array, scale: float) -> UInt8Array:
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, size, interpolation=how), dtype=np.uint8)
