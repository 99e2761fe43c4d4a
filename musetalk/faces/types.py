"""What the face stages exchange: boxes, mouths, and the detector's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import UInt8Array

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FivePoints:
    """Five points of a face as (x, y), in pixels of the frame (the first pixel's middle is at 0.5).

    Left and right are those of the picture, in a face that stands upright.

    Attributes:
        left_eye, right_eye: Middles of the eyes.
        nose: Its tip.
        left_mouth, right_mouth: Corners of the mouth.
    """

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point

    @classmethod
    def of(cls, rows: npt.NDArray[np.floating]) -> FivePoints:
        """Return the points in float [5, 2], in the order of the attributes."""
        return cls(*((x, y) for x, y in rows.tolist()))

    def array(self) -> npt.NDArray[np.float64]:
        """float64 [5, 2], in the order of the attributes."""
        return np.array([self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth], np.float64)


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face's bbox, half open, in pixels of the frame it was found in (floats: sub-pixel).

    It is the square that OpenCV's frontal Haar cascade draws around an upright face: the cheeks lie at 0.1 and 0.9 of
    its width, the line between the lips at 0.78 of its height, the chin at its bottom. Crops, masks, the search for the
    mouth and the tracker are tuned to it. It is off square by what the frame was shrunk more one way than the other.

    `score` is the detector's own confidence; only its order within one detector means anything. `points` are there
    where the detector sees them, too.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    points: FivePoints | None = None

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle, in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    def scaled(self, sx: float, sy: float) -> FaceBox:
        """The same face in a frame that was stretched by these factors."""
        points = None if self.points is None else FivePoints.of(self.points.array() * (sx, sy))
        return FaceBox(self.x0 * sx, self.y0 * sy, self.x1 * sx, self.y1 * sy, self.score, points)

    def moved(self, dx: float, dy: float) -> FaceBox:
        """The same face so many pixels further right and down."""
        points = None if self.points is None else FivePoints.of(self.points.array() + np.array([dx, dy]))
        return FaceBox(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy, self.score, points)


@dataclass(frozen=True, slots=True)
class MouthShape:
    """Where the closed line of the mouth lies, in pixels of the frame.

    Attributes:
        cx, cy: Middle of the line between the lips.
        half_width: From the middle to a corner.
        angle: Of the line, in radians; positive turns clockwise on the screen (y points down).
    """

    cx: float
    cy: float
    half_width: float
    angle: float


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One face in one frame: what the rest of the pipeline needs to know of it."""

    track: int
    box: FaceBox
    mouth: MouthShape


@dataclass(frozen=True, slots=True)
class Sought:
    """Which faces a search is for, where it need not show all: it may end once it has found those that come first.

    Attributes:
        most: Faces of a frame that are enough.
        rank: Of a face, in pixels of the frame: those with the least come first.
    """

    most: int
    rank: Callable[[FaceBox], float]

    def scaled(self, sx: float, sy: float) -> Sought:
        """The same in a frame that was stretched by these factors."""
        return Sought(self.most, lambda face: self.rank(face.scaled(1 / sx, 1 / sy)))

    def in_order(self, faces: Iterable[FaceBox]) -> list[FaceBox]:
        """Return what may be faces, those to be looked at first before others."""
        return sorted(faces, key=self.rank)


class FaceDetector(Protocol):
    """Finds faces in frames. Every detector returns boxes of one convention, that of `FaceBox`."""

    @property
    def fingerprint(self) -> str:
        """Name and settings, as text: two detectors that could disagree never share one."""
        ...

    @property
    def max_side(self) -> int:
        """Longest side of the frames that it can make use of, in pixels; larger ones may be shrunk before.

        There always is one, for memory's sake: frames that wait for their search are held, and what a network takes
        grows with the frame's area, to gigabytes at 4K.
        """
        ...

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Find the faces of each frame.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.

        Returns:
            Per frame its faces as `FaceBox` describes them, in pixels of that frame, in any order; empty where there
            is none.
        """
        ...
