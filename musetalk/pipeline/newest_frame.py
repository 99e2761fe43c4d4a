"""A small JPEG of the newest frame of a render, for progress displays."""

from __future__ import annotations

import cv2

from musetalk.faces.detection.opencv import shrunk
from musetalk.utils.arrays import UInt8Array

_SIDE, _QUALITY = 640, 80


def small_jpeg(picture: UInt8Array) -> bytes:
    """Return a picture, uint8 RGB [H, W, 3], as a JPEG whose longer side has at most 640 pixels.

    Empty: it cannot be made.
    """
    small, _ = shrunk(picture, _SIDE)
    made, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes() if made else b""
