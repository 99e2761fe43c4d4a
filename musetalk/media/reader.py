"""Frames out of a source, in order, a few at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Literal

import cv2
import numpy as np

from musetalk.arrays import UInt8Array
from musetalk.errors import MediaError
from musetalk.media import commands
from musetalk.media.child import Child
from musetalk.media.pictures import read_animated, read_image
from musetalk.media.types import Source
from musetalk.progress import CancelToken


def fitted_size(source: Source, max_side: int | None) -> tuple[int, int]:
    """The source's (width, height), shrunk so that the longer side has at most `max_side` pixels."""
    longest = max(source.width, source.height)
    if max_side is None or longest <= max_side:
        return source.width, source.height
    return max(1, round(source.width * max_side / longest)), max(1, round(source.height * max_side / longest))


def read_frames(
    source: Source,
    start: int = 0,
    stop: int | None = None,
    *,
    max_side: int | None = None,
    cancel: CancelToken | None = None,
) -> Generator[UInt8Array, None, None]:
    """Decode frames [start, stop) at the source's constant rate.

    Args:
        source: Where from.
        start: First frame.
        stop: End, exclusive; None: all. Fewer frames come where the file holds fewer than it announced.
        max_side: Shrink so that the longer side has at most so many pixels (area average).
        cancel: Ends the decoder.

    Yields:
        uint8 RGB [H, W, 3], each an array of its own that the caller may write to.

    Raises:
        MediaError: Nothing can be decoded.
    """
    stop = source.frame_count if stop is None else min(stop, source.frame_count)
    if start >= stop:
        return
    size = fitted_size(source, max_side)
    if source.images:
        yield from _read_images(source, start, stop, size)
    elif source.animated:
        yield from _read_animation(source, start, stop, size, cancel)
    else:
        yield from _read_video(source, start, stop, size, cancel)


def _read_images(source: Source, start: int, stop: int, size: tuple[int, int]) -> Generator[UInt8Array, None, None]:
    for path in source.images[start:stop]:
        yield _fitted(read_image(path, source.alpha_background), size)


def _read_animation(
    source: Source, start: int, stop: int, size: tuple[int, int], cancel: CancelToken | None
) -> Generator[UInt8Array, None, None]:
    """One picture at a time, shown as often as the clock says."""
    clock = source.clock
    picture = clock.picture(start)
    shown: UInt8Array | None = None
    with closing(read_animated(source.path, source.alpha_background, picture)) as pictures:
        for frame in range(start, stop):
            repeated = True
            while shown is None or picture <= clock.picture(frame):
                if cancel is not None:
                    cancel.check()
                decoded = next(pictures, None)
                if decoded is None:
                    return
                shown = _fitted(decoded, size)
                picture += 1
                repeated = False
            yield shown.copy() if repeated else shown


def _fitted(picture: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """A picture in a size of (width, height), shrunk by averaging."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _read_video(
    source: Source, start: int, stop: int, size: tuple[int, int], cancel: CancelToken | None
) -> Generator[UInt8Array, None, None]:
    """One picture at a time from ffmpeg, shown as often as the clock says."""
    clock = source.clock
    seek = clock.seek_seconds(clock.picture(start)) if source.seekable else None
    picture = 0 if seek is None else clock.picture(start)
    whole = size == (source.width, source.height)
    resize: Literal["area", "bicubic"] | None = "area" if not whole else None if source.square_pixels else "bicubic"
    arguments = commands.decode_frames(source.path, source.stream, size=size, start=seek, resize=resize)
    shown: UInt8Array | None = None
    with Child(arguments, stdout=True, cancel=cancel) as child:
        for frame in range(start, stop):
            repeated = True
            while shown is None or picture <= clock.picture(frame):
                shown = _next_picture(child, size)
                picture += 1
                repeated = False
                if shown is None:
                    if frame == start:
                        raise MediaError(f'no picture in "{source.path.name}" can be decoded ({child.complaint})')
                    return
            yield shown.copy() if repeated else shown


def _next_picture(child: Child, size: tuple[int, int]) -> UInt8Array | None:
    picture: UInt8Array = np.empty((size[1], size[0], 3), np.uint8)
    view = picture.data.cast("B")
    return picture if child.read_into(view) == len(view) else None
