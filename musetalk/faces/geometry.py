"""Where a face's crop lies in its frame, and the way there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.arrays import UInt8Array
from musetalk.faces.types import FaceBox, FaceSample, MouthShape

# A Haar bbox ends near the chin; the crop has room for a jaw that drops, and cheeks around it.
CROP_MARGIN = 1.5
CROP_DROP = 0.12  # how far the crop's middle lies below the bbox's, as a fraction of the bbox height


@dataclass(frozen=True, slots=True)
class CropPlacement:
    """A square of the frame, in whole pixels; it may reach beyond the frame's edges.

    Attributes:
        x, y: Its upper left corner in the frame.
        side: Its side in the frame.
        size: Its side as the generator sees it.
    """

    x: int
    y: int
    side: int
    size: int

    def extract(self, frame: UInt8Array) -> UInt8Array:
        """Cut the crop out of a frame: uint8 RGB [size, size, 3]; beyond the edges, the edge repeats."""
        height, width = frame.shape[:2]
        if self.x >= 0 and self.y >= 0 and self.x + self.side <= width and self.y + self.side <= height:
            inside = frame[self.y : self.y + self.side, self.x : self.x + self.side]
        else:
            rows = np.clip(np.arange(self.y, self.y + self.side), 0, height - 1)
            columns = np.clip(np.arange(self.x, self.x + self.side), 0, width - 1)
            inside = frame[rows[:, None], columns]
        return resize_square(inside, self.size)

    def to_crop(self, sample: FaceSample) -> FaceSample:
        """The same face in pixels of the crop."""
        scale = self.size / self.side
        box, mouth = sample.box, sample.mouth
        return FaceSample(
            sample.track,
            FaceBox(
                (box.x0 - self.x) * scale,
                (box.y0 - self.y) * scale,
                (box.x1 - self.x) * scale,
                (box.y1 - self.y) * scale,
                box.score,
            ),
            MouthShape((mouth.cx - self.x) * scale, (mouth.cy - self.y) * scale, mouth.half_width * scale, mouth.angle),
        )


def resize_square(crop: UInt8Array, size: int) -> UInt8Array:
    """Scale a square uint8 RGB picture to [size, size, 3]: average when shrinking, Lanczos when growing."""
    if crop.shape[0] == size:
        return crop
    how = cv2.INTER_AREA if crop.shape[0] > size else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(crop, (size, size), interpolation=how), dtype=np.uint8)


def place_crops(samples: Sequence[FaceSample], crop_size: int | None) -> list[CropPlacement]:
    """Place the crops of one clip.

    Args:
        samples: The clip's face, frame by frame.
        crop_size: As the generator asks; None: every crop has the side of the largest, so that none is resampled.
    """
    sides = [round(CROP_MARGIN * max(sample.box.width, sample.box.height)) for sample in samples]
    if crop_size is None:
        sides = [max(sides)] * len(sides)
    return [_place(sample.box, side, crop_size or side) for sample, side in zip(samples, sides, strict=True)]


def _place(box: FaceBox, side: int, size: int) -> CropPlacement:
    cx, cy = box.center
    return CropPlacement(round(cx - side / 2), round(cy + CROP_DROP * box.height - side / 2), side, size)
