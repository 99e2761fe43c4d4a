"""Thumbnails of jobs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing

from PIL import Image, ImageStat

from musetalk.errors import MediaError
from musetalk.media.reader import read_frames
from musetalk.media.types import Source

_MAX_SIDE = 320  # pixels
# Films begin black, white, or with a title that fades in: then further on, but never far where all before is decoded.
_WITHIN_SECONDS = 60
_LATER = (1 / 20, 1 / 5, 1 / 2)  # shares of the film, or of its first minute
_PLAIN = 12.0  # grey levels: standard deviation of a picture by which nothing is recognised


def make_thumbnail(source: Source) -> bytes:
    """A frame of a source as JPEG, its longest side at most 320 pixels: the first one on which there is something.

    Raises:
        MediaError: Not even its first frame can be decoded.
    """
    shown = next(_frames(source))
    telling = _telling(shown)
    if telling < _PLAIN:
        for frame in _later_frames(source):
            if (better := _telling(frame)) > telling:
                shown, telling = frame, better
            if telling >= _PLAIN:
                break
    file = io.BytesIO()
    shown.save(file, "JPEG", quality=85)
    return file.getvalue()


def _later_frames(source: Source) -> Iterator[Image.Image]:
    length = min(source.frame_count, round(_WITHIN_SECONDS * source.fps))
    for at in sorted({int(share * length) for share in _LATER} - {0}):
        try:
            yield from _frames(source, at)
        except MediaError:  # the file breaks off before: whoever renders it is told
            return


def _frames(source: Source, at: int = 0) -> Iterator[Image.Image]:
    with closing(read_frames(source, at, at + 1, max_side=_MAX_SIDE)) as frames:
        yield from map(Image.fromarray, frames)


def _telling(frame: Image.Image) -> float:
    """Return how much there is to see: the standard deviation of a frame's grey levels."""
    return float(ImageStat.Stat(frame.convert("L")).stddev[0])
