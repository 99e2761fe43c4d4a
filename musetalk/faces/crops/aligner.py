"""Interface for generators that take aligned faces: from labels to points, and from points to crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from musetalk.faces.crops.crop import BoxCropTransform, CropTransform, Scaling
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array, UInt8Array


class Aligner(Protocol):
    """Places crops by points of a face: always the same points, in the same order, as (x, y) in pixels of the frame."""

    def measure(self, labels: UInt8Array, seen: BoxCropTransform) -> Float64Array | None:
        """Find the points in labels, uint8 [512, 512], of a part of the frame: float64 [k, 2]; None: not told."""
        ...

    def of_landmarks(self, landmarks: Float64Array) -> Float64Array:
        """Return the points in 68 landmarks, float64 [68, 2] in pixels of the frame: float64 [k, 2]."""
        ...

    def steady(
        self, measured: Sequence[Float64Array | None], boxes: Sequence[FaceBox], sigma: float
    ) -> list[Float64Array]:
        """Smooth the points of one face over consecutive frames, and fill in where they were not measured.

        Args:
            measured: Frame by frame.
            boxes: The face's, frame by frame.
            sigma: Of the smoothing in time, in frames.
        """
        ...

    def assume(self, box: FaceBox) -> Float64Array:
        """Return the points of a typical upright face in its box, for where no labels tell better: float64 [k, 2]."""
        ...

    def place(self, points: Sequence[Float64Array], size: int | None, back: Scaling = "fine") -> list[CropTransform]:
        """Place the crops of one clip, frame by frame, each seen as a square.

        Args:
            points: Of the face, frame by frame.
            size: Side of the square in pixels; None: of its own.
            back: How what was painted is scaled on its way back.
        """
        ...
