"""What the detectors run by OpenCV share: name, size of the frames they see, and downscaling to it."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array


class LightDetector:
    """The head of a detector: what it is called, and what of its settings counts.

    Args:
        settings: How large frames and faces are looked for.
        name: Of the detector, with a revision that is raised with every change that moves boxes: saved plans are keyed
            by it.
        side: Pixels of the longer side of the frames that are searched, unless settings say otherwise.
        weights: What tells its weights from others; empty: it has none.
    """

    def __init__(self, settings: DetectorSettings, name: str, side: int, weights: str = "") -> None:
        self._min_face = settings.min_face
        self._name, self._weights = name, weights
        self._side = settings.max_side or side
        self._lock = threading.Lock()  # OpenCV's networks and cascades keep scratch space of their own

    @property
    def fingerprint(self) -> str:
        """Name, revision, settings and weights."""
        weights = f" weights={self._weights}" if self._weights else ""
        return f"{self._name} max_side={self._side} min_face={self._min_face:g}{weights}"

    @property
    def max_side(self) -> int:
        """Longer side of the frames it makes use of, in pixels; it shrinks larger ones itself."""
        return self._side

    def _least(self, frame: UInt8Array, smallest: float = 0.0) -> float:
        """Side of the smallest face that is looked for in a frame, in its pixels."""
        return max(smallest, self._min_face * float(min(frame.shape[:2])))


def shrunk(frame: UInt8Array, longest: int) -> tuple[UInt8Array, tuple[float, float]]:
    """Return a frame, at most so many pixels long, and its size as fractions (across, down) of what it was.

    Args:
        frame: uint8 [H, W] or [H, W, 3].
        longest: Pixels that its longer side may have.
    """
    height, width = frame.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return frame, (1.0, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, (size[0] / width, size[1] / height)
