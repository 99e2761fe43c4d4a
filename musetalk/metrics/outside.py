"""What changed of a frame where no mask lets a painted face show."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from musetalk.compositing.masks import FaceMask
from musetalk.media.frames import Frame
from musetalk.utils.arrays import BoolArray, UInt8Array


def difference_outside(picture: Frame, source: Frame, masks: Sequence[FaceMask]) -> tuple[int, int]:
    """Compare a frame with its source outside its masks, sample by sample, as both are stored.

    A sample of chroma that several pixels share is outside where all of them are.

    Args:
        picture: With its painted faces.
        source: As it was decoded, in the same layout.
        masks: Of every face painted in it.

    Returns:
        The greatest difference, in levels of 255, and how many pixels differ.
    """
    shown = _shown(picture.size, masks)
    greatest, differs = 0.0, np.zeros(shown.shape, np.bool_)
    for plane, before in zip(picture.planes, source.planes, strict=True):
        covered = _any_of(shown, (plane.shape[0], plane.shape[1]))
        difference = np.asarray(cv2.absdiff(plane, before))
        difference[covered > 0] = 0
        if difference.any():
            greatest = max(greatest, float(difference.max()) / (1 << (picture.layout.bits - 8)))
            differs |= _spread(np.asarray(difference.reshape(*covered.shape, -1).any(axis=2)), shown.shape)
    return int(np.ceil(greatest)), int(np.count_nonzero(differs))


def _shown(size: tuple[int, int], masks: Sequence[FaceMask]) -> UInt8Array:
    """Return where any mask shows: uint8 [H, W], 0 or 255."""
    shown = np.zeros((size[1], size[0]), np.uint8)
    for mask in masks:
        x0, y0 = max(0, mask.x), max(0, mask.y)
        alpha = mask.alpha[y0 - mask.y :, x0 - mask.x :]
        part = shown[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
        part[alpha[: part.shape[0], : part.shape[1]] > 0] = 255
    return shown


def _any_of(shown: UInt8Array, shape: tuple[int, int]) -> UInt8Array:
    """Return for each sample of a plane whether any of its pixels is shown."""
    if shown.shape == shape:
        return shown
    down, across = (-(-pixels // samples) for pixels, samples in zip(shown.shape, shape, strict=True))
    padded = np.pad(shown, [(0, shape[0] * down - shown.shape[0]), (0, shape[1] * across - shown.shape[1])])
    return np.asarray(padded.reshape(shape[0], down, shape[1], across).max(axis=(1, 3)), np.uint8)


def _spread(samples: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """Return for each pixel what is so of its sample."""
    down, across = (-(-pixels // count) for pixels, count in zip(shape, samples.shape, strict=True))
    return np.repeat(np.repeat(samples, down, axis=0), across, axis=1)[: shape[0], : shape[1]]
