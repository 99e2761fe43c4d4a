"""The same moment of several results."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from musetalk.arrays import UInt8Array
from musetalk.errors import MediaError
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.settings import Limits


def frame_of(video: Path, frame: int, max_side: int | None = None) -> UInt8Array:
    """One frame of a result: uint8 RGB [H, W, 3]; its last one where it has fewer.

    Args:
        video: The result.
        frame: Which.
        max_side: Shrink so that the longer side has at most so many pixels.

    Raises:
        MediaError: It cannot be read.
    """
    source = probe_source(video, Limits(), fps="own")
    index = min(max(frame, 0), source.frame_count - 1)
    with closing(read_frames(source, index, index + 1, max_side=max_side)) as frames:
        picture = next(frames, None)
    if picture is None:
        raise MediaError(f'"{video.name}" ends before frame {index}', "compare again")
    return picture
