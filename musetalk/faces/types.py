"""What the face stages exchange: boxes, mouths, and the detector's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from musetalk.arrays import UInt8Array


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face's bbox, half open, in pixels of the frame it was found in (floats: sub-pixel).

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
    """Finds faces in frames."""

    @property
    def fingerprint(self) -> str:
        """Name and settings, as text: two detectors that could disagree never share one."""
        ...

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Find the faces of each frame.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.

        Returns:
            Per frame its faces, in pixels of that frame, in any order; empty where there is none.
        """
        ...
