"""Larger frames, by interpolation: it adds pixels and no detail."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from musetalk.frame_steps.spec import FrameStepSpec, Size
from musetalk.settings import Settings, setting
from musetalk.utils.arrays import UInt8Array


class UpscaleOptions(Settings):
    """How large frames become."""

    factor: float = setting(2.0, "how many times as wide and as high", ge=1, le=4)
    height: int | None = setting(
        None, "how high they become, instead", unit="pixels", unset="by the factor", ge=2, le=8192
    )


def scaled_size(options: UpscaleOptions, size: Size) -> Size:
    """Return the size that frames become: even, as video asks; one that is as high already, or higher, stays."""
    width, height = size
    factor = options.factor if options.height is None else options.height / height
    return size if factor <= 1 else (2 * round(width * factor / 2), 2 * round(height * factor / 2))


def upscale(options: UpscaleOptions, picture: UInt8Array, _number: int) -> UInt8Array:
    """Return a frame as large as that, by Lanczos' filter."""
    height, width = picture.shape[:2]
    size = scaled_size(options, (width, height))
    if size == (width, height):
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)


UPSCALE = FrameStepSpec(
    "upscale",
    "larger frames, by Lanczos' filter: more pixels, no more detail",
    load=lambda options, _place: partial(upscale, options),
    options=UpscaleOptions,
    done="enlarged",
    size=scaled_size,
)
