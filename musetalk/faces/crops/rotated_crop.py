"""Rotated crops: a similarity transform from the frame, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, ceil, cos, floor, hypot, sin
from typing import TypeVar

import cv2
import numpy as np

from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.utils.arrays import Float64Array

_Rotated = TypeVar("_Rotated", bound="RotatedCropTransform")

_REACH = 3  # pixels, of the frame or of the crop, whichever are larger, that turning back looks at around a place


def fitted(points: Float64Array, template: Float64Array) -> tuple[float, float, float, float]:
    """Fit the similarity that brings points closest to a template, by the sum of squares (Umeyama 1991).

    Args:
        points: float64 [n, 2], not all in one place.
        template: float64 [n, 2].

    Returns:
        (a, b, tx, ty) as of `RotatedCropTransform`.
    """
    middle, target = points.mean(axis=0), template.mean(axis=0)
    (x, y), (u, v) = (points - middle).T, (template - target).T
    spread = max(float(x @ x + y @ y), 1e-9)
    a, b = float(x @ u + y @ v) / spread, float(x @ v - y @ u) / spread
    return a, b, float(target[0] - a * middle[0] + b * middle[1]), float(target[1] - b * middle[0] - a * middle[1])


@dataclass(frozen=True, slots=True)
class RotatedCropTransform:
    """A rotated rectangle of the frame that is seen as a square; it may reach beyond the frame's edges.

    `x`, `y`, `width` and `height` are those of the upright rectangle around it.

    Attributes:
        a, b, tx, ty: The similarity from pixels of the frame to those of the crop before it becomes square, both by
            the middles of pixels: (a x - b y + tx, b x + a y + ty).
        size: Side of the square.
    """

    a: float
    b: float
    tx: float
    ty: float
    size: int

    @property
    def matrix(self) -> Float64Array:
        """The similarity: float64 [2, 3]."""
        return np.array([[self.a, -self.b, self.tx], [self.b, self.a, self.ty]])

    @property
    def template_size(self) -> tuple[int, int]:
        """(width, height) of the crop before it becomes square."""
        return self.size, self.size

    @property
    def x(self) -> int:
        """Left edge of the upright rectangle around the crop."""
        return self._bounds()[0]

    @property
    def y(self) -> int:
        """Upper edge of the upright rectangle around the crop."""
        return self._bounds()[1]

    @property
    def width(self) -> int:
        """Width of the upright rectangle around the crop."""
        x0, _, x1, _ = self._bounds()
        return x1 - x0

    @property
    def height(self) -> int:
        """Height of the upright rectangle around the crop."""
        _, y0, _, y1 = self._bounds()
        return y1 - y0

    @property
    def side(self) -> int:
        """The longer side of the crop in the frame."""
        return max(1, round(max(self.template_size) / hypot(self.a, self.b)))

    def to_crop(self, sample: FaceSample) -> FaceSample:
        """The same face in pixels of the square crop, where it stands upright."""
        width, height = self.template_size
        sx, sy = self.size / width, self.size / height
        scale = hypot(self.a, self.b)
        box, mouth = sample.box, sample.mouth
        (cx, cy), (mx, my) = self.point_in_crop(*box.center), self.point_in_crop(mouth.cx, mouth.cy)
        half, high = box.width * scale * sx / 2, box.height * scale * sy / 2
        angle = mouth.angle + atan2(self.b, self.a)
        dx, dy = mouth.half_width * scale * cos(angle) * sx, mouth.half_width * scale * sin(angle) * sy
        return FaceSample(
            sample.track,
            FaceBox(cx - half, cy - high, cx + half, cy + high, box.score),
            MouthShape(mx, my, hypot(dx, dy), atan2(dy, dx)),
        )

    def point_in_crop(self, x: float, y: float) -> tuple[float, float]:
        """Bring a point of the frame into the square crop; the first pixel's middle is at 0.5 in both."""
        width, height = self.template_size
        u, v = self.matrix @ np.array([x - 0.5, y - 0.5, 1.0])
        return float(u + 0.5) * self.size / width, float(v + 0.5) * self.size / height

    def first_row(self, x0: int, y0: int, x1: int, y1: int) -> int:
        """Return the first row of the square crop that turning back looks at for a part of the frame.

        May be below 0.
        """
        highest = min(self.point_in_crop(x, y)[1] for x in (x0, x1) for y in (y0, y1))
        row = hypot(self.a, self.b) * self.size / self.template_size[1]  # rows of the crop in one of the frame
        return min(self.size, floor(highest - _REACH * max(row, 1)))

    def moved(self: _Rotated, dx: int, dy: int) -> _Rotated:
        """Return the same crop of a frame whose pixels lie so much further right and down."""
        return replace(self, tx=self.tx - self.a * dx + self.b * dy, ty=self.ty - self.b * dx - self.a * dy)

    def bounds_of(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int]:
        """Return the upright rectangle in the frame around one of the square crop: x0, y0, x1, y1, half open."""
        width, height = self.template_size
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) * (width / self.size, height / self.size) - 0.5
        found = corners @ self._inverse()[:, :2].T + self._inverse()[:, 2] + 0.5
        (left, top), (right, bottom) = found.min(axis=0), found.max(axis=0)
        return floor(left), floor(top), ceil(right), ceil(bottom)

    def _bounds(self) -> tuple[int, int, int, int]:
        return self.bounds_of(0, 0, self.size, self.size)

    def _inverse(self) -> Float64Array:
        return np.asarray(cv2.invertAffineTransform(self.matrix), dtype=np.float64)

    def _to_picture(self, width: int, height: int, x0: int, y0: int) -> Float64Array:
        """From pixels of the frame's part that begins at (x0, y0) to those of a crop scaled to [height, width]."""
        sx, sy = width / self.template_size[0], height / self.template_size[1]
        moved = self.matrix
        moved[:, 2] += moved[:, :2] @ (x0, y0)
        moved[:, 2] += 0.5  # scaling is about the pixels' edges
        scaled = moved * np.array([[sx], [sy]])
        scaled[:, 2] -= 0.5
        return np.asarray(scaled, dtype=np.float64)
