"""The lower face as it is measured: cut out at one size and steady in place, whatever the source's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceSample, MouthShape
from musetalk.metrics.mouth_opening import MOUTH_REACH
from musetalk.utils.arrays import Float32Array, UInt8Array

# The cutout: so many pixels to a face's width, the middle of the mouth in the same place in each. It reaches from
# under the eyes to below the chin, and the mouth region in it from the nose to the chin (see `FaceBox`).
_PIXELS_PER_FACE = 200
ROWS, COLUMNS = 120, 160
_MIDDLE_Y, _MIDDLE_X = 52.0, 80.0
_REACH = math.hypot(_MIDDLE_X, ROWS - _MIDDLE_Y)  # from the middle of the mouth to the furthest corner
MOUTH = (slice(24, 96), slice(32, 128))
_AVERAGED_FROM = 1.5  # source pixels per pixel of the cutout; sampling single ones would miss what lies between


@dataclass(frozen=True, slots=True)
class MeasuredPlace:
    """Where one face is measured in one frame.

    Attributes:
        track: Whose face.
        mouth: Its mouth, in pixels of the frame, as wide as it is on average over the track.
        scale: Pixels of the frame per pixel of the cutout.
    """

    track: int
    mouth: MouthShape
    scale: float

    def cut_out(self, picture: UInt8Array) -> Float32Array:
        """Cut the lower face out of a frame, turned upright; beyond the frame's edges, the edge repeats.

        Args:
            picture: uint8 RGB [H, W, 3].

        Returns:
            Its luma (ITU-R BT.601) in grey levels: float32 [ROWS, COLUMNS], 0 to 255.
        """
        left, top, right, bottom = self._around((picture.shape[1], picture.shape[0]), _REACH * self.scale)
        part = picture[top:bottom, left:right]
        scale, x, y = self.scale, self.mouth.cx - left, self.mouth.cy - top
        if scale > _AVERAGED_FROM:
            size = (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale)))
            x, y = x * size[0] / part.shape[1], y * size[1] / part.shape[0]
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            scale = 1.0
        luma = cv2.cvtColor(part.astype(np.float32), cv2.COLOR_RGB2GRAY)
        cos, sin = math.cos(self.mouth.angle) * scale, math.sin(self.mouth.angle) * scale
        # The middle of the first pixel lies at 0.5, and at index 0.
        matrix = np.array(
            [
                [cos, -sin, x - 0.5 - cos * (_MIDDLE_X - 0.5) + sin * (_MIDDLE_Y - 0.5)],
                [sin, cos, y - 0.5 - sin * (_MIDDLE_X - 0.5) - cos * (_MIDDLE_Y - 0.5)],
            ]
        )
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(luma, matrix, (COLUMNS, ROWS), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut, np.float32)

    def surroundings(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return all that is looked at of a frame of a size (width, height): x0, y0, x1, y1, half open."""
        return self._around(size, max(_REACH * self.scale, MOUTH_REACH * self.mouth.half_width))

    def moved(self, dx: int, dy: int) -> MeasuredPlace:
        """Return the same place in a frame whose pixels lie so much further right and down."""
        return replace(self, mouth=replace(self.mouth, cx=self.mouth.cx + dx, cy=self.mouth.cy + dy))

    def _around(self, size: tuple[int, int], reach: float) -> tuple[int, int, int, int]:
        """Return the part of a frame that is no further from the mouth than so many pixels, and a few more."""
        width, height = size
        room = math.ceil(reach) + 2
        x, y = math.floor(self.mouth.cx), math.floor(self.mouth.cy)
        x0, y0 = min(max(0, x - room), width - 1), min(max(0, y - room), height - 1)
        x1, y1 = max(x0 + 1, min(width, x + room + 1)), max(y0 + 1, min(height, y + room + 1))
        return x0, y0, x1, y1


class MeasuredPlaces:
    """Where the faces of a plan are measured: each at one size over its whole track, so that its frames compare.

    Args:
        plan: The faces that are painted.
    """

    def __init__(self, plan: FacePlan) -> None:
        self._plan = plan
        widths, halves = plan.boxes[:, 2] - plan.boxes[:, 0], plan.mouths[:, 2]
        self._sizes = {
            int(track): (float(np.median(widths[rows])), float(np.median(halves[rows])))
            for track in np.unique(plan.track)
            for rows in [plan.track == track]
        }

    def place(self, source: int) -> MeasuredPlace | None:
        """Return where the first face of a source frame is measured; None where there is none."""
        face: FaceSample | None = next(iter(self._plan.faces(source)), None)
        if face is None:
            return None
        width, half_width = self._sizes[face.track]
        return MeasuredPlace(face.track, replace(face.mouth, half_width=half_width), width / _PIXELS_PER_FACE)
