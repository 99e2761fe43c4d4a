"""A whole render's crops and masks, drawn frame by frame for the videos that are written beside it."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.inspection.contact_sheet import letterboxed
from musetalk.inspection.panels import mask_picture
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.types import Source
from musetalk.pipeline.cropping import crop_from
from musetalk.pipeline.generate import FaceSteps
from musetalk.pipeline.render import OutputFrame
from musetalk.utils.arrays import UInt8Array

_SIDE = 256  # pixels of a panel
_MOST_FACES = 4  # in one frame; more are left out
_LONGEST = 960  # pixels of the masks' video


class DebugPictures:
    """Draws the frames of `NAME-crops.mp4` and `NAME-masks.mp4`.

    In the first each row is a face: the crop that its painter saw, what that made of it, what an enhancer made of that,
    and where it shows; a frame without a painted face is empty. In the second there are the masks, in grey, where they
    lie in the frame.

    Args:
        source: That is rendered.
        faces: Most faces in a frame.
    """

    def __init__(self, source: Source, faces: int) -> None:
        self._rows = min(max(1, faces), _MOST_FACES)
        scale = min(1.0, _LONGEST / max(source.width, source.height))
        self._size = (round(source.width * scale), round(source.height * scale))
        self._source = source

    @property
    def crops_layout(self) -> FrameLayout:
        """Of the frames that show crops."""
        return FrameLayout(4 * _SIDE, self._rows * _SIDE)

    @property
    def masks_layout(self) -> FrameLayout:
        """Of the frames that show masks."""
        return FrameLayout(*self._size)

    def crops(self, frame: OutputFrame) -> Frame:
        """Show the crops of a frame of the render; it has to have its source."""
        source = frame.picture if frame.source is None else frame.source
        faces = {steps.face.track: steps for steps in frame.steps}  # of a face painted twice the later one
        rows = [_row(source, steps) for steps in list(faces.values())[: self._rows]]
        empty = [np.zeros((_SIDE, 4 * _SIDE, 3), np.uint8)] * (self._rows - len(rows))
        return frame_of(np.concatenate([*rows, *empty]))

    def masks(self, frame: OutputFrame) -> Frame:
        """Show the masks of all faces in a frame of the render."""
        whole = BoxCropTransform(0, 0, self._source.width, self._source.height)
        grey = mask_picture(frame.masks, whole)
        return frame_of(np.asarray(cv2.resize(grey, self._size, interpolation=cv2.INTER_AREA), np.uint8))


def _row(source: Frame, steps: FaceSteps) -> UInt8Array:
    """Return one face: uint8 RGB [_SIDE, 4 * _SIDE, 3]."""
    crop = steps.transform
    enhanced = None if steps.enhanced is None else steps.enhanced.face
    rectangle = BoxCropTransform(crop.x, crop.y, crop.width, crop.height)
    pictures = (crop_from(source, crop), steps.generated, enhanced, mask_picture(steps.shown, rectangle))
    return np.concatenate([letterboxed(picture, _SIDE, _SIDE) for picture in pictures], axis=1)
