"""What the face stages exchange: boxes, mouths, and the detector's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from musetalk.arrays import UInt8Array


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face's bbox, half open, in pixels of the frame it was found in (floats: sub-pixel).

    It is the square that OpenCV's frontal Haar cascade draws around an upright face: the cheeks lie at 0.1 and 0.9 of
    its width, the line between the lips at 0.78 of its height, the chin at its bottom. Crops, masks, the search for the
    mouth and the tracker are tuned to it. It is off square by what the frame was shrunk more one way than the other.

    `score` is the detector's own confidence; only its order within one detector means anything.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle, in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class MouthShape:
    """Where the closed line of the mouth lies, in pixels of the frame.

    Attributes:
        cx, cy: Middle of the line between the lips.
        half_width: From the middle to a corner.
        angle: Of the line, in radians; positive turns clockwise on the screen (y points down).
    """

    cx: float
    cy: float
    half_width: float
    angle: float


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One face in one frame: what the rest of the pipeline needs to know of it."""

    track: int
    box: FaceBox
    mouth: MouthShape


class FaceDetector(Protocol):
    """Finds faces in frames. Every detector returns boxes of one convention, that of `FaceBox`."""

    @property
    def fingerprint(self) -> str:
        """Name and settings, as text: two detectors that could disagree never share one."""
        ...

    @property
    def max_side(self) -> int:
        """Longest side of the frames that it can make use of, in pixels; larger ones may be shrunk before.

        There always is one, for memory's sake: frames that wait for their search are held, and what a network takes
        grows with the frame's area, to gigabytes at 4K.
        """
        ...

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Find the faces of each frame.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.

        Returns:
            Per frame its faces as `FaceBox` describes them, in pixels of that frame, in any order; empty where there
            is none.
        """
        ...
