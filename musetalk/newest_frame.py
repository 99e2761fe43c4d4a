"""The newest frame of a render, small, for whoever watches it."""

from __future__ import annotations

import cv2

from musetalk.arrays import UInt8Array

_SIDE, _QUALITY = 640, 80


def small_jpeg(picture: UInt8Array) -> bytes:
    """A picture, uint8 RGB [H, W, 3], as a JPEG whose longer side has at most 640 pixels; empty: it cannot be made."""
    scale = _SIDE / max(picture.shape[:2])
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
    made, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes() if made else b""
