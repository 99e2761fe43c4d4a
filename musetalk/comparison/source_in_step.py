"""The source as a video in step with the results: the same frames in the same order, with their voice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from musetalk.comparison.side_by_side import sound_of
from musetalk.media.filters import encoded_size
from musetalk.media.playback import play_over
from musetalk.media.probe import probe_source, probe_wanted
from musetalk.media.types import Source
from musetalk.media.writer import VideoWriter
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings, SourceSettings
from musetalk.utils.arrays import UInt8Array


def write_source_in_step(
    video: Path,
    result: Path,
    out: Path,
    *,
    folder: Path,
    wanted: SourceSettings,
    length: Literal["pingpong", "loop", "hold"],
    encoder: EncoderSettings,
    on_frame: Callable[[int, int], None],
    cancel: CancelToken,
) -> None:
    """Write the source as a video whose every frame is the one that the same frame of a result was painted over.

    Args:
        video: The source: a video, a picture, or a folder of pictures.
        result: What a render has made of it.
        out: The file to make.
        folder: Temporary, on the same file system.
        wanted: How the source was read.
        length: What the picture does where the voice is longer.
        encoder: How the output is written.
        on_frame: Called with the frames written and those there will be.
        cancel: Ends the work.

    Raises:
        MuseTalkError: One cannot be read, or the output not be written.
    """
    made = probe_source(result, wanted.limits, fps=wanted.fps, cancel=cancel)
    source = probe_wanted(video, wanted, cancel)
    count, size = made.frame_count, _size_beside(source, made)
    writer = VideoWriter(
        out,
        folder=folder,
        size=size,
        fps=made.fps,
        sound=sound_of(made),
        color=source.output_color,
        settings=encoder,
        comment="MuseTalk Hybrid: the source, as the results beside it show it",
        cancel=cancel,
    )
    frames = play_over(source, count, length, spool_dir=folder, cancel=cancel)
    with writer, closing(frames):
        for done, frame in enumerate(frames, 1):
            writer.write(_scaled(frame, size))
            on_frame(done, count)
        writer.finish()


def _size_beside(source: Source, made: Source) -> tuple[int, int]:
    """Return the size of the source beside a result: its own, unless frame steps have given that another one."""
    own, beside = (source.width, source.height), (made.width, made.height)
    return own if beside == encoded_size(own) else beside


def _scaled(frame: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)
