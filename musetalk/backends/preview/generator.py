"""The preview backend: a mouth that follows the voice's envelope, drawn by warping the source, without a network."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.audio.visemes import VISEME_KINDS
from musetalk.backends.preview.inner_mouth import paint_opening
from musetalk.backends.preview.lips import mouth_unit, read_lips
from musetalk.backends.preview.pose import pose_mouth, pose_viseme
from musetalk.backends.preview.warp import Field, mouth_field, preview_reach
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.faces.types import FaceSample
from musetalk.utils.arrays import Float32Array, UInt8Array

__all__ = ["PreviewGenerator", "preview_reach"]

_CLIP_LENGTH = 4
_LEAST_MOTION = 1e-3  # of openness and spread; less is rest
_SMALLEST_MOUTH = 3.0  # half width in pixels; below it there is nothing to shape


class PreviewGenerator:
    """Opens and shapes the mouth by (openness, spread) pairs. A frame depends on nothing but its own row of the clip.

    At openness 0 and spread 0 the crop comes back byte for byte; otherwise pixels outside `preview_reach` do.

    Args:
        opening: Gain on the openness; 1 opens as far as lively conversation does.
    """

    def __init__(self, opening: float = 1.0) -> None:
        self._opening = opening

    @property
    def crop_size(self) -> int | None:
        """None: works on the source's own pixels."""
        return None

    @property
    def clip_length(self) -> int:
        """Most frames in one clip."""
        return _CLIP_LENGTH

    @property
    def spec(self) -> GeneratorSpec:
        """Listens to the envelope, or is told visemes."""
        return GeneratorSpec(visemes=True)

    @property
    def device(self) -> str:
        """Runs on the CPU."""
        return "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3]."""
        result = clip.crops.copy()
        for frame, face, shape in zip(result, clip.faces, clip.speech, strict=True):
            self._speak(frame, face, shape)
        return result

    def _speak(self, frame: UInt8Array, face: FaceSample, shape: Float32Array) -> None:
        """Shape the mouth of one crop in place, by an envelope's row or a viseme's."""
        by_loudness = len(shape) < VISEME_KINDS
        if (by_loudness and np.abs(shape).max() < _LEAST_MOTION) or face.mouth.half_width < _SMALLEST_MOUTH:
            return
        x0, y0, x1, y1 = preview_reach(face).bounds
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, frame.shape[1]), min(y1, frame.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        lips, unit = read_lips(frame, face, whole=not by_loudness), mouth_unit(face)
        if by_loudness:
            openness, spread = shape.tolist()
            pose = pose_mouth(openness * self._opening, spread, lips, unit)
        else:
            pose = pose_viseme(shape, self._opening, lips, unit, float(face.mouth.half_width))
        field = mouth_field(face, lips, pose, (x0, y0, x1, y1))
        moved = _moved(frame, field)
        paint_opening(moved, field, pose, lips, unit)
        frame[y0:y1, x0:x1] = moved


def _moved(frame: UInt8Array, field: Field) -> UInt8Array:
    """Return the field's rectangle of a crop with its lips moved, over what the source shows between them."""
    lips = _sampled(frame, field.map_x, field.map_y)
    meeting = field.meeting
    if meeting is None or (where := meeting.where_shown()) is None:
        return lips
    inner = meeting.part(where)
    between = _sampled(frame, inner.map_x, inner.map_y).astype(np.float32)
    mixed = lips[where] + (between - lips[where]) * inner.shown[..., None]
    lips[where] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return lips


def _sampled(frame: UInt8Array, x: Float32Array, y: Float32Array) -> UInt8Array:
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)
