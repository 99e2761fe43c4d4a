"""Pictures and folders of pictures as sources."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from musetalk.arrays import UInt8Array
from musetalk.errors import LimitError, MediaError
from musetalk.media.clock import FrameClock
from musetalk.media.types import ColorTags, Source

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def probe_images(path: Path, fps: Fraction, max_pixels: int) -> Source:
    """Describe one picture, or all pictures of a folder in the order of the numbers in their names.

    Raises:
        MediaError: No picture there, one cannot be read, or their sizes differ.
        LimitError: One has more than `max_pixels`.
    """
    images = (path,) if path.is_file() else _pictures_of(path)
    size = _upright_size(images[0], max_pixels)
    for image in images[1:]:
        other = _upright_size(image, max_pixels)
        if other != size:
            raise MediaError(
                f'the pictures in "{path.name}" differ in size ("{images[0].name}" is {size[0]}x{size[1]}, '
                f'"{image.name}" is {other[0]}x{other[1]})',
                "bring them to one size",
            )
    count = len(images)
    times = tuple(float(k / fps) for k in range(count))
    return Source(
        path=path,
        width=size[0],
        height=size[1],
        clock=FrameClock(fps, count, times, None, tuple(range(count))),
        color=ColorTags("tv", "bt709", "bt709", "bt709"),
        pixel_format="rgb24",
        square_pixels=True,
        seekable=True,
        images=images,
    )


def _pictures_of(folder: Path) -> tuple[Path, ...]:
    found = [item for item in folder.iterdir() if item.is_file() and item.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise MediaError(
            f'there is no picture in the folder "{folder}"', "give a video, or a folder of PNG or JPEG files"
        )
    return tuple(sorted(found, key=_natural))


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _upright_size(path: Path, max_pixels: int) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(_EXIF_ORIENTATION, 1) in _SIDEWAYS
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise MediaError(f'"{path.name}" cannot be read as a picture', "open it and save it again as PNG") from error
    if width * height > max_pixels:
        raise LimitError(
            f'"{path.name}" is {width}x{height}, more than the {max_pixels} pixels allowed',
            "scale it down or raise limits.max_pixels",
        )
    return (height, width) if sideways else (width, height)


def read_image(path: Path) -> UInt8Array:
    """Decode a picture: uint8 RGB [H, W, 3], upright, transparent parts on white.

    Raises:
        MediaError: It is damaged.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                layer = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return np.array(upright.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise MediaError(f'"{path.name}" is damaged', "open it and save it again as PNG") from error
