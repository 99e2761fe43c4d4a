"""LatentSync's crops: faces aligned upright, and the part of the crop that is pasted back."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.crop import FEATHER, AlignedCropTransform, pasted_mask, place_aligned
from hybrid.landmarks import FacePoints, assumed_points, points_from_labels, points_of_landmarks, smooth_points
from hybrid.mask import SIDE, visible_mask
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform, Scaling
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float32Array, Float64Array, UInt8Array


class FaceAligner:
    """An `Aligner` by two brows and the nose, in this order."""

    def measure(self, labels: UInt8Array, seen: BoxCropTransform) -> Float64Array | None:
        """Find brows and nose in a face's labels: float64 [3, 2], or None."""
        found = points_from_labels(labels, seen)
        return None if found is None else found.array()

    def of_landmarks(self, landmarks: Float64Array) -> Float64Array:
        """Return the points in 68 landmarks: float64 [3, 2]."""
        return points_of_landmarks(landmarks).array()

    def steady(
        self, measured: Sequence[Float64Array | None], boxes: Sequence[FaceBox], sigma: float
    ) -> list[Float64Array]:
        """Smooth the points of one face over consecutive frames (see `smooth_points`)."""
        found = [None if points is None else FacePoints.of(points) for points in measured]
        return [points.array() for points in smooth_points(found, boxes, sigma=sigma)]

    def assume(self, box: FaceBox) -> Float64Array:
        """Return the points of a typical upright face: float64 [3, 2]."""
        return assumed_points(box).array()

    def place(self, points: Sequence[Float64Array], size: int | None, back: Scaling = "fine") -> list[CropTransform]:
        """Place the crops of one clip (see `place_aligned`)."""
        return [*place_aligned([FacePoints.of(each) for each in points], size or SIDE, scaling=back)]


def shown(size: int) -> Float32Array:
    """Return how strongly what LatentSync painted shows, over crops of a size: float32 [size, size].

    Kept pixels are 0.
    """
    return visible_mask(size, FEATHER)


def pasted(crop: CropTransform) -> tuple[int, int, Float32Array]:
    """Return how strongly a crop shows as upstream turns it back: all of it but a soft rim (see `pasted_mask`).

    Raises:
        TypeError: It is no crop of LatentSync's framing.
    """
    if not isinstance(crop, AlignedCropTransform):
        raise TypeError(f"only aligned crops are turned back as a whole, not a {type(crop).__name__}")
    mask = pasted_mask(crop)
    return mask.x, mask.y, mask.alpha
