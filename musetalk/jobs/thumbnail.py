"""A small picture by which a job is recognised."""

from __future__ import annotations

import io
from contextlib import closing

from PIL import Image

from musetalk.media.reader import read_frames
from musetalk.media.types import Source

_MAX_SIDE = 320  # pixels


def make_thumbnail(source: Source) -> bytes:
    """A source's first frame as JPEG, its longest side at most 320 pixels.

    Raises:
        MediaError: It cannot be decoded.
    """
    with closing(read_frames(source, 0, 1, max_side=_MAX_SIDE)) as frames:
        picture = Image.fromarray(next(frames))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
