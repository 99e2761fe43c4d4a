"""Preprocessing for S3FD: whole frames and cutouts around known faces, and mapping boxes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import UInt8Array

# The network takes blue, green, red, as the project that trained it feeds it (face_alignment's sfd); MuseTalk hands it
# red first. Up to the call itself colors are RGB, as everywhere.
MEAN = (104, 117, 123)  # of blue, green and red
_MEAN_RGB = MEAN[::-1]

_STEP = 16  # sides are filled up to multiples of it, or the poolings down to stride 16 drop rows and columns
_LEAST_SIDE = 32  # a smaller picture vanishes in the last pooling
_CUT_STEP = 32  # of cutouts: so all but the two coarsest levels fit exactly
_REACH = 2.0  # side of a cutout, as a multiple of the face's: S3FD looks at what surrounds a face, too
_LARGEST_FACE = 96  # pixels of a face in a cutout, between anchors of 64 and of 128: costs grow with the square of it
_SMALLEST_FACE = 32  # and the least, where the frame has them: what only the look at full size found is found again


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a frame is brought to the network's size: shrunk, never enlarged, and filled up at its right and bottom.

    Attributes:
        frame: (width, height) of the frame, in pixels.
        inner: (width, height) of the frame as the network sees it.
        outer: (width, height) with what it is filled up with.
    """

    frame: tuple[int, int]
    inner: tuple[int, int]
    outer: tuple[int, int]

    @classmethod
    def fit(cls, width: int, height: int, longest: int) -> Letterbox:
        """Fit a frame's longer side into `longest` pixels."""
        scale = min(1.0, longest / max(width, height))
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        outer_width, outer_height = (max(_LEAST_SIDE, -(-side // _STEP) * _STEP) for side in inner)
        return cls((width, height), inner, (outer_width, outer_height))

    def apply(self, frames: Sequence[UInt8Array]) -> UInt8Array:
        """Bring frames to size: uint8 RGB [B, outer height, outer width, 3], filled with the mean color."""
        width, height = self.inner
        batch = np.empty((len(frames), self.outer[1], self.outer[0], 3), np.uint8)
        batch[:, height:] = _MEAN_RGB
        batch[:, :height, width:] = _MEAN_RGB
        for place, frame in zip(batch, frames, strict=True):
            same = self.inner == self.frame
            place[:height, :width] = frame if same else cv2.resize(frame, self.inner, interpolation=cv2.INTER_AREA)
        return batch

    def box_in_frame(self, edges: Sequence[float], score: float) -> FaceBox:
        """Bring (x0, y0, x1, y1) from the network's pixels back to the frame's."""
        kx, ky = self.frame[0] / self.inner[0], self.frame[1] / self.inner[1]
        x0, y0, x1, y1 = edges
        return FaceBox(x0 * kx, y0 * ky, x1 * kx, y1 * ky, score)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A square of the frame around a face, brought to the network's size: shrunk, never enlarged.

    Attributes:
        x, y: Its upper left corner in the frame, in whole pixels; it may reach beyond the frame.
        span: Its side in the frame, in pixels.
        side: Its side as the network sees it, in pixels.
    """

    x: int
    y: int
    span: int
    side: int

    @classmethod
    def around(cls, box: FaceBox, scale: float) -> Cutout:
        """Place the square around a face.

        Args:
            box: In pixels of the frame.
            scale: At which the frame as a whole is looked at first. The square is seen no larger, so that it shows what
                that look saw, unless the face is so small that only a closer look can have found it.
        """
        face = max(box.width, box.height, 1.0)
        seen = min(face, _LARGEST_FACE, max(scale * face, _SMALLEST_FACE))  # pixels of the face in the cutout
        side = -(-round(_REACH * seen) // _CUT_STEP) * _CUT_STEP
        span = max(side, round(side * face / seen))
        cx, cy = box.center
        return cls(round(cx - span / 2), round(cy - span / 2), span, side)

    def apply(self, frame: UInt8Array) -> UInt8Array:
        """Cut the square out of a frame: uint8 RGB [side, side, 3]; beyond the frame lies the mean color."""
        height, width = frame.shape[:2]
        x0, y0 = min(max(0, self.x), width), min(max(0, self.y), height)
        x1, y1 = min(max(x0, self.x + self.span), width), min(max(y0, self.y + self.span), height)
        part = frame[y0:y1, x0:x1]
        if part.shape[:2] != (self.span, self.span):
            whole = np.full((self.span, self.span, 3), _MEAN_RGB, np.uint8)
            whole[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x] = part
            part = whole
        if self.span == self.side:
            return part
        return np.asarray(cv2.resize(part, (self.side, self.side), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def box_in_frame(self, edges: Sequence[float], score: float) -> FaceBox:
        """Bring (x0, y0, x1, y1) from the network's pixels back to the frame's."""
        k = self.span / self.side
        x0, y0, x1, y1 = edges
        return FaceBox(self.x + x0 * k, self.y + y0 * k, self.x + x1 * k, self.y + y1 * k, score)
