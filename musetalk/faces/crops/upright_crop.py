"""A square crop with the face upright, without distortion."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, hypot
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.crops.rotated_crop import RotatedCropTransform
from musetalk.utils.arrays import Float32Array, Float64Array, UInt8Array

_ANY = TypeVar("_ANY", np.uint8, np.float32)

_AVERAGED_FROM = 1.25  # pixels that become one; what a cubic filter lets through below that, no eye tells


@dataclass(frozen=True, slots=True)
class UprightCropTransform(RotatedCropTransform):
    """A turned square of the frame, seen as one of `size` pixels (see `RotatedCropTransform`).

    Both ways average where they shrink and are bicubic where they grow, in one step: nothing is resampled twice.
    """

    def crop(self, frame: UInt8Array) -> UInt8Array:
        """Cut the crop out of a frame: uint8 RGB [size, size, 3]; beyond the frame's edges, the edge repeats."""
        return _seen_through(frame, self._inverse(), self.size, self.size)

    def warp_back(self, generated: UInt8Array) -> UInt8Array:
        """Turn what was made of the crop, at any size, back: uint8 RGB [height, width, 3].

        Beyond the crop its edge repeats.
        """
        x0, y0, x1, y1 = self._bounds()
        back = self._to_picture(generated.shape[1], generated.shape[0], x0, y0)
        return _seen_through(generated, back, x1 - x0, y1 - y0)

    def warp_mask(self, alpha: Float32Array) -> Float32Array:
        """Turn a mask over the crop, float32 [h, w] of any size, to the rectangle: float32 [height, width].

        Beyond the crop it is 0.
        """
        x0, y0, x1, y1 = self._bounds()
        back = self._to_picture(alpha.shape[1], alpha.shape[0], x0, y0)
        return _seen_through(alpha, back, x1 - x0, y1 - y0, how=cv2.INTER_LINEAR, border=cv2.BORDER_CONSTANT)


def _seen_through(
    picture: npt.NDArray[_ANY],
    there: Float64Array,
    width: int,
    height: int,
    *,
    how: int = cv2.INTER_CUBIC,
    border: int = cv2.BORDER_REPLICATE,
) -> npt.NDArray[_ANY]:
    """Sample a picture through a similarity.

    Where it shrinks, each pixel is the mean of a few samples, which lie no further apart than the picture's pixels.

    Args:
        picture: uint8 or float32, [h, w] or [h, w, 3].
        there: float64 [2, 3]: from pixels of the result to those of the picture, both by their middles.
        width: Of the result.
        height: Of the result.
        how: OpenCV's interpolation where nothing shrinks.
        border: OpenCV's way with what lies beyond the picture.
    """
    step = hypot(there[0, 0], there[1, 0])
    fold = 1 if step <= _AVERAGED_FROM else ceil(step)
    if fold > 1:
        how = cv2.INTER_LINEAR
        first = (1 / fold - 1) / 2  # where the first of the samples of a pixel lies, off its middle
        there = np.column_stack([there[:, :2] / fold, there[:, 2] + there[:, :2] @ (first, first)])
    flags = how | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(picture, there, (width * fold, height * fold), flags=flags, borderMode=border)
    if fold > 1:
        seen = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(seen, dtype=picture.dtype)
