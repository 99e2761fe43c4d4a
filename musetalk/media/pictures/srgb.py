"""A picture as 8-bit sRGB: color profile applied, composited over a background."""

from __future__ import annotations

import io
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

from musetalk.media.pictures.code_points import CodePoints, to_srgb_colors
from musetalk.settings import Background
from musetalk.utils.arrays import UInt8Array

Color: TypeAlias = tuple[int, int, int]  # RGB, 0 to 255

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}  # modes of Pillow, and as ICC calls them
_PEAKS = (1.0, 255.0, 65535.0, 2.0**31 - 1)  # what numbers of unknown range may reach


def to_srgb(image: Image.Image, background: Background | Color) -> UInt8Array:
    """Return a picture as uint8 sRGB [H, W, 3].

    Args:
        image: In any of Pillow's modes; "icc_profile" in its `info`, else "code_points" there, is applied.
        background: What is laid under transparent parts.
    """
    colors, alpha = _split(image)
    transform = _transform(colors.mode, image.info.get("icc_profile"))
    points: CodePoints | None = image.info.get("code_points")
    if transform is not None:
        colors = transform.apply(colors)
    elif points is not None and not points.is_srgb:
        colors = Image.fromarray(to_srgb_colors(np.asarray(colors.convert("RGB")), points))
    else:
        colors = colors.convert("RGB")
    if alpha is not None:
        ground = Image.new("RGB", colors.size, background)
        ground.paste(colors, mask=alpha)
        colors = ground
    return np.array(colors)


def is_transparent(image: Image.Image) -> bool:
    """Return whether a pixel of a picture lets anything through. Decodes it where it may."""
    return _may_be_transparent(image) and _split(image)[1] is not None


def profile_note(image: Image.Image) -> str:
    """Return what is to be said of a file's colors, if anything: a sentence that lacks its subject, the file."""
    profile, mode = image.info.get("icc_profile"), _color_mode(image)
    if profile and _fitting(mode, profile) is None:
        return "has a colour profile that cannot be used: it was left aside"
    points: CodePoints | None = image.info.get("code_points")
    if not profile and points is not None and points.hdr:
        return "is HDR: what is brighter than white is compressed (SDR)"
    if mode == "CMYK" and not profile:
        return "holds printing inks (CMYK) without a colour profile: its colours are a guess"
    return ""


def to_rgba(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits a channel and alpha, in its own colors: no profile is applied."""
    if not _is_deep(image):
        return image.convert("RGBA")
    colors, alpha = _eight_bits(image)
    layer = colors.convert("RGBA")
    if alpha is not None:
        layer.putalpha(alpha)
    return layer


def _may_be_transparent(image: Image.Image) -> bool:
    return image.has_transparency_data or (image.mode.startswith("I") and "transparency" in image.info)


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a picture's colors (mode RGB, L, CMYK or LAB, 8 bits) and its alpha (mode L), None where it is whole."""
    if _is_deep(image):
        return _eight_bits(image)
    if _may_be_transparent(image):
        mode = "LA" if _color_mode(image) == "L" else "RGBA"
        layer = image if image.mode == mode else image.convert(mode)
        alpha = layer.getchannel("A")
        return layer.convert(mode[:-1]), None if alpha.getextrema()[0] == 255 else alpha
    return image if image.mode in _SPACES else image.convert(_color_mode(image)), None


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def _eight_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey of more than 8 bits, scaled so that white stays white."""
    values = np.asarray(image)
    clear = image.info.get("transparency")
    alpha = None if clear is None else Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    numbers = np.clip(np.nan_to_num(values.astype(np.float64)), 0, None)
    peak = 65535.0 if image.mode.startswith("I;16") else next((p for p in _PEAKS if numbers.max() <= p), _PEAKS[-1])
    return Image.fromarray(np.rint(np.clip(numbers / peak, 0, 1) * 255).astype(np.uint8)), alpha


def _color_mode(image: Image.Image) -> str:
    """Return the mode of the colors that `_split` gives."""
    if image.mode in _SPACES:
        return image.mode
    return "L" if image.mode[0] in "1LIF" else "RGB"


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """Return what turns colors of a mode into sRGB; None: they are sRGB, or as good a guess as any."""
    fitting = _fitting(mode, profile) if profile else None
    if fitting is None and mode == "LAB":
        return _to_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), mode)
    return fitting


def _fitting(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return what a profile makes of a mode's colors; None: it is damaged, or made for another kind of picture."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return _to_srgb(opened, mode) if opened.profile.xcolor_space.strip() == _SPACES[mode] else None
    except (ImageCms.PyCMSError, OSError):
        return None


def _to_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.createProfile("sRGB")
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, flags)
