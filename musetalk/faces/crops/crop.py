"""The transform of a face's crop: cropping from the frame, and pasting back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import atan2, cos, hypot, sin, sqrt
from typing import Literal, Protocol, TypeAlias

import cv2
import numpy as np

from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.utils.arrays import Float32Array, UInt8Array

# A Haar bbox ends near the chin; the crop has room for a jaw that drops, and cheeks around it.
CROP_MARGIN = 1.5
_REACH = 4  # rows above a place that scaling back looks at: Lanczos takes so many
_BLUR = 0.3  # pixels, by the root of the squared shrinking beyond 1: chosen by what real crops lose there and back
_LEAST_BLUR = 0.25  # pixels; less changes no level
CROP_DROP = 0.12  # how far the crop's middle lies below the bbox's, as a fraction of the bbox height

Scaling: TypeAlias = Literal["fine", "upstream"]


class CropTransform(Protocol):
    """Where a crop lies in its frame: an upright rectangle in whole pixels that holds it, and the way there and back.

    Hashable: masks are kept by it.
    """

    @property
    def x(self) -> int:
        """Left edge of the rectangle; may lie beyond the frame's."""
        ...

    @property
    def y(self) -> int:
        """Upper edge of the rectangle; may lie beyond the frame's."""
        ...

    @property
    def width(self) -> int:
        """Width of the rectangle."""
        ...

    @property
    def height(self) -> int:
        """Height of the rectangle."""
        ...

    @property
    def size(self) -> int | None:
        """Side of the square that the generator sees; None: it sees the rectangle's own pixels."""
        ...

    @property
    def side(self) -> int:
        """The crop's longer side in the frame."""
        ...

    def crop(self, frame: UInt8Array) -> UInt8Array:
        """Cut the crop out of a frame: uint8 RGB [size, size, 3]."""
        ...

    def warp_back(self, generated: UInt8Array) -> UInt8Array:
        """Bring what a generator made of the crop, at any size, back to the rectangle: uint8 RGB [height, width, 3]."""
        ...

    def warp_mask(self, alpha: Float32Array) -> Float32Array:
        """Bring a mask over the crop, float32 [h, w] of any size, to the rectangle: float32 [height, width]."""
        ...

    def to_crop(self, sample: FaceSample) -> FaceSample:
        """The same face in pixels of the crop."""
        ...

    def first_row(self, x0: int, y0: int, x1: int, y1: int) -> int:
        """Return the first row of the crop that is looked at for a part of the frame; may be below 0."""
        ...

    def moved(self, dx: int, dy: int) -> CropTransform:
        """Return the same crop of a frame whose pixels lie so much further right and down."""
        ...


@dataclass(frozen=True, slots=True)
class BoxCropTransform:
    """A rectangle of the frame, in whole pixels; it may reach beyond the frame's edges.

    Attributes:
        x, y: Its upper left corner in the frame.
        width, height: Its size in the frame.
        size: Side of the square that the generator sees; None: it sees the rectangle's own pixels.
        scaling: Of the way into the crop. "fine" averages when shrinking and takes Lanczos when growing. "upstream"
            takes Lanczos whatever the size, as MuseTalk does and its network was trained with.
        back: Of the way back. "fine" is cubic, after a blur or halving when shrinking. "upstream" is bilinear, as
            MuseTalk's.
    """

    x: int
    y: int
    width: int
    height: int
    size: int | None = None
    scaling: Scaling = "fine"
    back: Scaling = "fine"

    @property
    def side(self) -> int:
        """Its longer side in the frame."""
        return max(self.width, self.height)

    def crop(self, frame: UInt8Array) -> UInt8Array:
        """Cut the crop out of a frame: uint8 RGB [size, size, 3]; beyond the edges, the edge repeats."""
        height, width = frame.shape[:2]
        if self.x >= 0 and self.y >= 0 and self.x + self.width <= width and self.y + self.height <= height:
            inside = frame[self.y : self.y + self.height, self.x : self.x + self.width]
        else:
            rows = np.clip(np.arange(self.y, self.y + self.height), 0, height - 1)
            columns = np.clip(np.arange(self.x, self.x + self.width), 0, width - 1)
            inside = frame[rows[:, None], columns]
        if self.size is None:
            return inside
        how = cv2.INTER_LANCZOS4 if self.scaling == "upstream" else None
        return _resized(inside, self.size, self.size, how)

    def warp_back(self, generated: UInt8Array) -> UInt8Array:
        """Scale what a generator made of the crop, at any size, back to the rectangle: uint8 RGB [height, width, 3]."""
        if self.back == "upstream":
            return _resized(generated, self.width, self.height, cv2.INTER_LINEAR)
        return _scaled_back(generated, self.width, self.height)

    def warp_mask(self, alpha: Float32Array) -> Float32Array:
        """Scale a mask over the crop, float32 [h, w] of any size, to the rectangle: float32 [height, width]."""
        shrinks = alpha.size > self.width * self.height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(alpha, (self.width, self.height), interpolation=how), dtype=np.float32)

    def first_row(self, x0: int, y0: int, x1: int, y1: int) -> int:
        """Return the first row of the crop that scaling back looks at for rows of the frame from `y0` on."""
        return (y0 - self.y) * (self.size or self.height) // self.height - _REACH

    def moved(self, dx: int, dy: int) -> BoxCropTransform:
        """Return the same crop of a frame whose pixels lie so much further right and down."""
        return replace(self, x=self.x + dx, y=self.y + dy)

    def to_crop(self, sample: FaceSample) -> FaceSample:
        """The same face in pixels of the crop."""
        sx, sy = (1.0, 1.0) if self.size is None else (self.size / self.width, self.size / self.height)
        box, mouth = sample.box, sample.mouth
        return FaceSample(
            sample.track,
            FaceBox(
                (box.x0 - self.x) * sx,
                (box.y0 - self.y) * sy,
                (box.x1 - self.x) * sx,
                (box.y1 - self.y) * sy,
                box.score,
            ),
            _scaled(MouthShape(mouth.cx - self.x, mouth.cy - self.y, mouth.half_width, mouth.angle), sx, sy),
        )


def place_crops(samples: Sequence[FaceSample], crop_size: int | None) -> list[BoxCropTransform]:
    """Place the square crops of one clip around its face boxes.

    Args:
        samples: The clip's face, frame by frame.
        crop_size: As the generator asks; None: every crop has the side of the largest, so that none is resampled.
    """
    sides = [round(CROP_MARGIN * max(sample.box.width, sample.box.height)) for sample in samples]
    if crop_size is None:
        sides = [max(sides)] * len(sides)
    return [_place(sample.box, side, crop_size or side) for sample, side in zip(samples, sides, strict=True)]


def square_around(transform: CropTransform, expand: float) -> BoxCropTransform:
    """Place a square around a crop, with the same middle: where its face is parsed and blended.

    Args:
        transform: The crop.
        expand: Side of the square, as a multiple of the crop's longer side.

    Returns:
        The square, at the pixel where upstream's `get_crop_box` has it; seen in its own pixels.
    """
    x, y = (2 * transform.x + transform.width) // 2, (2 * transform.y + transform.height) // 2
    half = int(transform.side // 2 * expand)
    return BoxCropTransform(x - half, y - half, 2 * half, 2 * half)


def _place(box: FaceBox, side: int, size: int) -> BoxCropTransform:
    cx, cy = box.center
    return BoxCropTransform(round(cx - side / 2), round(cy + CROP_DROP * box.height - side / 2), side, side, size)


def _resized(picture: UInt8Array, width: int, height: int, how: int | None) -> UInt8Array:
    """Scale a uint8 RGB picture to [height, width, 3]; None: average when shrinking, Lanczos when growing."""
    if picture.shape[:2] == (height, width):
        return picture
    if how is None:
        shrinks = picture.shape[0] * picture.shape[1] > width * height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.uint8)


def _scaled_back(picture: UInt8Array, width: int, height: int) -> UInt8Array:
    """Scale a uint8 RGB picture to [height, width, 3], as sharp as it is.

    Cubic: Lanczos gains 0.4 dB where 256 pixels become 500, and takes fifteen times as long. What shrinks is halved as
    often as it can be, and blurred for the rest: averaging loses 5 dB to that where little is to be shrunk.
    """
    if picture.shape[:2] == (height, width):
        return picture
    rows, columns = picture.shape[:2]
    halved = (_halved(columns, width), _halved(rows, height))
    if halved != (columns, rows):
        picture = np.asarray(cv2.resize(picture, halved, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    across, down = (_blur_for(seen / wanted) for seen, wanted in zip(halved, (width, height), strict=True))
    if max(across, down) > _LEAST_BLUR:
        picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), max(across, 0.01), sigmaY=max(down, 0.01)), np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _halved(seen: int, wanted: int) -> int:
    while seen >= 2 * wanted:
        seen = (seen + 1) // 2
    return seen


def _blur_for(shrinking: float) -> float:
    """Return the standard deviation, in pixels, of the blur that goes before cubic scaling."""
    return _BLUR * sqrt(max(0.0, shrinking * shrinking - 1))


def _scaled(mouth: MouthShape, sx: float, sy: float) -> MouthShape:
    if sx == sy:
        return MouthShape(mouth.cx * sx, mouth.cy * sx, mouth.half_width * sx, mouth.angle)
    dx, dy = mouth.half_width * cos(mouth.angle) * sx, mouth.half_width * sin(mouth.angle) * sy
    return MouthShape(mouth.cx * sx, mouth.cy * sy, hypot(dx, dy), atan2(dy, dx))
