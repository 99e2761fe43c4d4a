"""What is measured of one video's lower face, frame after frame; the last two cutouts are all that is kept of it."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.metrics.mouth_opening import measure_opening
from musetalk.metrics.mouth_region import COLUMNS, MOUTH, ROWS, MeasuredPlace
from musetalk.utils.arrays import Float32Array, Int64Array, UInt8Array

_LEAST_CHANGE = 0.01  # grey levels: a change at borders is not divided by 0 where all stands still inside clips


class FaceCurves:
    """Takes a video's frames in order. Each curve is float32 [frames], NaN where nothing was measured.

    Args:
        frames: How many there will be.

    Attributes:
        sharpness: Variance of the Laplacian in the mouth region, in squared grey levels.
        jitter: Mean absolute second difference in time in the mouth region, in grey levels.
        jitter_around: The same around the mouth.
        change: Mean absolute difference of the mouth region to the frame before, in grey levels.
        opening: How far the mouth stands open, as a fraction of its width.
    """

    def __init__(self, frames: int) -> None:
        self.sharpness, self.jitter, self.jitter_around, self.change, self.opening = (
            np.full(frames, np.nan, np.float32) for _ in range(5)
        )
        self._before: list[Float32Array] = []

    def add(self, frame: int, picture: UInt8Array, place: MeasuredPlace, joined: int) -> None:
        """Measure one frame.

        Args:
            frame: Its number.
            picture: uint8 RGB [H, W, 3].
            place: Where.
            joined: How many frames right before it show the same face in the same motion, as far as 2.
        """
        cutout = place.cut_out(picture)
        self._before = self._before[-joined:] if joined else []
        self.sharpness[frame] = sharpness(cutout)
        self.opening[frame] = measure_opening(picture, place.mouth)
        if joined:
            self.change[frame] = np.abs(cutout[MOUTH] - self._before[-1][MOUTH]).mean()
        if joined == 2:
            self.jitter[frame - 1], self.jitter_around[frame - 1] = jitter(self._before[0], self._before[1], cutout)
        self._before.append(cutout)


def sharpness(cutout: Float32Array) -> float:
    """Measure how sharp the mouth region is: the variance of its Laplacian.

    The focus measure of Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study"
    (ICPR 2000). Noise counts as detail, so it is to be read beside the jitter.

    Args:
        cutout: float32 [ROWS, COLUMNS], grey levels.

    Returns:
        In squared grey levels.
    """
    return float(np.var(cv2.Laplacian(cutout, cv2.CV_32F)[MOUTH]))


def jitter(before: Float32Array, middle: Float32Array, after: Float32Array) -> tuple[float, float]:
    """Measure how unsteadily a face changes over three frames: |f(t-1) - 2 f(t) + f(t+1)|, 0 for steady change.

    Args:
        before: float32 [ROWS, COLUMNS], grey levels.
        middle: The same a frame later.
        after: The same two frames later.

    Returns:
        The mean in the mouth region, and around it, in grey levels.
    """
    unsteady = np.abs(before - 2 * middle + after)
    mouth = float(unsteady[MOUTH].sum(dtype=np.float64))
    inside = unsteady[MOUTH].size
    around = float(unsteady.sum(dtype=np.float64)) - mouth
    return mouth / inside, max(0.0, around) / (ROWS * COLUMNS - inside)


def border_jump(change: Float32Array, track: Int64Array, borders: Int64Array) -> float | None:
    """Compare the change from frame to frame where clips meet with that inside them, within each track.

    Args:
        change: float32 [frames], NaN where there is none.
        track: int64 [frames], whose face; a track lies in one shot.
        borders: Frames whose change crosses from clip to clip.

    Returns:
        The ratio of the means: 1 where borders do not show; None where there is no border or nothing beside it.
    """
    at_border = np.zeros(len(change), bool)
    at_border[borders] = True
    measured = ~np.isnan(change)
    jumps, usual = list[float](), list[float]()
    for number in np.unique(track[measured & at_border]):
        own = measured & (track == number)
        there, beside = change[own & at_border], change[own & ~at_border]
        if len(beside):
            jumps += there.tolist()
            usual += [float(beside.mean())] * len(there)
    if not jumps or not any(jumps + usual):
        return None
    return float(np.mean(jumps)) / max(float(np.mean(usual)), _LEAST_CHANGE)
