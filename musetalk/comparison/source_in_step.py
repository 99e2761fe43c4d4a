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
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.playback import play_over
from musetalk.media.probe import probe_source, probe_wanted
from musetalk.media.types import Source
from musetalk.media.writer import VideoWriter
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings, SourceSettings


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
    count, layout = made.frame_count, _layout_beside(source, made)
    writer = VideoWriter(
        out,
        folder=folder,
        layout=layout,
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
            writer.write(_scaled(frame, layout))
            on_frame(done, count)
        writer.finish()


def _layout_beside(source: Source, made: Source) -> FrameLayout:
    """Return how the source is written beside a result: as it is, unless frame steps have given that another size."""
    own, beside = (source.width, source.height), (made.width, made.height)
    return source.layout if beside == encoded_size(own) else FrameLayout(*beside)


def _scaled(frame: Frame, layout: FrameLayout) -> Frame:
    if frame.layout == layout:
        return frame
    size = (layout.width, layout.height)
    return frame_of(np.asarray(cv2.resize(frame.rgb(), size, interpolation=cv2.INTER_CUBIC), np.uint8))
