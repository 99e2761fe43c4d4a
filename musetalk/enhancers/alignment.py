"""Alignment of faces for enhancers: upright, and as large as in FFHQ."""

from __future__ import annotations

from functools import lru_cache
from math import atan2, cos, sin

import numpy as np

from musetalk.faces.crops.rotated_crop import fitted
from musetalk.faces.crops.upright_crop import UprightCropTransform
from musetalk.faces.types import FaceSample
from musetalk.utils.arrays import Float32Array, Float64Array
from musetalk.utils.easing import smoothstep

# Places in a crop of 512, in the order of `FivePoints`: the template that GFPGAN's faces are aligned by (Apache-2.0;
# from facexlib).
_TEMPLATE = np.array([[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]])
_EYES, _MOUTH = (tuple(_TEMPLATE[part].mean(axis=0) / 512) for part in (slice(0, 2), slice(3, 5)))  # as fractions

# The ellipse of a face there: middle and half axes. It holds what lies between a box's cheeks and down to its chin.
_FACE = ((0.5, 0.547), (0.283, 0.342))
_RIM = 0.17  # of those half axes, over which it fades

_EYES_DOWN, _LIPS_DOWN = 0.39, 0.78  # of the box's height, in an upright face (see FaceBox)
_DOUBT = 0.35  # radians by which the two signs of a tilt may disagree; what is beyond does not count


def face_view(face: FaceSample, size: int, five: Float64Array | None = None) -> UprightCropTransform:
    """Place the crop that an enhancer takes.

    By the five points, where they are known: they come as close as they can to where they lie in the pictures that
    enhancers were trained on. Else by box and mouth: its scale is that of the box, for the mouth's width and height
    change with speech; it lies where the eyes, judged by the box, and the mouth together come closest to their places.
    All it is made of is smoothed over the shot, so the crop is as steady as that.

    Args:
        face: As planned, in pixels of the frame.
        size: Side of the crop in pixels.
        five: float64 [5, 2], in the order of `FivePoints`, in pixels of the frame; made steady.
    """
    if five is not None:
        return UprightCropTransform(*fitted(five - 0.5, _TEMPLATE * (size / 512) - 0.5), size)
    box, mouth, turn = face.box, face.mouth, _turn(face)
    side = (box.width + box.height) / 2
    scale = (_MOUTH[1] - _EYES[1]) * size / ((_LIPS_DOWN - _EYES_DOWN) * side)
    down = (-sin(turn), cos(turn))  # of the face, in the frame
    eyes = [middle + (_EYES_DOWN - 0.5) * side * way for middle, way in zip(box.center, down, strict=True)]
    x, y = (eyes[0] + mouth.cx) / 2 - 0.5, (eyes[1] + mouth.cy) / 2 - 0.5  # by the middles of pixels, as the similarity
    u, v = ((eye + lip) / 2 * size - 0.5 for eye, lip in zip(_EYES, _MOUTH, strict=True))
    a, b = scale * cos(turn), -scale * sin(turn)
    return UprightCropTransform(a, b, u - a * x + b * y, v - b * x - a * y, size)


def _turn(face: FaceSample) -> float:
    """Return how far a face is tilted, in radians, clockwise on the screen.

    The line of the mouth tells, which grimaces bend, and the way from the middle of the box to the mouth, which a head
    that turns aside bends; the mean of both errs less than either.
    """
    (cx, cy), mouth = face.box.center, face.mouth
    other = atan2(cx - mouth.cx, mouth.cy - cy)
    return mouth.angle + min(max(other - mouth.angle, -_DOUBT), _DOUBT) / 2


@lru_cache(maxsize=4)
def whole_face(size: int) -> Float32Array:
    """Return where a face lies in the crop that `face_view` places: forehead to chin, cheek to cheek, with a soft rim.

    Args:
        size: Side of the crop in pixels.

    Returns:
        float32 [size, size], 1 on the face, 0 from well within the crop's edge outwards. Not to be written to.
    """
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size
    (cx, cy), (half_width, half_height) = _FACE
    far = np.hypot((x - cx) / half_width, (y - cy) / half_height)
    mask = smoothstep((1 + _RIM - far) / _RIM)
    mask.setflags(write=False)
    return mask
