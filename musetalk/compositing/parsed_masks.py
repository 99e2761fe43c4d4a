"""Masks from a face's labels and their soft edge, as MuseTalk blends.

Version 1 blends skin and lips ("raw"), version 1.5 with room for the jaw ("jaw").

Labels and crops depend on the source frame alone: a mask made once serves every output frame that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform, square_around
from musetalk.faces.parsing.labels import LABEL_SIDE, jaw_mask, look_up, mouth_mask, neck_mask, raw_mask
from musetalk.settings import ParsedShape
from musetalk.utils.arrays import Float32Array, Int64Array, UInt8Array
from musetalk.utils.easing import smoothstep

_CUBIC = -0.5  # Catmull-Rom's parameter, Pillow's default; OpenCV's cubic has -0.75
_LEAST_BOUNDARY = 2.0  # pixels


@dataclass(frozen=True, slots=True)
class ParsedMaskOptions:
    """How a mask is made of labels; the defaults are MuseTalk v1.5's offline path.

    Attributes:
        shape: "raw" is skin, mouth and lips; "neck" the same with the neck; "jaw" skin that reaches further down;
            "mouth" the lips and the jaw below, between the cheeks.
        blur: Size of the blur's kernel, as a fraction of the blended square: 0.05 offline, 0.1 in the avatar path.
        expand: Side of the blended square, as a multiple of the crop's longer side; at least 1.2, so that the blur
            ends inside.
        upper: Share of the blended square, from above, that keeps the source.
        left_cheek, right_cheek: For "jaw": columns of the labels, from the middle, that are not narrowed.
        boundary: Width over which the mask fades at the edges of the crop, as a share of the reach of the blur.
            0: it does not, as upstream's, and where the crop cuts through the mask there is a seam.
        scale: The shape is scaled by this around its middle.
        drop: And then moved down by this fraction of the blended square.
    """

    shape: ParsedShape = "jaw"
    blur: float = 0.05
    expand: float = 1.5
    upper: float = 0.5
    left_cheek: int = 90
    right_cheek: int = 90
    boundary: float = 0.0
    scale: float = 1.0
    drop: float = 0.0


def parsed_mask(
    labels: UInt8Array, seen: BoxCropTransform, crop: CropTransform, options: ParsedMaskOptions | None = None
) -> FaceMask:
    """Make the mask of a generated crop: by default upstream's, but for rounding.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.
        crop: Where the generated face lies.
        options: None: the defaults.

    Returns:
        The mask, no larger than the crop.
    """
    options = options or ParsedMaskOptions()
    return mask_of_shape(shape_map(labels, seen, crop, options), crop, options)


def shape_map(
    labels: UInt8Array, seen: BoxCropTransform, crop: CropTransform, options: ParsedMaskOptions
) -> UInt8Array:
    """Make the shape that a mask has before it is blurred.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.
        crop: Where the generated face lies.
        options: Of the mask.

    Returns:
        uint8 [512, 512] over the blended square: 255 belongs to the shape, 0 does not.
    """
    # The shapes have sizes in pixels of labels that cover the blended square; others would make them larger or smaller.
    square = square_around(crop, options.expand)
    if (square.x, square.y, square.width, square.height) != (seen.x, seen.y, seen.width, seen.height):
        labels = look_up(labels, seen, square, LABEL_SIDE, LABEL_SIDE)
    if options.shape == "raw":
        return raw_mask(labels)
    if options.shape == "neck":
        return neck_mask(labels)
    if options.shape == "mouth":
        return mouth_mask(labels)
    return jaw_mask(labels, left_cheek=options.left_cheek, right_cheek=options.right_cheek)


def mask_of_shape(shape: UInt8Array, crop: CropTransform, options: ParsedMaskOptions) -> FaceMask:
    """Make a mask of a shape: scaled to the frame, cut off above, blurred.

    Args:
        shape: uint8 [512, 512] over the blended square, 0 to 255; several shapes may be averaged in it.
        crop: Where the generated face lies.
        options: Of the mask.
    """
    square = square_around(crop, options.expand)
    reach = int(options.blur * square.width // 2 * 2) // 2  # of the blur, in pixels
    left, top = crop.x - square.x, crop.y - square.y
    first, last = max(top, int(square.height * options.upper)), top + crop.height
    if first >= last:
        return FaceMask(crop.x, crop.y, np.zeros((1, 1), np.float32))
    rows, columns = range(first, last), range(left, left + crop.width)
    kept = _bicubic(_moved(shape, square.width, rows, columns, options), square.width, rows, columns)
    rise = min(reach, first - top)  # rows above, into which the blur reaches
    hard = np.zeros((rise + len(rows), len(columns)), np.uint8)
    hard[rise:] = kept
    alpha = _blurred(hard, reach)
    if options.boundary:
        above = first - rise - top
        width = max(_LEAST_BOUNDARY, options.boundary * reach)
        alpha *= _fade(crop.height, width)[above:, None]
        alpha *= _fade(crop.width, width)
    alpha.setflags(write=False)
    return FaceMask(crop.x, square.y + first - rise, alpha)


def _blurred(hard: UInt8Array, reach: int) -> Float32Array:
    """Blur a shape, beyond whose picture there is none of it: float32 of its size, 0 to 1."""
    x, y, width, height = cv2.boundingRect(hard)
    rows = slice(max(0, y - reach), y + height + reach)
    columns = slice(max(0, x - reach), x + width + reach)
    alpha = np.zeros(hard.shape, np.float32)
    if width:
        # In whole levels, as upstream: OpenCV blurs them with a kernel of its own.
        kernel = (2 * reach + 1, 2 * reach + 1)
        soft = cv2.GaussianBlur(hard[rows, columns], kernel, 0, borderType=cv2.BORDER_CONSTANT | cv2.BORDER_ISOLATED)
        np.multiply(soft, np.float32(1 / 255), out=alpha[rows, columns])
    return alpha


def _fade(count: int, width: float) -> Float32Array:
    """From 0 at both ends of a row of pixels to 1 (smoothstep): float32 [count]."""
    places = np.arange(count)
    return smoothstep(np.minimum(places, count - 1 - places) / width)


def _moved(shape: UInt8Array, size: int, rows: range, columns: range, options: ParsedMaskOptions) -> UInt8Array:
    """What of a shape lies in some rows and columns of the blended square, scaled around its middle and moved down."""
    if options.scale == 1 and options.drop == 0:
        return shape
    shown = np.zeros_like(shape)
    first, last, left, right = (
        min(LABEL_SIDE, max(0, round(edge * LABEL_SIDE / size)))
        for edge in (rows.start, rows.stop, columns.start, columns.stop)
    )
    shown[first:last, left:right] = shape[first:last, left:right]
    moments = cv2.moments(shown)
    if not moments["m00"]:
        return shown
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    k = options.scale
    matrix = np.array([[k, 0, x - k * x], [0, k, y - k * y + options.drop * LABEL_SIDE]])
    return np.asarray(cv2.warpAffine(shown, matrix, (LABEL_SIDE, LABEL_SIDE)), dtype=np.uint8)


def _bicubic(picture: UInt8Array, size: int, rows: range, columns: range) -> Float32Array:
    """Part of a square picture scaled to [size, size], as Pillow scales: bicubic, averaging when shrinking.

    Returns:
        float32 [len(rows), len(columns)], whole numbers from 0 to 255; like Pillow's, its rows are rounded before its
        columns are taken.
    """
    (down, down_weights), (across, across_weights) = (_taps(len(picture), size, part) for part in (rows, columns))
    top, bottom = int(down.min()), int(down.max()) + 1
    left, right = int(across.min()), int(across.max()) + 1
    used = np.ascontiguousarray(picture[top:bottom, left:right].T, dtype=np.float32)
    wide = np.ascontiguousarray(_resampled(used, across - left, across_weights).T)
    return _resampled(wide, down - top, down_weights)


def _resampled(lines: Float32Array, taps: Int64Array, weights: Float32Array) -> Float32Array:
    """Sums of weighted lines, rounded to levels from 0 to 255: float32 [len(taps), columns]."""
    result = lines.take(taps[:, 0], 0)
    result *= weights[:, :1]
    for each in range(1, taps.shape[1]):
        part = lines.take(taps[:, each], 0)
        part *= weights[:, each : each + 1]
        result += part
    np.clip(result, 0, 255, out=result)
    result += np.float32(0.5)
    return np.floor(result, out=result)


def _taps(source: int, size: int, part: range) -> tuple[Int64Array, Float32Array]:
    """The source pixels that make up scaled ones, int64 [len(part), k], and their weights, float32 of that shape."""
    scale = source / size
    stretch = max(1.0, scale)  # shrinking: the kernel covers what comes together in one pixel
    centers = (np.arange(part.start, part.stop) + 0.5) * scale
    first = np.ceil(centers - 2 * stretch - 0.5).astype(np.int64)
    taps = first[:, None] + np.arange(int(4 * stretch) + 1)
    t = np.abs(taps + 0.5 - centers[:, None]) / stretch
    near = ((_CUBIC + 2) * t - (_CUBIC + 3)) * t * t + 1
    far = (((t - 5) * t + 8) * t - 4) * _CUBIC
    weights = np.where(t < 1, near, np.where(t < 2, far, 0.0))
    weights[(taps < 0) | (taps >= source)] = 0
    total = weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, source - 1), (weights / np.where(total, total, 1)).astype(np.float32)
