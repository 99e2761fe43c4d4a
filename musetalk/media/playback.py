"""A source played in the order of a timeline, backwards too, in bounded memory and disk."""

from __future__ import annotations

import bisect
import itertools
import logging
import tempfile
from collections.abc import Generator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import IO, Literal

from musetalk.errors import MediaError, write_error
from musetalk.media.frames import Frame
from musetalk.media.kept_pictures import has_room
from musetalk.media.reader import decode
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.progress import CancelToken

SPOOL_BYTES = 2**30  # disk that backward playing may take at a time
_LEAST_PIECE = 24  # frames
_ENDLESS = 2**48  # output frames: longer than anybody watches
_log = logging.getLogger(__name__)


def play(
    source: Source,
    timeline: Timeline,
    start: int,
    stop: int,
    *,
    spool_dir: Path,
    spool_bytes: int = SPOOL_BYTES,
    cancel: CancelToken | None = None,
) -> Generator[Frame, None, None]:
    """Yield output frames [start, stop), as they are decoded, each in memory of its own.

    Backwards, the source is decoded forwards from keyframe to keyframe into a spool file in `spool_dir`, which is
    then read from its end: mostly one decoding per frame, one frame in memory, at most `spool_bytes` (one frame at
    least) on disk.

    Raises:
        MediaError: The source cannot be decoded as far as the timeline needs.
    """
    for run in timeline.runs(start, stop):
        length = run.stop - run.start
        if run.step == 1:
            frames = decode(source, run.source, run.source + length, cancel=cancel)
        elif run.step == -1:
            frames = _read_backwards(source, run.source - length + 1, run.source + 1, spool_dir, spool_bytes, cancel)
        else:
            frames = _hold(source, run.source, length, cancel)
        count = 0
        with closing(frames):
            for frame in frames:
                yield frame
                count += 1
        if count != length:
            raise MediaError(
                f'"{source.path.name}" ends after frame {run.source + count} of {source.frame_count}: it is damaged',
                "export it again, or cut off its end",
                path=source.path,
            )


def play_endlessly(
    source: Source, mode: Literal["pingpong", "loop", "hold"], *, folder: Path, cancel: CancelToken | None = None
) -> Generator[Frame, None, None]:
    """Yield what an output without an end shows of a source; see `play`, and `Timeline` for `mode`.

    What is decoded the first time is kept in a file in `folder`, where there is room, and read from there as often as
    it is shown again: where the source turns, nobody waits for a decoder.

    Raises:
        MediaError: The source cannot be decoded.
    """
    count, size = source.frame_count, source.layout.frame_bytes
    timeline = Timeline(_ENDLESS, _ENDLESS, count, mode)
    first = play(source, timeline, 0, count, spool_dir=folder, cancel=cancel)
    with tempfile.TemporaryFile(dir=folder) as file, closing(first):
        kept = has_room(folder, source.layout, count)
        for frame in first:
            kept = kept and _written(frame, file)
            yield frame
        for number in itertools.count(count) if kept else ():
            file.seek(timeline.source_frame(number) * size)
            frame = Frame(source.layout)
            if file.readinto(frame.view) < size:
                raise MediaError(f'what was kept of "{source.path.name}" has gone', "try again", path=source.path)
            yield frame
    yield from play(source, timeline, count, _ENDLESS, spool_dir=folder, cancel=cancel)


def _written(frame: Frame, file: IO[bytes]) -> bool:
    """Write a frame to a file; returns whether there was room."""
    try:
        file.write(frame.view)
        file.flush()
    except OSError as error:
        _log.info("frames are decoded again where they are shown again: they cannot be kept (%s)", error)
        return False
    return True


def play_over(
    source: Source,
    count: int,
    length: Literal["pingpong", "loop", "hold"],
    *,
    spool_dir: Path,
    cancel: CancelToken | None = None,
) -> Generator[Frame, None, None]:
    """Yield what `count` output frames show of a source; see `play`, and `Timeline` for `length`."""
    yield from play(
        source, Timeline(count, count, source.frame_count, length), 0, count, spool_dir=spool_dir, cancel=cancel
    )


def _hold(source: Source, frame: int, length: int, cancel: CancelToken | None) -> Generator[Frame, None, None]:
    with closing(decode(source, frame, frame + 1, cancel=cancel)) as frames:
        for held in frames:
            for _ in range(length):
                yield held.copy()


def _read_backwards(
    source: Source, start: int, stop: int, spool_dir: Path, spool_bytes: int, cancel: CancelToken | None
) -> Generator[Frame, None, None]:
    for low, high in reversed(_segments(source, start, stop, spool_bytes)):
        with tempfile.TemporaryFile(dir=spool_dir) as spool:
            if _spool(decode(source, low, high, cancel=cancel), spool) != high - low:
                return
            for index in reversed(range(high - low)):
                frame = Frame(source.layout)
                spool.seek(index * source.frame_bytes)
                spool.readinto(frame.view)
                yield frame


def _spool(frames: Generator[Frame, None, None], spool: IO[bytes]) -> int:
    """Write frames to a file; returns how many there were."""
    count = 0
    try:
        with closing(frames):
            for frame in frames:
                spool.write(frame.view)
                count += 1
        spool.flush()
    except OSError as error:
        raise write_error(error)(
            f"playing the source backwards takes disk for the frames between two keyframes ({error.strerror})",
            "free some space, write elsewhere, or choose the length loop or hold",
        ) from error
    return count


def largest_spool(source: Source, spool_bytes: int = SPOOL_BYTES) -> int:
    """Bytes of disk that playing a source backwards takes at a time."""
    return max(high - low for low, high in _segments(source, 0, source.frame_count, spool_bytes)) * source.frame_bytes


def _segments(source: Source, start: int, stop: int, spool_bytes: int) -> list[tuple[int, int]]:
    """[start, stop) cut at keyframes, or, where decoding cannot begin there, where a piece would outgrow the spool.

    Short groups of pictures stay together: starting a decoder takes longer than decoding a few of them.
    """
    most = max(1, spool_bytes // source.frame_bytes)
    keys = source.clock.keyframes if source.seekable else ()
    cuts = [start]
    for key in keys[bisect.bisect_right(keys, start) : bisect.bisect_left(keys, stop)]:
        if key - cuts[-1] >= min(_LEAST_PIECE, most):
            cuts.append(key)
    return [
        (piece, min(piece + most, high)) for low, high in pairwise((*cuts, stop)) for piece in range(low, high, most)
    ]
