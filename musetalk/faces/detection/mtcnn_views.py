"""Square views of a frame for MTCNN: rotated upright, mirrored, and mapped back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, sin

import cv2
import numpy as np

from musetalk.faces.detection.five_points import square_of, tilt_of
from musetalk.faces.types import FaceBox, FivePoints
from musetalk.utils.arrays import Float64Array, UInt8Array

_CUT = 1.083  # side of what the third network is shown, in sides of a `FaceBox`: the height of a tight box
_MIRRORED = [1, 0, 2, 4, 3]  # the order of the points in a mirrored face


@dataclass(frozen=True, slots=True)
class View:
    """A square of the frame, turned, as a network is shown it.

    Attributes:
        x, y: Its middle, in pixels of the frame (the first pixel's middle is at 0.5).
        side: In pixels of the frame.
        turn: Radians that it is turned clockwise on the screen.
        mirrored: Whether left and right change places.
    """

    x: float
    y: float
    side: float
    turn: float = 0.0
    mirrored: bool = False

    @classmethod
    def of(cls, square: Float64Array) -> View:
        """Return an upright square, float64 [4] as (x0, y0, x1, y1)."""
        x0, y0, x1, y1 = (float(edge) for edge in square)
        return cls((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0, 1.0))

    @classmethod
    def around(cls, box: FaceBox) -> View:
        """Return what the third network is shown of a face: turned upright, where it is known how it is tilted."""
        turn = 0.0 if box.points is None else tilt_of(box.points)
        return cls(*box.center, max(1.0, _CUT * (box.width + box.height) / 2), turn)

    def mirror(self) -> View:
        """The same, mirrored."""
        return View(self.x, self.y, self.side, self.turn, not self.mirrored)

    def matrix(self, pixels: int) -> Float64Array:
        """From pixels of a crop of so many each way to those of the frame, both by their middles: float64 [2, 3]."""
        step = self.side / pixels
        c, s = step * cos(self.turn), step * sin(self.turn)
        ax, ay = (-c, -s) if self.mirrored else (c, s)  # of a step across; one down is (-s, c)
        half = (pixels - 1) / 2
        return np.array([(ax, -s, self.x - 0.5 - (ax - s) * half), (ay, c, self.y - 0.5 - (ay + c) * half)])

    def cut(self, frame: UInt8Array, pixels: int) -> UInt8Array:
        """Cut it out of a frame: uint8 RGB [pixels, pixels, 3]; black beyond the frame, as the networks learned it."""
        fold = max(1, ceil(self.side / pixels - 0.25))  # samples that are averaged, each way
        size, how = (pixels * fold,) * 2, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(frame, self.matrix(pixels * fold), size, flags=how)
        return np.asarray(
            cv2.resize(cut, (pixels, pixels), interpolation=cv2.INTER_AREA) if fold > 1 else cut, np.uint8
        )

    def face(self, score: float, edges: Float64Array, points: Float64Array) -> FaceBox:
        """Return what the third network says of it, in the frame.

        Args:
            score: Its probability.
            edges: float64 [4] as (x0, y0, x1, y1), off those of the view and in sides of it.
            points: float64 [5, 2], as fractions of the view.
        """
        placed = self.matrix(1)
        at = (points - 0.5) @ placed[:, :2].T + (self.x, self.y)
        width, height = (1 + edges[2:] - edges[:2]) * self.side
        return square_of(at[list(_MIRRORED)] if self.mirrored else at, (float(width), float(height)), score)


def mean_face(faces: Sequence[FaceBox]) -> FaceBox:
    """Return the face in the middle of several that are the same; all have points."""
    count = len(faces)
    x0, y0, x1, y1, score = (
        sum(edge) / count for edge in zip(*((f.x0, f.y0, f.x1, f.y1, f.score) for f in faces), strict=True)
    )
    points = sum(face.points.array() for face in faces if face.points is not None) / count
    return FaceBox(x0, y0, x1, y1, score, FivePoints.of(np.asarray(points)))
