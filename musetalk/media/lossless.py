"""`LosslessWriter`: pictures into a video that gives back every one of their values."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

from musetalk.errors import PATH, OutputError
from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_process import Child
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
        self._out = out
        self._child = Child(ffmpeg_commands.encode_lossless(out, size=size, fps=fps), stdin=True, cancel=cancel)

    def __enter__(self) -> LosslessWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()

    def write(self, picture: UInt8Array) -> None:
        """Take the next picture: uint8 RGB [H, W, 3].

        Raises:
            OutputError: The encoder has ended (disk full, for instance), with its reason.
        """
        try:
            self._child.write(frame_of(picture).view)
        except BrokenPipeError as error:
            self._child.finish()
            raise self._failure() from error

    def finish(self) -> None:
        """Wait until the file is whole.

        Raises:
            OutputError: It could not be completed.
        """
        if self._child.finish() != 0:
            raise self._failure()

    def _failure(self) -> OutputError:
        other = OutputError(f'"{PATH}" cannot be encoded ({self._child.complaint})', path=self._out)
        return self._child.disk_error(self._out.parent) or other
