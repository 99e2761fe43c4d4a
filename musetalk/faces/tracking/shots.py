"""Shot detection in one pass: the share of the picture that motion cannot explain."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.utils.arrays import UInt8Array

_GRID = 24  # cells a frame is reduced to, across and down
_LEVEL = 12  # how far a cell has to leave the range of its old surroundings to count as new, of 255
_MEMORY = 0.7  # how much of the usual change is kept from frame to frame
_MOST_USUAL = 0.6  # what a change counts for at most, so that a cut does not hide the next one
_STANDS_OUT = 2.0  # how much more than the usual change a cut changes
_REACH = np.ones((3, 3), np.uint8)  # a cell may come from any of its neighbours: about 4 % of the frame


class ShotFinder:
    """Numbers the shots of a video from 0, one frame at a time.

    A cell of a tiny version of the frame is new where its color lies outside the range that the cell and its
    neighbours had in the frame before, or the other way round. Moving heads, pans and zooms move colors to a
    neighbour and change little; a cut changes most cells at once. During unrest (a whip pan, a flickering light) only
    what stands out from the unrest is a cut. Fades and dissolves are no cuts.

    Args:
        threshold: Share of new cells that makes a cut, 0 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._last: UInt8Array | None = None
        self._usual = 0.0
        self._shot = 0

    @property
    def usual(self) -> float:
        """How much pictures have changed lately: with that and the last frame, another finder can go on."""
        return self._usual

    def resume(self, frame: UInt8Array, shot: int, usual: float) -> None:
        """Go on behind a frame, uint8 RGB [H, W, 3], of a shot, where another finder had seen so much change."""
        self._last, self._shot, self._usual = _tiny(frame), shot, usual

    def next(self, frame: UInt8Array) -> int:
        """Return the shot that the next frame (uint8 RGB [H, W, 3], of any size) belongs to."""
        tiny = _tiny(frame)
        if self._last is not None:
            change = frame_change(self._last, tiny)
            if change >= max(self._threshold, _STANDS_OUT * self._usual):
                self._shot += 1
            self._usual = _MEMORY * self._usual + (1 - _MEMORY) * min(change, _MOST_USUAL)
        self._last = tiny
        return self._shot


def _tiny(frame: UInt8Array) -> UInt8Array:
    """Average a frame to the grid; by halves first, which takes a quarter of the time where they come out even."""
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0 and min(height, width) >= 4 * _GRID:
        return _tiny(np.asarray(cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8))
    return np.asarray(cv2.resize(frame, (_GRID, _GRID), interpolation=cv2.INTER_AREA), np.uint8)


def frame_change(before: UInt8Array, after: UInt8Array) -> float:
    """Share of cells that motion to a neighbouring cell cannot explain, 0 to 1.

    Args:
        before: uint8 [h, w, 3].
        after: uint8 [h, w, 3], of the same size.
    """
    beyond = np.maximum(_beyond_range(before, after), _beyond_range(after, before))
    return float((beyond.max(axis=2) > _LEVEL).mean())


def _beyond_range(reference: UInt8Array, values: UInt8Array) -> UInt8Array:
    """Return how far each value lies outside the range of the reference around it: uint8 [h, w, 3]."""
    above = cv2.subtract(values, cv2.dilate(reference, _REACH))
    below = cv2.subtract(cv2.erode(reference, _REACH), values)
    return np.maximum(above, below)
