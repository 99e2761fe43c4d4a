"""Where LatentSync's crop of a face lies in its frame, the way there and back, and where it shows.

The crop is a rotated rectangle, 75 to 100, that is resized to a square, so that faces are squeezed a little
(bytedance/LatentSync, Apache-2.0; latentsync/utils/affine_transform.py, image_processor.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, hypot

import cv2
import numpy as np

from hybrid.landmarks import FacePoints
from hybrid.mask import SIDE
from hybrid.template import fit_similarity, template_points, template_size
from musetalk.compositing.masks import FaceMask, trimmed
from musetalk.faces.crops.crop import Scaling
from musetalk.faces.crops.rotated_crop import RotatedCropTransform
from musetalk.utils.arrays import Float32Array, UInt8Array

_BEYOND = (127.0, 127.0, 127.0)  # what the network sees beyond the frame's edges
FEATHER = 0.04  # of the crop's side, over which the painted part comes in

# Upstream's soft edge of the whole crop, in pixels of the frame.
_TRIM = 2  # eaten off the crop's rim before anything
_EDGE_SHARE = 20  # the edge's width is the root of the crop's area, divided by this


@dataclass(frozen=True, slots=True)
class AlignedCropTransform(RotatedCropTransform):
    """LatentSync's crop (see `RotatedCropTransform`).

    Attributes:
        size: Side of the square that the generator sees: 256 or 512.
        scaling: Of the way back. "fine" averages when shrinking and is cubic when growing. "upstream" is bilinear.
    """

    size: int = SIDE
    scaling: Scaling = "fine"

    @property
    def template_size(self) -> tuple[int, int]:
        """(width, height) of the crop before it becomes square: 210 x 280 for 256."""
        return template_size(self.size)

    def crop(self, frame: UInt8Array) -> UInt8Array:
        """Cut the crop out of a frame as upstream does, in two steps: uint8 RGB [size, size, 3]."""
        square = cv2.resize(self.face(frame), (self.size, self.size), interpolation=cv2.INTER_LANCZOS4)
        return np.asarray(square, dtype=np.uint8)

    def face(self, frame: UInt8Array) -> UInt8Array:
        """The crop before it becomes square, bilinear, grey beyond the frame: uint8 RGB [280, 210, 3] for 256."""
        turned = cv2.warpAffine(
            frame,
            self.matrix,
            self.template_size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_BEYOND,
        )
        return np.asarray(turned, dtype=np.uint8)

    def warp_back(self, generated: UInt8Array) -> UInt8Array:
        """Turn what a generator made of the crop, at any size, back: uint8 RGB [height, width, 3].

        Beyond the crop its edge repeats.
        """
        source = self._near_its_size(generated) if self.scaling == "fine" else generated
        x0, y0, x1, y1 = self._bounds()
        back = self._to_picture(source.shape[1], source.shape[0], x0, y0)
        turned = cv2.warpAffine(
            source,
            back,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(turned, dtype=np.uint8)

    def warp_mask(self, alpha: Float32Array) -> Float32Array:
        """Turn a mask over the crop, float32 [h, w] of any size, to the rectangle: float32 [height, width]."""
        return self.warp_alpha(alpha, self._bounds()).alpha

    def warp_alpha(self, alpha: Float32Array, bounds: tuple[int, int, int, int]) -> FaceMask:
        """Turn a mask over the crop, float32 [h, w] of any size, back into a rectangle of the frame."""
        x0, y0, x1, y1 = bounds
        back = self._to_picture(alpha.shape[1], alpha.shape[0], x0, y0)
        turned = cv2.warpAffine(alpha, back, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        result = np.asarray(turned, dtype=np.float32)
        result.setflags(write=False)
        return FaceMask(x0, y0, result)

    def _near_its_size(self, generated: UInt8Array) -> UInt8Array:
        """Return what a generator made, so that bilinear turning neither skips pixels nor blurs them.

        Averaged to the scale of the frame, if that is smaller, else doubled: that and turning it are as good as a cubic
        turn (within 0.3 dB), in a quarter of its time.
        """
        scale = hypot(self.a, self.b)
        width, height = (max(1, ceil(side / scale)) for side in self.template_size)
        if generated.shape[0] <= height or generated.shape[1] <= width:
            return np.asarray(cv2.resize(generated, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        return np.asarray(cv2.resize(generated, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def place_aligned(
    points: Sequence[FacePoints], size: int = SIDE, *, scaling: Scaling = "fine"
) -> list[AlignedCropTransform]:
    """Place the crops of one clip by its face's points.

    Args:
        points: Frame by frame, made steady (see `smooth_points`).
        size: Side of the square that the generator sees.
        scaling: Of the way back (see `AlignedCropTransform`).

    Raises:
        ValueError: Three points coincide.
    """
    template = template_points(size)
    fits = [fit_similarity(each.array() - 0.5, template).tolist() for each in points]
    return [AlignedCropTransform(a, b, tx, ty, size, scaling) for (a, _, tx), (b, _, ty) in fits]


def pasted_mask(transform: AlignedCropTransform) -> FaceMask:
    """Return upstream's mask over what it shows; beyond the frame's edges, the crop is not cut off."""
    room = transform.side // _EDGE_SHARE + _TRIM  # where nothing shows, so that the crop's rim is eaten off as anywhere
    x0, y0 = transform.x - room, transform.y - room
    bounds = x0, y0, transform.x + transform.width + room, transform.y + transform.height + room
    return trimmed(whole_mask(transform, bounds))


def whole_mask(transform: AlignedCropTransform, bounds: tuple[int, int, int, int]) -> FaceMask:
    """Return upstream's mask, the whole crop but for its rim, over a rectangle of the frame (x0, y0, x1, y1)."""
    columns, rows = transform.template_size
    full = transform.warp_alpha(np.ones((rows, columns), np.float32), bounds).alpha
    eaten = cv2.erode(full, np.ones((_TRIM, _TRIM), np.uint8))
    edge = int(float(np.sum(eaten)) ** 0.5) // _EDGE_SHARE
    inner = cv2.erode(eaten, np.ones((2 * edge, 2 * edge), np.uint8)) if edge else eaten
    soft = np.asarray(cv2.GaussianBlur(inner, (2 * edge + 1, 2 * edge + 1), 0), dtype=np.float32)
    return FaceMask(bounds[0], bounds[1], soft)
