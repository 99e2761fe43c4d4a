"""Smoothing of masks over time, against the parser's flicker.

Every average is made of the frames around it alone, the same ones whatever was asked for before.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, exp

import cv2
import numpy as np

from musetalk.faces.smoothing import LEAST_SIGMA, sigma_of
from musetalk.utils.arrays import UInt8Array

_REACH = 2.5  # half width of the kernel, in standard deviations: what lies beyond has a hundredth of the weight
_MOST = 24  # frames on each side at most; wider Gaussians are cut off there


def time_weights(seconds: float, fps: Fraction | None) -> tuple[float, ...]:
    """Weights of frames by their distance: a Gaussian.

    Args:
        seconds: Its width (FWHM).
        fps: Of the source; None: nothing is smoothed.

    Returns:
        From distance 0 on; the first is 1.
    """
    sigma = 0.0 if fps is None else sigma_of(seconds, fps)
    if sigma < LEAST_SIGMA:
        return (1.0,)
    return tuple(exp(-((k / sigma) ** 2) / 2) for k in range(min(_MOST, ceil(_REACH * sigma)) + 1))


def weighted_mean(maps: Iterable[tuple[float, UInt8Array]]) -> UInt8Array | None:
    """Average maps.

    Args:
        maps: Weights, above 0, and uint8 [H, W]; always in the same order, for the same bytes.

    Returns:
        uint8 [H, W], rounded; None if there are no maps.
    """
    given = list(maps)
    if len(given) < 2:
        return given[0][1] if given else None
    mean, total = np.zeros(given[0][1].shape, np.float32), 0.0
    for weight, each in given:
        total += weight
        cv2.accumulateWeighted(each, mean, weight / total)
    return np.asarray(cv2.convertScaleAbs(mean), dtype=np.uint8)
