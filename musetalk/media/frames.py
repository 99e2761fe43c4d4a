"""Frames as they are decoded and encoded: planes of YCbCr, or RGB. Only parts of them become RGB, to be painted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array, UInt8Array

# Planar formats, in ffmpeg's words: bits of a sample, and how many pixels share one of chroma, across and down.
PLANAR = {
    "yuv420p": (8, 2, 2),
    "yuv422p": (8, 2, 1),
    "yuv444p": (8, 1, 1),
    "yuv420p10le": (10, 2, 2),
    "yuv422p10le": (10, 2, 1),
    "yuv444p10le": (10, 1, 1),
}
# What red and blue weigh in luma, by the matrix's name (ITU-T H.273, table 4).
LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
_Samples: TypeAlias = npt.NDArray[Any]  # uint8, uint16 or float32

# Of four pixels in a row the weights, for the sample of chroma that the middle two share: linear interpolation between
# samples, 3 : 1, gives pixels of which this gives back the samples.
_DECIMATION = np.array([-0.25, 0.75, 0.75, -0.25], np.float32)
_AS_IT_IS = np.ones(1, np.float32)
_AROUND = 2  # samples of chroma that are read around a part, of which it takes one


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """How the frames of a video lie in memory.

    Attributes:
        width, height: In pixels.
        pixel_format: In ffmpeg's words: one of `PLANAR`, or "rgb24".
        matrix: Between YCbCr and RGB, one of `LUMA_WEIGHTS`; of no meaning for RGB.
        full_range: Whether YCbCr takes all values; else luma of 8 bits goes from 16 to 235.
    """

    width: int
    height: int
    pixel_format: str = "rgb24"
    matrix: str = "bt709"
    full_range: bool = False

    @property
    def planar(self) -> bool:
        """Whether it has planes of YCbCr; else RGB."""
        return self.pixel_format in PLANAR

    @property
    def subsampling(self) -> tuple[int, int]:
        """How many pixels share one sample of chroma, across and down."""
        return PLANAR[self.pixel_format][1:] if self.planar else (1, 1)

    @property
    def bits(self) -> int:
        """Bits of a sample."""
        return PLANAR[self.pixel_format][0] if self.planar else 8

    @property
    def sample_type(self) -> type[np.uint8] | type[np.uint16]:
        """What a sample is stored as."""
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of its planes, in samples: luma, then the two of chroma; of RGB one."""
        if not self.planar:
            return ((self.height, self.width, 3),)
        across, down = self.subsampling
        chroma = (-(-self.height // down), -(-self.width // across))
        return ((self.height, self.width), chroma, chroma)

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return sum(int(np.prod(shape)) for shape in self.shapes) * (2 if self.bits > 8 else 1)


class Frame:
    """One frame of a video, in one piece of memory.

    Args:
        layout: How it lies there.
        data: uint8 [frame_bytes], C-contiguous; None: not yet known.
    """

    def __init__(self, layout: FrameLayout, data: UInt8Array | None = None) -> None:
        self.layout = layout
        self.data: UInt8Array = np.empty(layout.frame_bytes, np.uint8) if data is None else data

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.layout.width, self.layout.height

    @property
    def view(self) -> memoryview:
        """Its memory, to be read into or written from."""
        return self.data.data

    @property
    def planes(self) -> list[_Samples]:
        """Views of its planes, in samples: uint8 or uint16, as `FrameLayout.shapes` says."""
        samples = self.data.view(self.layout.sample_type)
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.layout.shapes)])
        return [
            samples[start:end].reshape(shape)
            for (start, end), shape in zip(pairwise(ends), self.layout.shapes, strict=True)
        ]

    def copy(self) -> Frame:
        """Return a frame of its own with the same pixels."""
        return Frame(self.layout, self.data.copy())

    def rgb(self) -> UInt8Array:
        """Return it as uint8 RGB [H, W, 3]: where it is stored so, a view, else an array of its own."""
        return self.read(0, 0, *self.size)

    def read(self, x0: int, y0: int, x1: int, y1: int) -> UInt8Array:
        """Return a rectangle of it, half open and inside the frame: uint8 RGB [y1 - y0, x1 - x0, 3].

        A pixel's color does not depend on the rectangle. Chroma is interpolated between samples that lie in the middle
        of the pixels that share them; `part` and `paint` agree in that, so that nothing moves.
        """
        if not self.layout.planar:
            return np.asarray(self.planes[0][y0:y1, x0:x1], np.uint8)
        luma, *chroma = self.planes
        across, down = self.layout.subsampling
        fine = [_interpolated(plane, (x0, y0, x1, y1), across, down) for plane in chroma]
        return _to_rgb(luma[y0:y1, x0:x1], fine[0], fine[1], _from_ycbcr(self.layout))

    def part(self, x0: int, y0: int, x1: int, y1: int) -> Part:
        """Open a rectangle for painting, as far as it lies in the frame; see `paint`."""
        across, down = self.layout.subsampling
        x0, y0 = max(0, x0) // across * across, max(0, y0) // down * down
        x1, y1 = (
            min(-(-max(end, start) // step) * step, most)
            for end, start, step, most in zip((x1, y1), (x0, y0), (across, down), self.size, strict=True)
        )
        return Part(x0, y0, self.read(x0, y0, x1, y1))

    def paint(self, part: Part) -> None:
        """Write back what was painted into a part.

        What was not painted keeps its samples: of luma pixel by pixel, of chroma where all pixels that share a sample
        were left alone. What is covered becomes what was painted; where the source shines through, so does what RGB
        cannot hold of it.
        """
        if not self.layout.planar:
            return  # a view: it was painted into the frame
        found = part.painted(self.layout.subsampling)
        if found is None:
            return
        x0, y0, before, after, changed, kept = found
        matrix = _to_ycbcr_matrix(self.layout)
        was, now = _to_ycbcr(before, matrix), _to_ycbcr(after, matrix)
        luma, *chroma = self.planes
        _overlay(luma[y0:, x0:], changed, was[0], now[0], kept, self.layout)
        across, down = self.layout.subsampling
        changed, kept = (_shared(each, across, down) for each in (changed, kept))
        for plane, *colors in zip(chroma, was[1:], now[1:], strict=True):
            old, new = (_decimated(each, across, down) for each in colors)
            _overlay(plane[y0 // down :, x0 // across :], changed, old, new, kept, self.layout)


class Part:
    """A rectangle of a frame as RGB, to be painted into.

    Attributes:
        x, y: Its upper left corner in the frame.
        rgb: uint8 RGB [h, w, 3].
        before: The same as it was.
        coverage: float32 [h, w]: 0 where the source is all that is seen, 1 where nothing of it is left.
    """

    def __init__(self, x: int, y: int, rgb: UInt8Array) -> None:
        self.x, self.y, self.rgb = x, y, rgb
        self.before = rgb.copy()
        self.coverage: Float32Array = np.zeros(rgb.shape[:2], np.float32)
        self._covered: tuple[int, int, int, int] | None = None

    def cover(self, x: int, y: int, alpha: Float32Array) -> None:
        """Note that something was laid over a rectangle that begins at (x, y), in its own pixels.

        What is painted elsewhere does not count.
        """
        right, bottom = x + alpha.shape[1], y + alpha.shape[0]
        part = self.coverage[y:bottom, x:right]
        part += alpha * (1 - part)
        x0, y0, x1, y1 = self._covered or (x, y, right, bottom)
        self._covered = min(x0, x), min(y0, y), max(x1, right), max(y1, bottom)

    def painted(self, block: tuple[int, int]) -> Painted | None:
        """Return what was painted, as little as holds it in whole blocks of (width, height); None: nothing was."""
        if self._covered is None:
            return None
        left, top, right, bottom = self._covered
        # Blocks around it, too, for what is filtered.
        x0, y0 = (max(0, start // step - 1) * step for start, step in zip((left, top), block, strict=True))
        x1, y1 = ((-(-end // step) + 1) * step for end, step in zip((right, bottom), block, strict=True))
        here = np.s_[y0:y1, x0:x1]
        before, after, kept = self.before[here], self.rgb[here], np.float32(1) - self.coverage[here]
        changed = np.asarray(cv2.transform(cv2.absdiff(before, after), np.ones((1, 3), np.float32)))
        return Painted(self.x + x0, self.y + y0, before, after, changed, kept) if changed.any() else None


class Painted(NamedTuple):
    """What was painted into a part.

    Attributes:
        x, y: Its upper left corner in the frame.
        before, after: uint8 RGB [h, w, 3].
        changed: uint8 [h, w]; 0: nothing did.
        kept: float32 [h, w], how much of the source is left, 0 to 1.
    """

    x: int
    y: int
    before: UInt8Array
    after: UInt8Array
    changed: _Samples
    kept: Float32Array


def frame_of(picture: UInt8Array) -> Frame:
    """Return a picture, uint8 RGB [H, W, 3], as a frame; its memory is shared where it is C-contiguous."""
    layout = FrameLayout(picture.shape[1], picture.shape[0])
    return Frame(layout, np.ascontiguousarray(picture).reshape(-1))


def mixed(one: Frame, other: Frame, share: float) -> Frame:
    """Return two frames of one layout mixed, sample by sample; `share` is of the second.

    Where both agree, nothing changes.
    """
    frame = Frame(one.layout)
    for plane, first, second in zip(frame.planes, one.planes, other.planes, strict=True):
        plane[...] = cv2.addWeighted(first, 1 - share, second, share, 0).reshape(plane.shape)
    return frame


def _interpolated(plane: _Samples, part: tuple[int, int, int, int], across: int, down: int) -> _Samples:
    """Return chroma for every pixel of a part (x0, y0, x1, y1): [y1 - y0, x1 - x0]."""
    x0, y0, x1, y1 = part
    if (across, down) == (1, 1):
        return plane[y0:y1, x0:x1]
    left, top = x0 // across - _AROUND, y0 // down - _AROUND
    right, bottom = -(-x1 // across) + _AROUND, -(-y1 // down) + _AROUND
    height, width = plane.shape
    inside = plane[max(0, top) : min(height, bottom), max(0, left) : min(width, right)].astype(np.float32)
    beyond = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(beyond):
        inside = np.asarray(cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE), np.float32)
    size = (inside.shape[1] * across, inside.shape[0] * down)
    fine = cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR)
    row, column = y0 - top * down, x0 - left * across
    return np.asarray(fine[row : row + y1 - y0, column : column + x1 - x0])


def _to_rgb(luma: _Samples, blue: _Samples, red: _Samples, matrix: Float32Array) -> UInt8Array:
    """Return uint8 RGB [h, w, 3] of samples, by a matrix of which only green looks at both chromas."""
    if not luma.size:
        return np.zeros((*luma.shape, 3), np.uint8)
    scaled = np.multiply(luma, matrix[0, 0], dtype=np.float32)
    blue, red = (np.asarray(each, np.float32) for each in (blue, red))
    green = cv2.addWeighted(blue, float(matrix[1, 1]), red, float(matrix[1, 2]), float(matrix[1, 3]))
    channels = (
        cv2.addWeighted(scaled, 1, red, float(matrix[0, 2]), float(matrix[0, 3]), dtype=cv2.CV_8U),
        cv2.add(scaled, green, dtype=cv2.CV_8U),
        cv2.addWeighted(scaled, 1, blue, float(matrix[2, 1]), float(matrix[2, 3]), dtype=cv2.CV_8U),
    )
    return np.asarray(cv2.merge(channels), np.uint8)


def _to_ycbcr(rgb: UInt8Array, matrix: Float32Array) -> list[_Samples]:
    """Return luma and both chromas of every pixel, in samples and not rounded: float32 [h, w] each."""
    red, green, blue = cv2.split(rgb)
    planes: list[_Samples] = []
    for row in matrix.tolist():  # channel by channel: cv2.transform of floats takes six times as long
        part = cv2.addWeighted(red, row[0], green, row[1], row[3], dtype=cv2.CV_32F)
        planes.append(np.asarray(cv2.addWeighted(part, 1.0, blue, row[2], 0.0, dtype=cv2.CV_32F)))
    return planes


def _overlay(
    plane: _Samples, changed: _Samples, was: _Samples, now: _Samples, kept: Float32Array, layout: FrameLayout
) -> None:
    """Write new samples where something changed: with what the old ones were beyond their RGB, as far as it is kept.

    Args:
        plane: From the painted rectangle's corner on; written to.
        changed: [h, w], not 0 where something did.
        was: float32 [h, w], the samples of what was there before, not rounded.
        now: The same of what is there now.
        kept: float32 [h, w], how much of the source is left.
        layout: Of the frame.
    """
    plane = plane[: changed.shape[0], : changed.shape[1]]
    beyond = cv2.multiply(cv2.subtract(plane, was, dtype=cv2.CV_32F), kept)
    kind = cv2.CV_8U if layout.bits == 8 else cv2.CV_16U
    samples = np.asarray(cv2.add(now, beyond, dtype=kind))
    if layout.bits > 8:
        np.minimum(samples, (1 << layout.bits) - 1, out=samples)
    cv2.copyTo(samples, (changed > 0).view(np.uint8), plane)


def _shared(samples: _Samples, across: int, down: int) -> _Samples:
    """Return the means over the pixels that share a sample of chroma: float32."""
    if (across, down) == (1, 1):
        return samples
    whole = _whole(samples.astype(np.float32), across, down)
    size = (whole.shape[1] // across, whole.shape[0] // down)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA))


def _decimated(samples: _Samples, across: int, down: int) -> _Samples:
    """Return the samples of chroma whose interpolation comes closest to a color for every pixel, float32.

    The way back from bilinear interpolation without loss: of what was interpolated, exactly what it was made of.
    """
    if (across, down) == (1, 1):
        return samples
    rows, columns = (_DECIMATION if step == 2 else _AS_IT_IS for step in (down, across))
    fine = cv2.sepFilter2D(
        _whole(samples, across, down),
        cv2.CV_32F,
        columns,
        rows,
        anchor=(columns.size // 3, rows.size // 3),
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(fine)[::down, ::across]


def _whole(samples: _Samples, across: int, down: int) -> _Samples:
    """Repeat the last row and column as often as whole blocks ask for: frames may be odd."""
    bottom, right = -samples.shape[0] % down, -samples.shape[1] % across
    if not bottom and not right:
        return samples
    return np.asarray(cv2.copyMakeBorder(samples, 0, bottom, 0, right, cv2.BORDER_REPLICATE))


@lru_cache(maxsize=16)
def _to_ycbcr_matrix(layout: FrameLayout) -> Float32Array:
    """Return float32 [3, 4]: samples of YCbCr from RGB levels."""
    red, blue = LUMA_WEIGHTS[layout.matrix]
    green = 1 - red - blue
    step = 1 << (layout.bits - 8)
    most = (1 << layout.bits) - 1
    luma, chroma = (most, most) if layout.full_range else (219 * step, 224 * step)
    black, middle = 0 if layout.full_range else 16 * step, 128 * step
    weights = np.array([red, green, blue])
    rows = [
        [*(weights * luma / 255), black],
        [*((np.array([0, 0, 1]) - weights) / (2 * (1 - blue)) * chroma / 255), middle],
        [*((np.array([1, 0, 0]) - weights) / (2 * (1 - red)) * chroma / 255), middle],
    ]
    return np.array(rows, np.float32)


@lru_cache(maxsize=16)
def _from_ycbcr(layout: FrameLayout) -> Float32Array:
    """Return float32 [3, 4]: RGB levels from samples of YCbCr."""
    there = _to_ycbcr_matrix(layout).astype(np.float64)
    back = np.linalg.inv(there[:, :3])
    return np.column_stack([back, -back @ there[:, 3]]).astype(np.float32)
