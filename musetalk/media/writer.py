"""Frames and a voice into one file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.errors import OutputError
from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.ffmpeg_process import Child
from musetalk.media.frame_pipe import FrameWriter
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.types import ColorTags
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings
from musetalk.utils.cores import share_threads, usable_cores
from musetalk.utils.files import put_in_place

OUTPUT_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")


def check_encoder(settings: EncoderSettings) -> None:
    """Make sure that the codec asked for can run here.

    Raises:
        OutputError: It cannot.
    """
    if settings.codec == "x264":
        return  # every ffmpeg that imageio-ffmpeg carries has it; a trial would cost each render its time
    try:
        try_encoder(settings)
    except OutputError as error:
        raise OutputError(f"NVENC cannot be used here ({error})", "choose the codec x264") from error


def try_encoder(settings: EncoderSettings) -> None:
    """Encode a few black frames to nowhere.

    Raises:
        OutputError: That does not work, with the encoder's reason.
    """
    trial_encode([frame_of(np.zeros((256, 256, 3), np.uint8))] * 4, Fraction(25), settings)


def trial_encode(
    frames: Sequence[Frame], fps: Fraction, settings: EncoderSettings, cancel: CancelToken | None = None
) -> None:
    """Encode frames of one layout to nowhere, to see whether and how fast it works.

    Raises:
        OutputError: It does not work, with the encoder's reason.
    """
    arguments = ffmpeg_commands.encode_trial(layout=frames[0].layout, fps=fps, settings=settings)
    with Child(arguments, stdin=True, cancel=cancel) as child:
        try:
            for frame in frames:
                child.write(frame.view)
        except BrokenPipeError as error:
            child.finish()
            raise OutputError(child.complaint) from error
        if child.finish() != 0:
            raise OutputError(child.complaint)


class VideoWriter(FrameWriter):
    """One ffmpeg that takes frames from a pipe, encodes them and muxes the sound.

    Use it as a context manager: leaving it without `finish` ends ffmpeg and leaves no output.

    Args:
        out: The file to make.
        folder: Where it is written until it is whole; on the same file system as `out`.
        layout: Of the frames.
        fps: Their exact rate.
        sound: What is heard.
        color: Color tags to write.
        settings: Codec and quality.
        comment: Goes into the file's metadata.
        captions: A file of them, for a track that players switch on; None: there is none.
        cancel: Ends the encoder.
    """

    def __init__(
        self,
        out: Path,
        *,
        folder: Path,
        layout: FrameLayout,
        fps: Fraction,
        sound: SoundTrack,
        color: ColorTags,
        settings: EncoderSettings,
        comment: str,
        captions: Path | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        partial = folder / f"partial{out.suffix.lower()}"
        arguments = ffmpeg_commands.encode(
            partial,
            layout=layout,
            fps=fps,
            sound=sound,
            color=color,
            settings=settings,
            comment=comment,
            captions=captions,
            threads=share_threads(usable_cores()).encoder,
        )
        super().__init__(arguments, partial, out, layout, cancel)

    def __enter__(self) -> VideoWriter:
        return self

    def finish(self) -> None:
        """Wait until the file is whole, then give it its name.

        Raises:
            OutputError: It could not be completed.
        """
        put_in_place(self._complete(), self._out)
