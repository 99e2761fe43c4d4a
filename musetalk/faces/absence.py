"""Why no face was found: what is wrong with the picture, as far as a few closer looks can tell, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import dist

import cv2
import numpy as np

from musetalk.errors import PackageError
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.detection.haar_cascades import WINDOW, load_profile
from musetalk.faces.detection.opencv import shrunk
from musetalk.faces.tracking.following import ANY_FACE, search_frames
from musetalk.faces.types import FaceDetector
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array

_SIDE = 480  # pixels of the longer side of frames that are looked at
_TURNS = (180, 90, 270)  # degrees clockwise
_DARK, _BRIGHT = 45, 225  # grey levels: below or above which nearly all of a picture lies
_EVEN = 1.5  # grey levels: standard deviation of what shows next to nothing
_BLURRED = 12.0  # variance of the Laplacian; sharp pictures of 480 pixels have hundreds
_TILES = (480, 240)  # pixels: sides of parts that are looked at on their own, enlarged to the first of them
_TILE_STEP = 0.75  # of a part's side, from one to the next
_SMALL = 0.15  # of a picture's shorter side: a face that size is called small
_LEAST_PROFILE = 0.12  # size of a face in profile, of the picture's shorter side


@dataclass(frozen=True, slots=True)
class Absence:
    """Why no face was found.

    Attributes:
        reason: What is wrong with the picture, for the middle of a sentence.
        remedy: What to do.
        turn: By how many degrees clockwise the picture has to be turned; 0: that is not it.
    """

    reason: str
    remedy: str
    turn: int = 0


def explain_absence(
    frames: Sequence[UInt8Array], detector: FaceDetector, has_time: Callable[[], bool] = lambda: True
) -> Absence | None:
    """Look closer at frames in which no face was found.

    Args:
        frames: uint8 RGB [H, W, 3] each, as large as can be had; a few, the most telling one first.
        detector: What found none.
        has_time: Asked before each look; False: there is no time for more.

    Returns:
        What keeps faces from being found; None: nothing that is known.
    """
    if not frames:
        return None
    small = [shrunk(frame, _SIDE)[0] for frame in frames]
    # What light says comes first: a detector sees what it likes in the dark.
    return (
        unusual_light(small)
        or _turned(small, detector, has_time)
        or _tiny(frames[0], detector, has_time)
        or _other(small)
    )


def turned_by(frame: UInt8Array, degrees: int) -> UInt8Array:
    """Return a frame turned clockwise by a multiple of 90 degrees: uint8 RGB."""
    return np.ascontiguousarray(np.rot90(frame, -degrees // 90))


def unusual_light(frames: Sequence[UInt8Array], what: str = "it") -> Absence | None:
    """Return what the light in some frames (uint8 RGB) of `what` explains, or the want of it; None: it is as usual."""
    if not frames:
        return None
    grey = np.concatenate([_grey(frame).ravel() for frame in frames])
    low, high = np.percentile(grey, (5, 95))
    if high < _DARK:
        return Absence(
            f"{what} is very dark: nearly all of it is below {round(100 * _DARK / 255)} % of white",
            "brighten it, or use one with more light on the face",
        )
    if low > _BRIGHT:
        return Absence(
            f"{what} is over-exposed: nearly all of it is above {round(100 * _BRIGHT / 255)} % of white",
            "darken it, or use one with less light on the face",
        )
    return None


def upside_down(frames: Sequence[UInt8Array]) -> Absence | None:
    """Say of frames in which faces were found whether these stand on their heads: networks find such faces, too.

    Args:
        frames: uint8 RGB [H, W, 3] each; a few.

    Returns:
        What to do about it; None: they stand upright, or that cannot be told.
    """
    judge = _Upright()
    small = [shrunk(frame, _SIDE)[0] for frame in frames]
    if any(judge.score(frame) for frame in small):
        return None
    return _absence(180) if any(judge.score(turned_by(frame, 180)) for frame in small) else None


class _Upright:
    """Faces that stand upright, by cascades, which take no others for such; nothing where OpenCV lacks them."""

    def __init__(self) -> None:
        self._detector: FaceDetector | None = _cascades()

    def score(self, frame: UInt8Array) -> float:
        """Of the best face; 0: there is none."""
        if self._detector is None:
            return 0.0
        try:
            return _best_score(frame, self._detector)
        except PackageError:
            self._detector = None  # an OpenCV without cascades; other detectors do without
            return 0.0


@cache
def _cascades() -> HaarDetector:
    """Return the detector that tells which way is up: to read its cascades takes longer than to look with them."""
    return HaarDetector(DetectorSettings())


def _turned(frames: Sequence[UInt8Array], detector: FaceDetector, has_time: Callable[[], bool]) -> Absence | None:
    """Faces that stand upright in turned frames: the cascades tell best which way, else the detector itself does."""
    score: Callable[[UInt8Array], float]
    for score in (_Upright().score, lambda frame: _best_score(frame, detector)):
        if (degrees := _way_back(frames, score, has_time)) is not None:
            return _absence(degrees)
    return None


def _way_back(
    frames: Sequence[UInt8Array], score: Callable[[UInt8Array], float], has_time: Callable[[], bool]
) -> int | None:
    """Return how far frames must be turned to show faces: in one, and in another one to be sure, where there is one."""
    for number, frame in enumerate(frames):
        scores: dict[int, float] = {}
        for degrees in _TURNS:
            if not has_time():
                return None
            scores[degrees] = score(turned_by(frame, degrees))
        best = max(scores, key=lambda degrees: scores[degrees])
        others = [*frames[:number], *frames[number + 1 :]]
        if scores[best] and (not others or any(has_time() and score(turned_by(other, best)) for other in others)):
            return best
    return None


def _absence(turn: int) -> Absence:
    how = "upside down" if turn == 180 else "on their side"
    way = {90: "90 degrees clockwise", 270: "90 degrees counterclockwise", 180: "180 degrees"}[turn]
    return Absence(f"there are faces, but they are {how}", f"turn it by {way}", turn)


def _best_score(frame: UInt8Array, detector: FaceDetector) -> float:
    """Of the best face in a frame; 0: there is none."""
    return max((face.score for face in search_frames(detector, [frame])[0]), default=0.0)


def _tiny(frame: UInt8Array, detector: FaceDetector, has_time: Callable[[], bool]) -> Absence | None:
    """Faces that are seen only where parts of a frame are looked at on their own."""
    for side in _TILES:
        for part in _parts(frame, side) if max(frame.shape[:2]) > side else ():
            if not has_time():
                return None
            scale = _TILES[0] / side
            faces = search_frames(detector, [_resized(part, scale)], ANY_FACE)[0]
            width = max((face.width / scale for face in faces), default=0.0)
            if 0 < width < _SMALL * min(frame.shape[:2]):
                seen = f"one of about {max(1, round(width))} of {frame.shape[1]} pixels"
                return Absence(
                    f"faces are too small: {seen} was seen on a closer look",
                    "crop it around the face, or use one in which the face is larger",
                )
    return None


def _other(frames: Sequence[UInt8Array]) -> Absence | None:
    """Return what there is to see without the detector."""
    try:
        profile = load_profile()
    except PackageError:  # an OpenCV without cascades; other detectors do without
        profile = None
    if profile is not None and sum(_shows_profile(profile, frame) for frame in frames) > len(frames) // 2:
        return Absence(
            "there are faces, but they are turned away to the side", "use one in which a face looks towards the camera"
        )
    if max(float(_grey(frame).std()) for frame in frames) < _EVEN:
        return Absence("its pictures show next to nothing but one colour", "give a video that shows a face")
    if max(float(cv2.Laplacian(_grey(frame), cv2.CV_64F).var()) for frame in frames) < _BLURRED:
        return Absence("its pictures are blurred", "use one in which a face is in focus")
    return None


def _shows_profile(cascade: cv2.CascadeClassifier, frame: UInt8Array) -> bool:
    grey = _grey(frame)
    least = max(WINDOW, round(_LEAST_PROFILE * min(grey.shape)))
    both = (grey, np.ascontiguousarray(grey[:, ::-1]))  # the cascade knows faces that look to one side
    return any(len(cascade.detectMultiScale(one, 1.1, 5, minSize=(least, least))) for one in both)


def _parts(frame: UInt8Array, side: int) -> Iterator[UInt8Array]:
    """Squares of a frame that overlap, as copies; those in its middle first."""
    height, width = frame.shape[:2]
    rows, columns = (
        range(0, max(1, length - side + 1), round(_TILE_STEP * side))
        for length in (height + side // 2, width + side // 2)
    )
    middle = (height - side) / 2, (width - side) / 2
    corners = [(min(y, max(0, height - side)), min(x, max(0, width - side))) for y in rows for x in columns]
    for y, x in sorted(dict.fromkeys(corners), key=lambda corner: dist(corner, middle)):
        yield np.ascontiguousarray(frame[y : y + side, x : x + side])


def _resized(frame: UInt8Array, scale: float) -> UInt8Array:
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, size, interpolation=how), np.uint8)


def _grey(frame: UInt8Array) -> UInt8Array:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
