"""What a video's numbers mean as colors: how they are read where a file does not say, and what an output is tagged."""

from __future__ import annotations

from dataclasses import replace

from musetalk.media.frames import LUMA_WEIGHTS
from musetalk.media.types import ColorTags

SWSCALE_MATRICES = frozenset(LUMA_WEIGHTS)  # matrices that swscale reads and writes: the same as `frames` does
SDR = ColorTags("tv", "bt709", "bt709", "bt709")

_HD_WIDTH, _SD_HEIGHT = 1280, 576  # players take untagged pictures from this width or above this height for BT.709
_RGB_FORMATS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "xyz", "gray", "ya8", "ya16", "mono", "x2")
_ALPHA_FORMATS = ("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "yaf", "pal8", "ayuv", "vuya", "uyva")


def assumed_matrix(width: int, height: int) -> str:
    """Return the matrix that players take untagged YCbCr of a stored size for: BT.601 up to SD, BT.709 above."""
    return "bt709" if width >= _HD_WIDTH or height > _SD_HEIGHT else "smpte170m"


def has_matrix(pixel_format: str) -> bool:
    """Return whether pixels are YCbCr, and not RGB, a palette or grey, which mean the same under any matrix."""
    return not pixel_format.startswith(_RGB_FORMATS) or pixel_format.startswith("yuv")


def has_alpha(pixel_format: str) -> bool:
    """Return whether pixels may be transparent."""
    return pixel_format.startswith(_ALPHA_FORMATS)


def bits_of(pixel_format: str) -> int:
    """Bits a channel, as far as the format's name says."""
    for bits in (16, 14, 12, 10, 9):
        if f"p{bits}" in pixel_format or f"{bits}le" in pixel_format or f"{bits}be" in pixel_format:
            return bits
    return 16 if "48" in pixel_format or "64" in pixel_format else 8


def output_tags(stored: ColorTags, pixel_format: str, matrix: str | None) -> ColorTags:
    """Return the tags of an output whose pictures look as the source's do.

    Args:
        stored: The source's own.
        pixel_format: As stored, in ffmpeg's words.
        matrix: To be written although the source has none; None: an untagged source stays untagged, so that players
            guess of both the same.
    """
    if has_matrix(pixel_format) and (stored.space in SWSCALE_MATRICES or stored.space is None):
        return stored if stored.space or matrix is None else replace(stored, space=matrix)
    wide = stored.primaries == "bt2020"
    return ColorTags("tv", "bt2020nc" if wide else "bt709", stored.primaries or "bt709", stored.transfer or "bt709")
