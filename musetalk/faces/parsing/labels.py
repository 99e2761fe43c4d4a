"""What face parsing's labels mean, and the masks that MuseTalk makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from math import atan2, degrees

import cv2
import numpy as np

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.utils.arrays import Int64Array, UInt8Array

LABEL_SIDE = 512  # pixels; the shapes below are in pixels of label maps of this size


class FaceLabel(IntEnum):
    """What a pixel shows (CelebAMask-HQ's classes). Do not rely on left and right: compare places instead."""

    BACKGROUND = 0
    SKIN = 1
    LEFT_BROW = 2
    RIGHT_BROW = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    GLASSES = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    EARRING = 9
    NOSE = 10
    MOUTH = 11  # inside of it: teeth, tongue
    UPPER_LIP = 12
    LOWER_LIP = 13
    NECK = 14
    NECKLACE = 15
    CLOTHES = 16
    HAIR = 17
    HAT = 18


LIPS = (FaceLabel.MOUTH, FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)
_MIDDLE = LABEL_SIDE // 2
# The jaw's structuring element lets skin grow down into a point, up by more, and sideways. It is the triangle of
# `_TRIANGLE` rows taken `_TRIANGLES` times, then a stem: the same as the 33 x 33 element that upstream draws.
_CONE_REACH = 16  # rows and columns, at most
_TRIANGLE, _TRIANGLES, _STEM = 2, 5, 13
_CHEEK_SIZE = (35, 3)  # (width, height) of the cheeks' structuring element: it eats into skin from the sides
_CHEEK_TIMES = 2

_LEAST_PIXELS = 24  # fewer are specks
_ENDS = 0.15  # of the widest row or column of lips or nose: what is narrower is their frayed end
_NOSE_OVER_LIPS = 0.25  # of the lips' width: from the nose's base to the lips, where no nose is seen
_BEARD_ROWS = 0.2  # of the lips' width: the rows below the lips in which a beard shows
_BEARD_SHARE = 0.5  # of the pixels there that are hair
# Of the window of "mouth", in widths of the face at the mouth (0.8 of the mean 68-point face's height unit).
_WINDOW_WIDTH, _WINDOW_DOWN = 0.28, 0.56  # half its width, and from the lips' middle to below a jaw that dropped
_WINDOW_LIPS = 1.45  # half its width is no less than this many half widths of the lips
_JAW_DROP = 20  # rows by which skin grows down: a sixth of the way from the lips to the chin


@dataclass(frozen=True, slots=True)
class MouthPlace:
    """Where labels show the lips, in their pixels: rows and columns half open.

    Attributes:
        left, right: Columns of the lips.
        top, bottom: Rows of the lips.
        base: The row below the nose's lower end.
    """

    left: int
    right: int
    top: int
    bottom: int
    base: int


def raw_mask(labels: UInt8Array) -> UInt8Array:
    """Skin, mouth and lips, as MuseTalk v1 blends.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.

    Returns:
        uint8 [512, 512]: 255 belongs to the mask, 0 does not.
    """
    return select_labels(labels, FaceLabel.SKIN, *LIPS)


def neck_mask(labels: UInt8Array) -> UInt8Array:
    """Skin, mouth, lips and neck; arguments and result as of `raw_mask`."""
    return select_labels(labels, FaceLabel.SKIN, FaceLabel.NECK, *LIPS)


def jaw_mask(labels: UInt8Array, *, left_cheek: int = 90, right_cheek: int = 90) -> UInt8Array:
    """Skin with room for a jaw that drops, narrower at the cheeks, without the nose: as MuseTalk v1.5 blends.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        left_cheek: Columns to the left of the middle that stay as wide as they are.
        right_cheek: The same to the right. MuseTalk's v1.5 scripts ask for 90 each.

    Returns:
        uint8 [512, 512]: 255 belongs to the mask, 0 does not.
    """
    mask = _lowered(select_labels(labels, FaceLabel.SKIN))
    narrowed = cv2.erode(mask, _cheek_kernel(), iterations=_CHEEK_TIMES)
    left, right = max(0, _MIDDLE - left_cheek + 1), max(0, _MIDDLE + right_cheek)  # columns before and from there on
    mask[:, :left] = narrowed[:, :left]
    mask[:, right:] = narrowed[:, right:]
    mask[labels == FaceLabel.NOSE] = 0
    return np.asarray(cv2.bitwise_or(mask, select_labels(labels, *LIPS)), dtype=np.uint8)


def mouth_mask(labels: UInt8Array) -> UInt8Array:
    """Return the lips and the jaw below: skin from under the nose to the chin, with room for a jaw that drops.

    To the sides it ends between the mouth and the cheeks, on a line that tilts with the eyes. A beard that is labelled
    hair belongs to it. Without lips it is the mask of `jaw_mask`.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.

    Returns:
        uint8 [512, 512]: 255 belongs to the mask, 0 does not.
    """
    place = find_mouth(labels)
    if place is None:
        return jaw_mask(labels)
    hair = (FaceLabel.HAIR,) if is_bearded(labels, place) else ()
    ground = select_labels(labels, FaceLabel.SKIN, *hair)
    grown = cv2.dilate(ground, np.ones((_JAW_DROP + 1, 1), np.uint8), anchor=(0, _JAW_DROP))
    mask = np.asarray(cv2.bitwise_and(grown, _window(labels, place)), dtype=np.uint8)
    mask[labels == FaceLabel.NOSE] = 0
    lips = select_labels(labels[place.top : place.bottom, place.left : place.right], *LIPS)
    points = np.asarray(cv2.findNonZero(lips), dtype=np.int32) + np.array([place.left, place.top], np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 255)  # with what stands open between the lips
    return mask


def find_mouth(labels: UInt8Array) -> MouthPlace | None:
    """Find the lips, and the nose's base above them, in uint8 [512, 512]; None where no lips are labelled."""
    lips = select_labels(labels, *LIPS)
    if np.count_nonzero(lips) < _LEAST_PIXELS:
        return None
    (top, bottom), (left, right) = _ends(lips, 1), _ends(lips, 0)
    nose = select_labels(labels[:bottom], FaceLabel.NOSE)
    if np.count_nonzero(nose) < _LEAST_PIXELS:
        return MouthPlace(left, right, top, bottom, max(0, round(top - _NOSE_OVER_LIPS * (right - left))))
    return MouthPlace(left, right, top, bottom, min(top, _ends(nose, 1)[1]))


def is_bearded(labels: UInt8Array, place: MouthPlace) -> bool:
    """Return whether labels, uint8 [512, 512], show hair for skin right below the lips, or between nose and lips."""
    quarter = (place.right - place.left) // 4
    columns = slice(place.left + quarter, max(place.left + quarter + 1, place.right - quarter))
    depth = max(3, round(_BEARD_ROWS * (place.right - place.left)))
    for rows in (slice(place.bottom + 1, place.bottom + 1 + depth), slice(place.base, place.top)):
        part = labels[rows, columns]
        if part.size and np.count_nonzero(part == FaceLabel.HAIR) > _BEARD_SHARE * part.size:
            return True
    return False


def select_labels(labels: UInt8Array, *wanted: FaceLabel) -> UInt8Array:
    """255 where a pixel has one of the wanted labels, else 0: uint8, of the shape of `labels`."""
    table = np.zeros(256, np.uint8)
    table[list(wanted)] = 255
    return np.asarray(cv2.LUT(labels, table), dtype=np.uint8).reshape(labels.shape)


def look_up(labels: UInt8Array, seen: BoxCropTransform, part: BoxCropTransform, rows: int, columns: int) -> UInt8Array:
    """Resample labels, or what was made of them, to another part of the frame: nearest neighbour.

    Args:
        labels: uint8 [512, 512].
        seen: The part of the frame that they cover.
        part: The part that the result covers.
        rows: Its height.
        columns: Its width.

    Returns:
        uint8 [rows, columns]; beyond the labels 0, which is background.
    """
    x = _places(part.x - seen.x, part.width / columns, columns, LABEL_SIDE / seen.width)
    y = _places(part.y - seen.y, part.height / rows, rows, LABEL_SIDE / seen.height)
    inside_x, inside_y = np.clip(x, 0, LABEL_SIDE - 1), np.clip(y, 0, LABEL_SIDE - 1)
    found = labels.take(inside_y, 0).take(inside_x, 1)
    found[y != inside_y] = 0
    found[:, x != inside_x] = 0
    return found


def _places(start: int, step: float, count: int, scale: float) -> Int64Array:
    found: Int64Array = np.floor((start + (np.arange(count) + 0.5) * step) * scale).astype(np.int64)
    return found


def _lowered(skin: UInt8Array) -> UInt8Array:
    """Skin grown by the jaw's structuring element."""
    reach = _CONE_REACH
    padded = cv2.copyMakeBorder(skin, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    grown = cv2.dilate(padded, _triangle(), anchor=(_TRIANGLE, 0), iterations=_TRIANGLES)
    grown = cv2.dilate(grown, np.ones((_STEM, 1), np.uint8))
    return np.ascontiguousarray(grown[reach:-reach, reach:-reach], dtype=np.uint8)


@lru_cache(maxsize=1)
def _triangle() -> UInt8Array:
    rows, columns = np.arange(_TRIANGLE + 1), np.arange(2 * _TRIANGLE + 1)
    return (np.abs(columns - _TRIANGLE) <= rows[:, None]).astype(np.uint8)


@lru_cache(maxsize=1)
def _cheek_kernel() -> UInt8Array:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, _CHEEK_SIZE), dtype=np.uint8)


def _window(labels: UInt8Array, place: MouthPlace) -> UInt8Array:
    """Return where the mask "mouth" may lie: half an ellipse above the lips' middle, and a deeper half below."""
    face = select_labels(labels[place.base : place.bottom], FaceLabel.SKIN, *LIPS)
    width = int(np.count_nonzero(face, axis=1).max())  # of the widest row: a beard or a hand hides others
    x, y = (place.left + place.right) // 2, (place.top + place.bottom) // 2
    across = round(max(_WINDOW_WIDTH * width, _WINDOW_LIPS * (place.right - place.left) / 2))
    up, down = max(1, y - place.base), max(1, round(_WINDOW_DOWN * width))
    window, tilt = np.zeros_like(labels), _tilt(labels)
    cv2.ellipse(window, (x, y), (across, down), tilt, 0, 180, 255, -1)
    cv2.ellipse(window, (x, y), (across, up), tilt, 180, 360, 255, -1)
    return window


def _tilt(labels: UInt8Array) -> float:
    """Return the angle of the line through both eyes, in degrees, positive clockwise on the screen.

    0 where one is hidden.
    """
    middles = []
    for eye in (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE):
        found = cv2.moments(select_labels(labels, eye), binaryImage=True)
        if found["m00"] < _LEAST_PIXELS:
            return 0.0
        middles.append((found["m10"] / found["m00"], found["m01"] / found["m00"]))
    (x0, y0), (x1, y1) = sorted(middles)
    return degrees(atan2(y1 - y0, x1 - x0))


def _ends(mask: UInt8Array, axis: int) -> tuple[int, int]:
    """First row (axis 1) or column (axis 0) of a mask that is no frayed end, and the one after the last."""
    x, y, width, height = cv2.boundingRect(mask)
    counts = np.count_nonzero(mask[y : y + height, x : x + width], axis=axis)
    found = np.flatnonzero(counts >= _ENDS * counts.max()) + (y if axis else x)
    return int(found[0]), int(found[-1]) + 1
