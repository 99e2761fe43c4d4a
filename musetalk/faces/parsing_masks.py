"""What face parsing's labels mean, and the masks that MuseTalk makes of them."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import cv2
import numpy as np

from musetalk.arrays import UInt8Array

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


_LIPS = (FaceLabel.MOUTH, FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)
_MIDDLE = LABEL_SIDE // 2
_CONE = (33, 10)  # side of the jaw's structuring element, and half the width of its stem
_CHEEK_SIZE = (35, 3)  # (width, height) of the cheeks' structuring element: it eats into skin from the sides
_CHEEK_TIMES = 2


def raw_mask(labels: UInt8Array) -> UInt8Array:
    """Skin, mouth and lips, as MuseTalk v1 blends.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.

    Returns:
        uint8 [512, 512]: 255 belongs to the mask, 0 does not.
    """
    return _select(labels, FaceLabel.SKIN, *_LIPS)


def neck_mask(labels: UInt8Array) -> UInt8Array:
    """Skin, mouth, lips and neck; arguments and result as of `raw_mask`."""
    return _select(labels, FaceLabel.SKIN, FaceLabel.NECK, *_LIPS)


def jaw_mask(labels: UInt8Array, *, left_cheek: int = 90, right_cheek: int = 90) -> UInt8Array:
    """Skin with room for a jaw that drops, narrower at the cheeks, without the nose: as MuseTalk v1.5 blends.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        left_cheek: Columns to the left of the middle that stay as wide as they are.
        right_cheek: The same to the right. MuseTalk's v1.5 scripts ask for 90 each.

    Returns:
        uint8 [512, 512]: 255 belongs to the mask, 0 does not.
    """
    lowered = cv2.dilate(_select(labels, FaceLabel.SKIN), _cone())
    narrowed = cv2.erode(lowered, _cheek_kernel(), iterations=_CHEEK_TIMES)
    mask = np.asarray(lowered, dtype=np.uint8)
    left, right = max(0, _MIDDLE - left_cheek + 1), max(0, _MIDDLE + right_cheek)  # columns before and from there on
    mask[:, :left] = narrowed[:, :left]
    mask[:, right:] = narrowed[:, right:]
    mask[labels == FaceLabel.NOSE] = 0
    mask[np.isin(labels, _LIPS)] = 255
    return mask


def _select(labels: UInt8Array, *wanted: FaceLabel) -> UInt8Array:
    """255 where a pixel has one of the wanted labels."""
    table = np.zeros(256, np.uint8)
    table[list(wanted)] = 255
    return table[labels]


@lru_cache(maxsize=1)
def _cone() -> UInt8Array:
    """The jaw's structuring element: it lets skin grow down into a point, and sideways below that."""
    side, stem = _CONE
    half = np.minimum(np.arange(side) - stem, stem)  # half the width of each row; negative: nothing
    return (np.abs(np.arange(side) - side // 2) <= half[:, None]).astype(np.uint8)


@lru_cache(maxsize=1)
def _cheek_kernel() -> UInt8Array:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, _CHEEK_SIZE), dtype=np.uint8)
