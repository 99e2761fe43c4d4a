"""A picture's pixels as people see them: 8-bit sRGB, colour profile applied, laid over a background."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

from musetalk.arrays import UInt8Array

Background = Literal["white", "black"]
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}  # modes of Pillow, and as ICC calls them
_PEAKS = (1.0, 255.0, 65535.0, 2.0**31 - 1)  # what numbers of unknown range may reach


def to_srgb(image: Image.Image, background: Background) -> UInt8Array:
    """Return a picture as uint8 sRGB [H, W, 3].

    Args:
        image: In any of Pillow's modes; a profile in its `info` is applied.
        background: What is laid under transparent parts.
    """
    colours, alpha = _split(image)
    transform = _transform(colours.mode, image.info.get("icc_profile"))
    colours = colours.convert("RGB") if transform is None else transform.apply(colours)
    if alpha is not None:
        ground = Image.new("RGB", colours.size, background)
        ground.paste(colours, mask=alpha)
        colours = ground
    return np.array(colours)


def is_transparent(image: Image.Image) -> bool:
    """Whether a pixel of a picture lets anything through. Decodes it where it may."""
    if not _may_be_transparent(image):
        return False
    _, alpha = _split(image)
    return alpha is not None and alpha.getextrema()[0] != 255


def profile_note(image: Image.Image) -> str:
    """What is to be said of a picture's colours, if anything: a profile of no use, or one that is missing."""
    profile, mode = image.info.get("icc_profile"), _colour_mode(image)
    if profile and _fitting(mode, profile) is None:
        return "its colour profile cannot be used and was left aside"
    if mode == "CMYK" and not profile:
        return "it holds printing inks (CMYK) without a colour profile: its colours are a guess"
    return ""


def to_rgba(image: Image.Image) -> Image.Image:
    """Return a picture with 8 bits a channel and alpha, in its own colours: no profile is applied."""
    colours, alpha = _split(image)
    layer = colours.convert("RGBA")
    if alpha is not None:
        layer.putalpha(alpha)
    return layer


def _may_be_transparent(image: Image.Image) -> bool:
    return image.has_transparency_data or (image.mode.startswith("I") and "transparency" in image.info)


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture's colours (mode RGB, L, CMYK or LAB, 8 bits) and its alpha (mode L), None where it has none."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _eight_bits(image)
    if _may_be_transparent(image):
        layer = image.convert("LA" if _colour_mode(image) == "L" else "RGBA")
        return layer.convert(layer.mode[:-1]), layer.getchannel("A")
    return image if image.mode in _SPACES else image.convert(_colour_mode(image)), None


def _eight_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey of more than 8 bits, scaled so that white stays white."""
    values = np.asarray(image)
    clear = image.info.get("transparency")
    alpha = None if clear is None else Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    numbers = np.clip(np.nan_to_num(values.astype(np.float64)), 0, None)
    peak = 65535.0 if image.mode.startswith("I;16") else next((p for p in _PEAKS if numbers.max() <= p), _PEAKS[-1])
    return Image.fromarray(np.rint(np.clip(numbers / peak, 0, 1) * 255).astype(np.uint8)), alpha


def _colour_mode(image: Image.Image) -> str:
    """The mode of the colours that `_split` gives."""
    if image.mode in _SPACES:
        return image.mode
    return "L" if image.mode[0] in "1LIF" else "RGB"


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """What turns colours of a mode into sRGB; None: they are sRGB, or as good a guess as any."""
    fitting = _fitting(mode, profile) if profile else None
    if fitting is None and mode == "LAB":
        return _to_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), mode)
    return fitting


def _fitting(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """What a profile makes of a mode's colours; None: it is damaged, or made for another kind of picture."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return _to_srgb(opened, mode) if opened.profile.xcolor_space.strip() == _SPACES[mode] else None
    except (ImageCms.PyCMSError, OSError):
        return None


def _to_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.createProfile("sRGB")
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, flags)
