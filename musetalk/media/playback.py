"""A source played in the order of a timeline, backwards too, in bounded memory and disk."""

from __future__ import annotations

import bisect
import itertools
import logging
from collections.abc import Generator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Literal

from musetalk.errors import MediaError, write_error
from musetalk.media.frames import Frame
from musetalk.media.reader import decode
from musetalk.media.spool import Spool
from musetalk.media.timing.timeline import Run, Timeline
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.utils.prefetch import prefetch

SPOOL_BYTES = 2**30  # disk that backward playing may take at a time
_AT_ONCE = 3  # spool files: one is read, one is ready, one is written
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
    keep: bool = False,
    cancel: CancelToken | None = None,
) -> Generator[Frame, None, None]:
    """Yield output frames [start, stop), as they are decoded, each in memory of its own.

    What is kept of the source is read from there. Backwards, the rest is decoded forwards from keyframe to keyframe
    into spool files, which are then read from their ends. What comes before a turn is written down as it is shown, and
    while one file is read, a thread writes the next, so that nobody waits for a decoder: mostly one decoding per frame,
    one frame in memory, at most `spool_bytes` (three frames at least) on disk.

    Args:
        source: Where from.
        timeline: Its order.
        start: First output frame.
        stop: End, exclusive.
        spool_dir: A folder for temporary files, which lasts as long as the source is used.
        spool_bytes: Most bytes of spool files.
        keep: Whether pictures are kept there for when they are shown again, if there is room.
        cancel: Ends it.

    Raises:
        MediaError: The source cannot be decoded as far as the timeline needs.
    """
    with ExitStack() as files:
        turn: Spool | None = None  # of what comes before the next turn
        for run, following in pairwise(itertools.chain(timeline.runs(start, stop), (None,))):
            assert run is not None  # noqa: S101 - only the last is
            length = run.stop - run.start
            if run.step == 1:
                keep_in = spool_dir if keep and length == source.frame_count else None
                frames = decode(source, run.source, run.source + length, keep_in=keep_in, cancel=cancel)
                if following is not None and following.step == -1:
                    turn = _before_turn(source, run, following, spool_dir, spool_bytes)
                    files.pop_all().close()
                    files.enter_context(turn)
                    frames = _written_down(frames, run.source, source, turn)
            elif run.step == -1:
                low = run.source - length + 1
                frames = _read_backwards(source, low, run.source + 1, turn, spool_dir, spool_bytes, cancel)
            else:
                frames = _hold(source, run.source, length, cancel)
            count = 0
            with closing(frames):
                for frame in frames:
                    yield frame
                    count += 1
            if count != length:
                raise _ended_early(source, run.source + count)


def _ended_early(source: Source, frame: int) -> MediaError:
    problem = f'"{source.path.name}" ends after frame {frame} of {source.frame_count}: it is damaged'
    return MediaError(problem, "export it again, or cut off its end", path=source.path)


def play_endlessly(
    source: Source, mode: Literal["pingpong", "loop", "hold"], *, folder: Path, cancel: CancelToken | None = None
) -> Generator[Frame, None, None]:
    """Yield what an output without an end shows of a source, kept in `folder` if there is room; see `play`, `Timeline`.

    Raises:
        MediaError: The source cannot be decoded.
    """
    timeline = Timeline(_ENDLESS, _ENDLESS, source.frame_count, mode)
    yield from play(source, timeline, 0, _ENDLESS, spool_dir=folder, keep=True, cancel=cancel)


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
    source: Source,
    start: int,
    stop: int,
    turn: Spool | None,
    spool_dir: Path,
    spool_bytes: int,
    cancel: CancelToken | None,
) -> Generator[Frame, None, None]:
    """Yield source frames [start, stop), the last one first; `turn`: those that were written down before."""
    for frame in _kept_backwards(source, start, stop):
        yield frame
        stop -= 1
    if start == stop:
        return
    part = CancelToken(cancel)
    with ExitStack() as files:
        spools = prefetch(
            _spools(source, start, stop, turn, spool_dir, spool_bytes, files, part), capacity=1, name="backwards"
        )
        files.callback(spools.close)
        files.callback(part.cancel)  # comes first
        for spool in spools:
            yield from spool.backwards()


def _kept_backwards(source: Source, start: int, stop: int) -> Generator[Frame, None, None]:
    """Yield the last of source frames [start, stop), the very last one first, as far as they are kept."""
    kept, picture = source.experience.kept, source.clock.picture
    if kept is None or kept.layout != source.layout or not kept.covers(picture(start), picture(stop - 1)):
        return
    for number in reversed(range(start, stop)):
        frame = kept.picture(picture(number))
        if frame is None:
            return
        yield frame


def _spools(
    source: Source,
    start: int,
    stop: int,
    turn: Spool | None,
    folder: Path,
    spool_bytes: int,
    files: ExitStack,
    cancel: CancelToken,
) -> Generator[Spool, None, None]:
    """Yield source frames [start, stop) in spools, the last one first, as far as they can be decoded.

    `files` closes them at the latest.
    """
    if turn is not None and turn.whole and turn.high == stop:
        yield turn
        stop = turn.low
    if start == stop:
        return
    for low, high in reversed(_segments(source, start, stop, spool_bytes)):
        spool = files.enter_context(Spool(folder, source.layout, low, high))
        with closing(decode(source, low, high, cancel=cancel)) as frames:
            for frame in frames:
                _write(frame, spool)
        if not spool.whole:
            return
        yield spool


def _write(frame: Frame, spool: Spool) -> None:
    try:
        spool.write(frame)
    except OSError as error:
        raise write_error(error)(
            f"playing the source backwards takes disk for the frames between two keyframes ({error.strerror or error})",
            "free some space, write elsewhere, or choose the length loop or hold",
        ) from error


def _before_turn(source: Source, forwards: Run, backwards: Run, folder: Path, spool_bytes: int) -> Spool:
    """Return an empty spool for what a run backwards shows first, as far as the run before it comes by there."""
    high = backwards.source + 1
    first = high - (backwards.stop - backwards.start)
    return Spool(folder, source.layout, max(first, forwards.source, high - _most(source, spool_bytes)), high)


def _written_down(
    frames: Generator[Frame, None, None], first: int, source: Source, turn: Spool
) -> Generator[Frame, None, None]:
    """Pass source frames on, from `first`, and write down those that belong to a spool, unless they are kept anyway."""
    with closing(frames):
        for number, frame in enumerate(frames, first):
            kept = source.experience.kept
            if turn.low <= number < turn.high and (kept is None or not kept.numbers):
                try:
                    turn.write(frame)
                except OSError as error:
                    _log.info("frames before a turn are decoded again: they cannot be written down (%s)", error)
                    turn.close()
                    break
            yield frame
        else:
            return
        yield frame
        yield from frames


def largest_spool(source: Source, spool_bytes: int = SPOOL_BYTES) -> int:
    """Bytes of disk that playing a source backwards takes at a time."""
    longest = max(high - low for low, high in _segments(source, 0, source.frame_count, spool_bytes))
    at_once = _most(source, spool_bytes) + (_AT_ONCE - 1) * longest
    return min(source.frame_count, at_once) * source.frame_bytes


def _most(source: Source, spool_bytes: int) -> int:
    """Return how many frames a spool may hold."""
    return max(1, spool_bytes // (_AT_ONCE * source.frame_bytes))


def _segments(source: Source, start: int, stop: int, spool_bytes: int) -> list[tuple[int, int]]:
    """[start, stop) cut at keyframes, or, where decoding cannot begin there, in even pieces that fit into a spool.

    Short groups of pictures stay together: starting a decoder takes longer than decoding a few of them.
    """
    most = _most(source, spool_bytes)
    keys = source.clock.keyframes if source.seekable else ()
    cuts = [start]
    for key in keys[bisect.bisect_right(keys, start) : bisect.bisect_left(keys, stop)]:
        if key - cuts[-1] >= min(_LEAST_PIECE, most):
            cuts.append(key)
    return [piece for low, high in pairwise((*cuts, stop)) for piece in _even_pieces(low, high, most)]


def _even_pieces(low: int, high: int, most: int) -> list[tuple[int, int]]:
    count = -(-(high - low) // most)
    return list(pairwise(low + (high - low) * number // count for number in range(count + 1)))
