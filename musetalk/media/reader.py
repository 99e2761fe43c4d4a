"""Frames out of a source, in order, a few at a time: as they are stored, or as RGB."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from musetalk.errors import MediaError
from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_process import Child
from musetalk.media.filters import Resize
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.kept_pictures import KeptPictures, keep_pictures
from musetalk.media.seeking import Way, is_certain, picture_at, ways_to
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.cores import share_threads, usable_cores
from musetalk.utils.prefetch import map_closing

_MOST_QUEUED = 64  # pictures that ffmpeg holds between its decoder and a file, far more than it does


def fitted_size(source: Source, max_side: int | None) -> tuple[int, int]:
    """Return the source's (width, height), shrunk so that the longer side has at most `max_side` pixels."""
    longest = max(source.width, source.height)
    if max_side is None or longest <= max_side:
        return source.width, source.height
    return max(1, round(source.width * max_side / longest)), max(1, round(source.height * max_side / longest))


def decode(
    source: Source,
    start: int = 0,
    stop: int | None = None,
    *,
    max_side: int | None = None,
    keep_in: Path | None = None,
    cancel: CancelToken | None = None,
) -> Generator[Frame, None, None]:
    """Decode frames [start, stop) at the source's constant rate; what was kept of them is not decoded again.

    Args:
        source: Where from.
        start: First frame.
        stop: End, exclusive; None: all. Fewer frames come where the file holds fewer than it announced.
        max_side: Shrink so that the longer side has at most so many pixels (area average).
        keep_in: A folder where whole pictures are kept, if there is room, for whoever reads the source next; it has to
            last as long as the source is used. None: nothing is kept.
        cancel: Ends the decoder.

    Yields:
        Frames of the source's layout, where that is not shrunk, each in memory of its own that the caller may write to.

    Raises:
        MediaError: Nothing can be decoded.
    """
    stop = source.frame_count if stop is None else min(stop, source.frame_count)
    if start >= stop:
        return
    width, height = fitted_size(source, max_side)
    layout = replace(source.layout, width=width, height=height)
    yield from _shown(source, start, stop, layout, _keeping(source, start, stop, layout, keep_in), cancel)


def _keeping(source: Source, start: int, stop: int, layout: FrameLayout, folder: Path | None) -> KeptPictures | None:
    """Return where whole pictures are kept while frames [start, stop) are decoded in a layout; None: nowhere."""
    kept = source.experience.kept
    if folder is None or (kept is not None and (kept.numbers or kept.failed)):
        return None
    if layout != source.layout and (source.images or source.animated or not _is_kept_alike(source)):
        return None
    count = source.clock.picture(stop - 1) - source.clock.picture(start) + 1
    source.experience.kept = keep_pictures(folder, source.layout, count)
    return source.experience.kept


def _is_kept_alike(source: Source) -> bool:
    """Return whether shrinking what would be kept gives what shrinking the stored pictures does.

    What is seen of a source must not depend on whether there is room on the disk, nor on how much of it is read.
    """
    return source.layout.planar and source.square_pixels


def read_frames(
    source: Source,
    start: int = 0,
    stop: int | None = None,
    *,
    max_side: int | None = None,
    keep_in: Path | None = None,
    cancel: CancelToken | None = None,
) -> Generator[UInt8Array, None, None]:
    """Decode frames [start, stop) as `decode` does: uint8 RGB [H, W, 3], each an array of its own."""
    frames = decode(source, start, stop, max_side=max_side, keep_in=keep_in, cancel=cancel)
    yield from map_closing(Frame.rgb, frames)


def _fitted(picture: UInt8Array, layout: FrameLayout) -> Frame:
    """Return a picture, uint8 RGB [H, W, 3], in the size of a layout, shrunk by averaging."""
    size = (layout.width, layout.height)
    if (picture.shape[1], picture.shape[0]) != size:
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return frame_of(picture)


def _shown(
    source: Source, start: int, stop: int, layout: FrameLayout, kept: KeptPictures | None, cancel: CancelToken | None
) -> Generator[Frame, None, None]:
    """Yield each picture shown as often as the clock says.

    In the place of one that cannot be decoded, the one before is shown. `kept`: where whole ones are kept meanwhile.
    """
    clock = source.clock
    shown: Frame | None = None
    number = -1  # of the picture shown
    coming: tuple[int, Frame] | None = None
    first = max(0, clock.picture(start) - source.conversion.lead)
    with closing(_pictures_from(source, first, layout, kept, cancel)) as pictures:
        for frame in range(start, stop):
            wanted, repeated = clock.picture(frame), True
            while number < wanted:
                coming = coming or next(pictures, None)
                if coming is None:
                    return
                if coming[0] > wanted and shown is not None:
                    break
                (number, shown), coming, repeated = coming, None, False
            assert shown is not None  # noqa: S101 - `number` is that of a picture now
            source.experience.frames = max(source.experience.frames, frame + 1)
            if number != wanted:
                source.experience.missing.add(frame)
            yield shown.copy() if repeated else shown


def _pictures_from(
    source: Source, wanted: int, layout: FrameLayout, keeping: KeptPictures | None, cancel: CancelToken | None
) -> Generator[tuple[int, Frame], None, None]:
    """Pictures with their numbers, ascending, from `wanted` or one before it on, if there is any: kept or decoded.

    Raises:
        MediaError: There is none.
    """
    kept, following = source.experience.kept, wanted
    if kept is not None and kept is not keeping and kept.layout == layout:
        for number, picture in kept.pictures_from(wanted):
            if cancel is not None:
                cancel.check()
            yield number, picture
            following = number + 1
        if kept.to_the_end and kept.numbers and following > kept.numbers[-1]:
            return
    if following == wanted and (keeping is None or keeping.layout == layout):
        pictures = _decoded_from(source, wanted, layout, None, cancel)
        yield from pictures if keeping is None else keeping.keep(pictures)
        return
    if following == wanted and keeping is not None:  # the decoder writes whole ones, and gives shrunk ones
        with closing(_decoded_from(source, wanted, layout, keeping, cancel)) as pictures:
            for number, picture in pictures:
                yield number, picture
                following = number + 1
        if not keeping.failed:
            return
    # Behind those, if there are more; with what they depend on.
    first = max(0, following - source.conversion.lead)
    with closing(_decoded_from(source, first, layout, None, cancel, needed=False)) as pictures:
        for number, picture in pictures:
            if number >= following:
                yield number, picture


def _decoded_from(
    source: Source,
    wanted: int,
    layout: FrameLayout,
    keeping: KeptPictures | None,
    cancel: CancelToken | None,
    *,
    needed: bool = True,
) -> Generator[tuple[int, Frame], None, None]:
    """Decoded pictures with their numbers, ascending, from `wanted` or one before it on, if there is any.

    Raises:
        MediaError: There is none, and one is needed.
    """
    if source.images or source.animated:
        yield from enumerate(_stills(source, wanted, layout, cancel), wanted)
        return
    experience = source.experience
    ways = tuple(ways_to(wanted, source.clock, seekable=source.seekable, keys_back=experience.keys_back))
    for way in ways:
        last = way is ways[-1]
        with closing(_decode(source, way, layout, keeping, cancel, needed=needed and last)) as pictures:
            first = next(pictures, None)
            if first is None or (not last and (first.astray or first.number > wanted)):
                continue
            for decoded in itertools.chain([first], pictures):
                if decoded.number == wanted:
                    experience.keys_back = max(experience.keys_back, way.keys_back)
                yield decoded.number, decoded.picture
            return


def _stills(
    source: Source, first: int, layout: FrameLayout, cancel: CancelToken | None
) -> Generator[Frame, None, None]:
    """Yield the pictures of a folder, or of a picture that moves, from `first` on, shrunk to a layout."""
    from musetalk.media.pictures.decoding import read_animated, read_image  # noqa: PLC0415 - Pillow: no video needs it

    pictures = (
        read_animated(source.path, source.alpha_background, first)
        if source.animated
        else (read_image(path, source.alpha_background) for path in source.images[first:])
    )
    with closing(pictures):
        for picture in pictures:
            yield _fitted(picture, layout)
            if cancel is not None:
                cancel.check()


class _Decoded(NamedTuple):
    number: int
    picture: Frame
    astray: bool  # nothing shows that it is what decoding from the file's beginning would give as this number


def _decode(
    source: Source,
    way: Way,
    layout: FrameLayout,
    kept: KeptPictures | None,
    cancel: CancelToken | None,
    *,
    needed: bool,
) -> Generator[_Decoded, None, None]:
    """Decode on one way; numbers ascend.

    Raises:
        MediaError: No picture comes, and one is needed.
    """
    whole = (layout.width, layout.height) == (source.width, source.height)
    resize: Resize | None = "area" if not whole else None if source.square_pixels else "bicubic"
    if source.conversion.letterbox:  # ffmpeg would leave out as many pictures again where the size changes
        way = replace(way, skip_pictures=0)
    if kept is not None:
        kept.forget()
        resize = None if source.square_pixels else "bicubic"
    arguments = ffmpeg_commands.decode_frames(
        source.path,
        source.stream,
        layout=layout,
        way=way,
        resize=resize,
        conversion=source.conversion,
        kept=None if kept is None else (kept.layout, kept.path),
        threads=share_threads(usable_cores()).decoder,
    )
    times, number, late = source.clock.picture_times, way.skip_pictures - 1, False
    before: float | None = None
    with Child(arguments, stdout=True, marks=ffmpeg_commands.PICTURE_TIME, cancel=cancel) as child:
        for place in itertools.count():
            if (picture := _next_picture(child, layout)) is None:
                break
            said = _next_times(child, source.delay)
            following, astray = number + 1, False
            if times and said.shown is not None:
                following = picture_at(said.shown, times, repeated=number if said.shown == before else None)
                astray = not is_certain(following, said.shown, times)
            before = said.shown
            if way.begins_by is not None and said.begun is not None:
                late = picture_at(said.begun, times) > way.begins_by
            if following > number:  # else it was shown before
                number = following
                if kept is not None:
                    kept.add(number, place)
                try:
                    yield _Decoded(number, picture, astray or late)
                except GeneratorExit:
                    if kept is not None:
                        _let_write(child, kept, layout)
                    raise
        if kept is not None:
            _end_keeping(child, kept)
        if needed and number < way.skip_pictures:
            raise MediaError(f'no picture in "{source.path.name}" can be decoded ({child.complaint})', path=source.path)


def _let_write(child: Child, kept: KeptPictures, layout: FrameLayout) -> None:
    """Decode on until all that was given is on disk, too: a few pictures at most, that ffmpeg holds in its queues.

    Where they cannot be written, it would go on for the rest of the source: then none is kept.
    """
    for _ in range(_MOST_QUEUED):
        if kept.whole or _next_picture(child, layout) is None:
            break
    if not kept.whole:
        kept.give_up()


def _end_keeping(child: Child, kept: KeptPictures) -> None:
    """Wait until all that was decoded is on disk; where that fails (it is full, or files are limited), keep none."""
    if child.finish() == 0:
        kept.to_the_end = True
    else:
        kept.give_up()
        kept.failed = True


class _Times(NamedTuple):
    begun: float | None
    shown: float | None


def _next_times(child: Child, delay: float) -> _Times:
    """Seconds at which the next picture is shown, and those of the first decoded one if it is that.

    `delay`: see `Source`.
    """
    said: dict[str, float | None] = {}
    while "shown" not in said and (time := child.read_mark()) is not None:
        said[child.read_mark() or "shown"] = None if time == "NOPTS" else int(time) / 1_000_000 + delay
    return _Times(said.get("begun"), said.get("shown"))


def _next_picture(child: Child, layout: FrameLayout) -> Frame | None:
    picture = Frame(layout)
    view = picture.view
    return picture if child.read_into(view) == len(view) else None
