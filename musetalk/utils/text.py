"""Text in pictures."""

from __future__ import annotations

from PIL import ImageFont


def fitted_font(text: str, room: float, height: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The font that comes with Pillow, of a height in pixels, or smaller where the text would take more than `room`."""
    length = ImageFont.load_default(height).getlength(text)
    return ImageFont.load_default(max(1.0, height * min(1.0, max(1.0, room) / max(1.0, length))))
