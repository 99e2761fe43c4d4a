"""`LosslessWriter`: pictures into a video that gives back every one of their values."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from musetalk.errors import PATH
from musetalk.media import ffmpeg_commands
from musetalk.media.frame_pipe import FramePipe
from musetalk.media.frames import frame_of
from musetalk.progress import CancelToken
from musetalk.utils.arrays import UInt8Array


class LosslessWriter:
    """One ffmpeg that takes RGB pictures from a pipe and encodes them without loss, as H.264 in RGB, silent.

    Use it as a context manager: leaving it without `finish` ends ffmpeg.

    Args:
        out: The file to make, .mp4 or .mkv; it is whole once `finish` returns.
        size: (width, height) of the pictures.
        fps: Their exact rate.
        cancel: Ends the encoder.
    """

    def __init__(self, out: Path, size: tuple[int, int], fps: Fraction, cancel: CancelToken | None = None) -> None:
        arguments = ffmpeg_commands.encode_lossless(out, size=size, fps=fps)
        self._pipe = FramePipe(arguments, out, PATH, cancel)

    def __enter__(self) -> LosslessWriter:
        return self

    def __exit__(self, *ended: object) -> None:
        self._pipe.close()

    def write(self, picture: UInt8Array) -> None:
        """Take the next picture: uint8 RGB [H, W, 3].

        Raises:
            OutputError: The encoder has ended (disk full, for instance), with its reason.
        """
        self._pipe.write(frame_of(picture).view)

    def finish(self) -> None:
        """Wait until the file is whole.

        Raises:
            OutputError: It could not be completed.
        """
        self._pipe.finish()
