"""Samples of a video: its fields, its alpha, the sizes of its pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetalk.media import ffmpeg_commands
from musetalk.media.combs import FieldCounts, count_fields
from musetalk.media.containers.first_picture import FirstPicture, seen_size, showinfo_label, showinfo_lines
from musetalk.media.containers.key_frames import vpx_sizes
from musetalk.media.containers.pixel_shapes import pixel_shapes
from musetalk.media.containers.streams import Stream
from musetalk.media.ffmpeg_process import Child
from musetalk.media.types import PixelShape
from musetalk.progress import CancelToken
from musetalk.utils.arrays import UInt8Array

_PLACES, _NEAR_END = (0.0, 0.35, 0.7), 0.95  # of the length
_FIELD_FRAMES, _FIELD_COLUMNS = 24, 360  # looked at in each place
_MOST_LINES = 4320  # of a picture that may be interlaced: more than any television has
_ALPHA_FRAMES = 5
_ALPHA_SIDE = 160  # alpha is averaged over blocks of a picture of that side
_OPAQUE = 250
_STATE_SHAPES = frozenset({"mov", "matroska"})  # containers whose word on the shape of pixels holds
_MAX_SIZES = 100  # different ones
_MAX_LINE = 4000  # bytes
_MARKED = re.compile(r"\bn: *\d+ .* i:[TB]\b")
_EXTRADATA = re.compile(r"New Extradata, +(\d+), (0x[0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Video:
    """A video to look into.

    Attributes:
        path: The file.
        stream: Whose pictures they are.
        containers: The names of its container.
        seconds: Its length.
        max_pixels: That a picture may have.
        cancel: Ends a look.
    """

    path: Path
    stream: Stream
    containers: tuple[str, ...]
    seconds: float
    max_pixels: int
    cancel: CancelToken | None

    @property
    def places(self) -> tuple[float, ...]:
        """Where it is looked into, in seconds."""
        return tuple(share * self.seconds for share in _PLACES)


def look_at_fields(video: Video, size: tuple[int, int], decoder: str | None) -> FieldCounts:
    """Look for combs in a few dozen pictures of (width, height) `size`, here and there in a video."""
    width, height = min(size[0], _FIELD_COLUMNS), size[1]
    counts = FieldCounts()
    if height > _MOST_LINES:
        return counts
    for start in video.places:
        label = showinfo_label()
        arguments = ffmpeg_commands.look_at_fields(
            *(video.path, video.stream.index, label),
            start=start,
            frames=_FIELD_FRAMES,
            size=(width, height),
            decoder=decoder,
        )
        frames: UInt8Array = np.empty((_FIELD_FRAMES, height, width), np.uint8)
        with Child(arguments, stdout=True, keep=showinfo_lines(label), cancel=video.cancel) as child:
            filled = child.read_into(frames.data.cast("B"))
            child.finish()
            marked = sum(bool(_MARKED.search(line)) for line in child.kept_lines)
        counts += count_fields(frames[: filled // (height * width)]) + FieldCounts(marked=marked)
    return counts


def is_transparent(video: Video, decoder: str | None) -> bool:
    """Return whether something shows through in a few pictures, here and there in a video with alpha."""
    alpha = np.empty((_ALPHA_SIDE, _ALPHA_SIDE), np.uint8)
    view = alpha.data.cast("B")
    for start in video.places:
        arguments = ffmpeg_commands.read_alpha(
            video.path, video.stream.index, start=start, frames=_ALPHA_FRAMES, side=_ALPHA_SIDE, decoder=decoder
        )
        with Child(arguments, stdout=True, cancel=video.cancel) as child:
            while child.read_into(view) == len(view):
                if alpha.min() < _OPAQUE:
                    return True
    return False


def picture_sizes(video: Video, first: tuple[int, int]) -> tuple[tuple[tuple[int, int], ...], tuple[PixelShape, ...]]:
    """Return the sizes of a video's pictures, upright and in square pixels, in the order in which they come.

    Read from the headers of key frames, where sizes are said, without decoding; key frames are decoded only where
    these headers change. Of a codec whose headers are not known here a few pictures are looked at first.

    Args:
        video: The video.
        first: The size of its first picture.

    Returns:
        The sizes; and the shapes of pixels by time, where these change.
    """
    if not _headers_change(video):
        return (first,), ()
    known = bool(_STATE_SHAPES & set(video.containers))
    shapes = () if known else pixel_shapes(video.path, video.stream, video.cancel)
    return _key_frame_sizes(video, shapes) or (first,), shapes


def _headers_change(video: Video) -> bool:
    """Return whether key frames bring other headers than those before."""
    if video.stream.codec in ("vp8", "vp9"):
        return len(vpx_sizes(video.path, video.stream, video.cancel)) > 1
    arguments = ffmpeg_commands.parameter_sets(video.path, video.stream.index, video.stream.codec)
    if arguments is None:  # mostly codecs without any but key frames
        places = (*video.places, _NEAR_END * video.seconds)
        return len({size for start in places for size in _key_frame_sizes(video, (), start, 1)}) > 1
    seen: set[tuple[str, ...]] = set()
    with Child(arguments, stdout=True, cancel=video.cancel) as child:
        while len(seen) < 2 and (line := child.read_line()):
            if found := _EXTRADATA.search(line.decode("ascii", "replace")):
                seen.add(found.groups())
    return len(seen) > 1


def _key_frame_sizes(
    video: Video, shapes: tuple[PixelShape, ...], start: float = 0.0, frames: int | None = None
) -> tuple[tuple[int, int], ...]:
    sizes: dict[tuple[int, int], None] = {}
    label = showinfo_label()
    arguments = ffmpeg_commands.show_key_frames(
        video.path, video.stream.index, video.max_pixels, label, start=start, frames=frames
    )
    with Child(arguments, stderr=True, cancel=video.cancel) as child:
        while len(sizes) < _MAX_SIZES and (line := child.read_line(_MAX_LINE)):
            text = line.decode("utf-8", "replace")
            if showinfo_lines(label).match(text) and (size := seen_size(text, shapes)):
                sizes[size] = None
    return tuple(sizes)


def works(filters: str, first: FirstPicture, cancel: CancelToken | None, *, vulkan: bool = False) -> bool:
    """Whether the ffmpeg at hand can run a chain of filters on pictures like a first one, tried on a grey picture."""
    arguments = ffmpeg_commands.try_filters(filters, first.color, first.pixel_format, vulkan=vulkan)
    with Child(arguments, cancel=cancel) as child:
        return child.finish() == 0
