"""Masks from a face's labels, as MuseTalk blends: v1 with skin and lips ("raw"), v1.5 with room for the jaw ("jaw").

Labels and crops depend on the source frame alone: a mask made once serves every output frame that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.arrays import Float32Array, Int64Array, UInt8Array
from musetalk.compositing.masks import FaceMask
from musetalk.faces.geometry import CropPlacement, Placement, square_around
from musetalk.faces.parsing_masks import LABEL_SIDE, FaceLabel, jaw_mask, neck_mask, raw_mask
from musetalk.settings import ParsedShape

_CUBIC = -0.5  # Catmull-Rom's parameter, Pillow's default; OpenCV's cubic has -0.75


@dataclass(frozen=True, slots=True)
class ParsedMaskOptions:
    """How a mask is made of labels; the defaults are MuseTalk v1.5's offline path.

    Attributes:
        shape: "raw" is skin, mouth and lips; "neck" the same with the neck; "jaw" skin that reaches further down.
        blur: Size of the blur's kernel, as a fraction of the blended square: 0.05 offline, 0.1 in the avatar path.
        expand: Side of the blended square, as a multiple of the crop's longer side; at least 1.2, so that the blur
            ends inside.
        upper: Share of the blended square, from above, that keeps the source.
        left_cheek, right_cheek: For "jaw": columns of the labels, from the middle, that are not narrowed.
    """

    shape: ParsedShape = "jaw"
    blur: float = 0.05
    expand: float = 1.5
    upper: float = 0.5
    left_cheek: int = 90
    right_cheek: int = 90


def parsed_mask(
    labels: UInt8Array, seen: CropPlacement, crop: Placement, options: ParsedMaskOptions | None = None
) -> FaceMask:
    """Make the mask of a generated crop: upstream's, but for rounding.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.
        crop: Where the generated face lies.
        options: None: the defaults.

    Returns:
        The mask, no larger than the crop. Where the crop cuts through the mask, its blur is cut, too, as upstream's.
    """
    options = options or ParsedMaskOptions()
    square = square_around(crop, options.expand)
    shape = _shape(_labels_in(square, labels, seen), options)
    reach = int(options.blur * square.width // 2 * 2) // 2  # of the blur, in pixels
    left, top = crop.x - square.x, crop.y - square.y
    first, last = max(top, int(square.height * options.upper)), top + crop.height
    if first >= last:
        return FaceMask(crop.x, crop.y, np.zeros((1, 1), np.float32))
    kept = _bicubic(shape, square.width, range(first, last), range(left, left + crop.width))
    hard = cv2.copyMakeBorder(kept, 2 * reach, 2 * reach, 2 * reach, 2 * reach, cv2.BORDER_CONSTANT)
    soft = cv2.GaussianBlur(hard, (2 * reach + 1, 2 * reach + 1), 0)
    rise = min(reach, first - top)  # rows above, into which the blur reaches
    alpha = soft[2 * reach - rise : soft.shape[0] - 2 * reach, 2 * reach : soft.shape[1] - 2 * reach]
    result = np.multiply(alpha, np.float32(1 / 255), dtype=np.float32)
    result.setflags(write=False)
    return FaceMask(crop.x, square.y + first - rise, result)


def _labels_in(square: CropPlacement, labels: UInt8Array, seen: CropPlacement) -> UInt8Array:
    """Resample labels to another part of the frame, nearest neighbour: uint8 [512, 512]; beyond them background.

    The shapes have sizes in pixels of labels that cover the blended square; others would make them larger or smaller.
    """
    if (square.x, square.y, square.width, square.height) == (seen.x, seen.y, seen.width, seen.height):
        return labels
    middles = (np.arange(LABEL_SIDE) + 0.5) / LABEL_SIDE
    columns = np.floor((square.x + middles * square.width - seen.x) * (LABEL_SIDE / seen.width)).astype(np.int64)
    rows = np.floor((square.y + middles * square.height - seen.y) * (LABEL_SIDE / seen.height)).astype(np.int64)
    found = labels[_inside(rows)[:, None], _inside(columns)]
    found[rows != _inside(rows)] = FaceLabel.BACKGROUND
    found[:, columns != _inside(columns)] = FaceLabel.BACKGROUND
    return found


def _inside(places: Int64Array) -> Int64Array:
    return np.clip(places, 0, LABEL_SIDE - 1)


def _shape(labels: UInt8Array, options: ParsedMaskOptions) -> UInt8Array:
    if options.shape == "raw":
        return raw_mask(labels)
    if options.shape == "neck":
        return neck_mask(labels)
    return jaw_mask(labels, left_cheek=options.left_cheek, right_cheek=options.right_cheek)


def _bicubic(picture: UInt8Array, size: int, rows: range, columns: range) -> UInt8Array:
    """Part of a square picture scaled to [size, size], as Pillow scales: bicubic, averaging when shrinking.

    Returns:
        uint8 [len(rows), len(columns)]; like Pillow's, its rows are rounded before its columns are taken.
    """
    (top, down), (left, across) = (_weights(len(picture), size, part) for part in (rows, columns))
    used = picture[top : top + down.shape[1], left : left + across.shape[1]].astype(np.float32)
    wide = _whole_levels(used @ across.T)
    return _whole_levels(down @ wide).astype(np.uint8)


def _whole_levels(values: Float32Array) -> Float32Array:
    return np.asarray(np.floor(np.clip(values, 0, 255) + np.float32(0.5)), dtype=np.float32)


def _weights(source: int, size: int, part: range) -> tuple[int, Float32Array]:
    """Weights of source pixels in scaled ones: the first pixel used, and float32 [len(part), pixels used]."""
    scale = source / size
    stretch = max(1.0, scale)  # shrinking: the kernel covers what comes together in one pixel
    centers = (np.arange(part.start, part.stop) + 0.5) * scale
    first = max(0, int(centers[0] - 2 * stretch + 0.5))
    last = min(source, int(centers[-1] + 2 * stretch + 0.5))
    t = np.abs((np.arange(first, last) + 0.5)[None] - centers[:, None]) / stretch
    near = ((_CUBIC + 2) * t - (_CUBIC + 3)) * t * t + 1
    far = (((t - 5) * t + 8) * t - 4) * _CUBIC
    weights = np.where(t < 1, near, np.where(t < 2, far, 0.0))
    return first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
