"""Zero-phase smoothing in time: a robust line fitted around every frame."""

from __future__ import annotations

from fractions import Fraction
from math import log, sqrt

import numpy as np

from musetalk.utils.arrays import Float64Array

_REACH = 4.0  # half width of the kernel, in standard deviations
LEAST_SIGMA = 0.25  # frames; a narrower kernel sees one frame only
_WIDTH_TO_SIGMA = 2 * sqrt(2 * log(2))  # full width of a Gaussian at half its height, in standard deviations
_NEIGHBOURS = 2  # frames on each side that tell an outlier: one bad frame, or two in a row, are outvoted
_OUTLIER = (0.06, 0.12)  # fractions of the face size from which a row is doubted, and not believed at all
_UNUSUAL = (3.0, 6.0)  # and multiples of the usual deviation, for a camera that shakes is no row of outliers
_COMMON = 0.75  # share of those frames that deviate less than what is called usual
_CONTEXT = 6  # frames on each side that tell what is usual
_QUICK = 1 / 4  # width of the kernel that quick motion is smoothed with, as a part of the full one


def sigma_of(seconds: float, fps: Fraction) -> float:
    """Standard deviation, in frames, of a Gaussian with a width (FWHM) of so many seconds."""
    return seconds * float(fps) / _WIDTH_TO_SIGMA


def smooth(
    values: Float64Array, weights: Float64Array, sizes: Float64Array, sigma: float, noise: float
) -> Float64Array:
    """Smooth columns in time by local linear regression with Gaussian weights, robust to outliers.

    Symmetric in time, hence without lag; constants and linear motion come out unchanged up to both ends (local
    regression as in Cleveland, "Robust Locally Weighted Regression and Smoothing Scatterplots", 1979, with a Gaussian
    for the tricube). Where the wide kernel disagrees with a narrow one by more than noise can explain, the motion is
    real, and the narrow one is followed, so that nods and shaking cameras are not smoothed away.

    Args:
        values: float64 [n, k], one row per frame.
        weights: float64 [n], how much each frame is to be trusted; above 0.
        sizes: float64 [n], what deviations are measured against, in the unit of `values`; above 0.
        sigma: Standard deviation of the wide Gaussian, in frames; next to 0 returns `values`.
        noise: Disagreement of the two kernels at which each counts half, as a fraction of `sizes`.

    Returns:
        float64 [n, k].
    """
    if sigma < LEAST_SIGMA or len(values) < 2:
        return values
    origin: Float64Array = values[:1]
    moved = _without_outliers(values - origin, sizes)  # a constant becomes zeros, and stays exact
    calm = _fit_lines(moved, weights, sigma)
    quick = _fit_lines(moved, weights, sigma * _QUICK)
    unrest = np.maximum(_fit_levels(((quick - calm) / sizes[:, None]) ** 2, sigma), 0)
    share = unrest / (unrest + noise**2)
    return origin + calm + share * (quick - calm)


def _without_outliers(values: Float64Array, sizes: Float64Array) -> Float64Array:
    """Put rows that stand out from the rows around them where those lead to expect them: float64 [n, k]."""
    if len(values) < 3:
        return values
    expected = running_rank(values, 2 * _NEIGHBOURS + 1)
    deviation = np.abs(values - expected).max(axis=1) / sizes
    around = np.pad(deviation[1:-1, None], ((_CONTEXT + 1, _CONTEXT + 1), (0, 0)), mode="symmetric")
    usual = running_rank(around, 2 * _CONTEXT + 1, _COMMON)[_CONTEXT:-_CONTEXT, 0]
    cleaned = _pulled(values, expected, deviation, usual)
    cleaned[0], cleaned[-1] = _end(cleaned, sizes), _end(cleaned[::-1], sizes[::-1])
    return cleaned


def _end(values: Float64Array, sizes: Float64Array) -> Float64Array:
    """The first row, judged by the line through the next two, and by how well such lines do further on: float64 [k]."""
    bends = np.diff(values[: 2 * _CONTEXT + 2], n=2, axis=0)  # a line through two rows errs by the bend
    errors = np.abs(bends).max(axis=1) / sizes[0]
    usual = np.quantile(errors[1:], _COMMON) if len(errors) > 1 else 0.0
    return _pulled(values[:1], values[:1] - bends[:1], errors[:1], np.array([usual])).reshape(-1)


def _pulled(values: Float64Array, expected: Float64Array, deviation: Float64Array, usual: Float64Array) -> Float64Array:
    """Pull each row to what was expected, not at all to wholly as it deviates more than usual: float64 [n, k]."""
    low, high = (np.maximum(limit, factor * usual) for limit, factor in zip(_OUTLIER, _UNUSUAL, strict=True))
    pull = np.clip((deviation - low) / (high - low), 0, 1)[:, None]
    return np.asarray(values + pull * (expected - values), dtype=np.float64)


def running_rank(values: Float64Array, width: int, share: float = 0.5) -> Float64Array:
    """Of each column, the value that a share of the rows around do not exceed: by default the running median.

    Args:
        values: float64 [n, k].
        width: Rows in a window, an odd number; the window narrows symmetrically at the ends.
        share: 0 to 1.

    Returns:
        float64 [n, k]; the first and last row are those of `values`.
    """
    count = len(values)
    half = min(width // 2, (count - 1) // 2)
    result = values.copy()
    if half > 0:
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1, axis=0)
        result[half : count - half] = _ranked(windows, share)
    for near in range(1, half):
        for row in (near, count - 1 - near):
            result[row] = _ranked(values[row - near : row + near + 1].T, share)
    return result


def _ranked(values: Float64Array, share: float) -> Float64Array:
    """Pick along the last axis by rank."""
    rank = round(share * (values.shape[-1] - 1))
    return np.asarray(np.partition(values, rank, axis=-1)[..., rank], dtype=np.float64)


def _fit_levels(values: Float64Array, sigma: float) -> Float64Array:
    """Gaussian mean of each column around every frame: float64 [n, k]."""
    bell = _bell(sigma)
    total = _correlate(np.ones(len(values)), bell)
    return np.stack([_correlate(column, bell) / total for column in values.T], axis=1)


def _bell(sigma: float) -> Float64Array:
    reach = max(1, int(np.ceil(_REACH * sigma)))
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    return np.asarray(np.exp(-0.5 * (offsets / sigma) ** 2), dtype=np.float64)


def _fit_lines(values: Float64Array, weights: Float64Array, sigma: float) -> Float64Array:
    """Evaluate, at every frame, the weighted line around it: float64 [n, k]."""
    bell = _bell(sigma)
    offsets = np.arange(len(bell), dtype=np.float64) - len(bell) // 2
    s0, s1, s2 = (_correlate(weights, bell * offsets**power) for power in range(3))
    spread = s0 * s2 - s1**2
    columns = []
    for column in values.T:
        t0, t1 = (_correlate(weights * column, bell * offsets**power) for power in range(2))
        level = t0 / s0
        line = (s2 * t0 - s1 * t1) / np.where(spread > 0, spread, 1)
        columns.append(np.where(spread > 1e-9 * s0**2, line, level))
    return np.stack(columns, axis=1)


def _correlate(series: Float64Array, kernel: Float64Array) -> Float64Array:
    """Sum of kernel[d] * series[t + d] for each t, nothing beyond the ends: float64 [n]."""
    reach = len(kernel) // 2
    full: Float64Array = np.convolve(series, kernel[::-1])
    return full[reach : reach + len(series)]
