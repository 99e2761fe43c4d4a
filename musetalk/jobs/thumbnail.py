"""A small picture by which a job is recognised."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

from PIL import Image

from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.settings import RenderSettings

_MAX_SIDE = 320  # pixels


def make_thumbnail(video: Path, settings: RenderSettings) -> bytes:
    """The source's first frame as JPEG, its longest side at most 320 pixels.

    Raises:
        MediaError: The source cannot be used.
    """
    source = probe_source(video, settings.limits, image_fps=settings.image_fps)
    with closing(read_frames(source, 0, 1, max_side=_MAX_SIDE)) as frames:
        picture = Image.fromarray(next(frames))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()
