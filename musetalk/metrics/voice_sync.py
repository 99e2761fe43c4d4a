"""Correlation of mouth opening and voice."""

from __future__ import annotations

import numpy as np

from musetalk.utils.arrays import Float32Array, Int64Array

FEWEST_FRAMES = 12
LARGEST_LAG = 3  # frames
# Standard deviations under which nothing is said or nothing moves: of an openness from 0 to 1, and of an opening as a
# fraction of the mouth's width (a tenth of a pixel in a mouth 50 pixels wide).
_SILENT, _STILL = 0.01, 0.002


def voice_correlation(voice: Float32Array, opening: Float32Array, track: Int64Array) -> tuple[float, int] | None:
    """Correlate how far a mouth stands open with how loud its voice is.

    Both are taken as deviations from their means over each track: faces differ in how open they look at rest.

    Args:
        voice: float32 [frames], openness of the voice, 0 to 1.
        opening: float32 [frames], NaN where no mouth was measured.
        track: int64 [frames], whose mouth.

    Returns:
        Pearson's coefficient at the best lag within `LARGEST_LAG` frames, and that lag: positive where the mouth
        follows the voice. None for fewer than `FEWEST_FRAMES` frames, a voice or a mouth that does not change.
    """
    found = list[tuple[float, int]]()
    for lag in sorted(range(-LARGEST_LAG, LARGEST_LAG + 1), key=abs):
        frames = np.flatnonzero(~np.isnan(opening))
        frames = frames[(frames >= lag) & (frames < len(voice) + lag)]
        value = _correlation(voice[frames - lag], opening[frames], track[frames])
        if value is not None:
            found.append((value, lag))
    return max(found, key=lambda each: each[0], default=None)  # of equals the first: the smallest lag


def _correlation(voice: Float32Array, opening: Float32Array, track: Int64Array) -> float | None:
    if len(voice) < FEWEST_FRAMES:
        return None
    said, shown = _deviations(voice, track), _deviations(opening, track)
    if said.std() < _SILENT or shown.std() < _STILL:
        return None
    return float(np.clip((said * shown).mean() / (said.std() * shown.std()), -1, 1))


def _deviations(values: Float32Array, track: Int64Array) -> Float32Array:
    _, group = np.unique(track, return_inverse=True)
    means = np.bincount(group, values) / np.bincount(group)
    return np.asarray(values - means[group], np.float32)
