"""Frames into an ffmpeg that makes a file of them: `FramePipe` takes bytes, a `FrameWriter` frames of one layout."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_process import Child
from musetalk.media.frames import Frame, FrameLayout
from musetalk.progress import CancelToken


class FramePipe:
    """One ffmpeg that takes frames from a pipe. Whoever opens it closes it.

    Args:
        arguments: What follows the executable's name.
        out: The file that is to come of it.
        name: What errors call that; `PATH` in it stands for its path.
        cancel: Ends the encoder.
    """

    def __init__(self, arguments: list[str], out: Path, name: str, cancel: CancelToken | None = None) -> None:
        self._out, self._name = out, name
        self._child = Child(arguments, stdin=True, cancel=cancel)

    def close(self) -> None:
        """End the encoder, whatever it does."""
        self._child.kill()

    def write(self, data: memoryview) -> None:
        """Hand on the bytes of one frame.

        Raises:
            OutputError: The encoder has ended (disk full, for instance), with its reason.
        """
        try:
            self._child.write(data)
        except BrokenPipeError as error:
            self._child.finish()
            raise self.failure() from error

    def finish(self) -> None:
        """Wait until the encoder has written everything.

        Raises:
            OutputError: It could not.
        """
        if self._child.finish() != 0:
            raise self.failure()

    def failure(self) -> OutputError:
        """Return why nothing came of it: the disk is full, or what the encoder says."""
        other = OutputError(f'"{self._name}" cannot be encoded ({self._child.complaint})', path=self._out)
        return self._child.disk_error(self._out.parent) or other


class FrameWriter:
    """One ffmpeg that takes frames of one layout from a pipe. As a context manager, leaving it ends ffmpeg.

    Args:
        arguments: What follows the executable's name.
        place: The file that it writes.
        out: What that is to become, or a part of; errors are about it.
        layout: Of the frames.
        cancel: Ends the encoder.
    """

    def __init__(
        self, arguments: list[str], place: Path, out: Path, layout: FrameLayout, cancel: CancelToken | None
    ) -> None:
        self._place, self._out, self._layout = place, out, layout
        self._pipe = FramePipe(arguments, out, out.name, cancel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()

    def write(self, frame: Frame) -> None:
        """Hand on one frame.

        Raises:
            OutputError: The encoder has ended (disk full, for instance), with its reason.
        """
        if frame.layout != self._layout:
            raise ValueError(f"a frame of {frame.layout} was handed to a writer of {self._layout}")
        self._pipe.write(frame.view)

    def _complete(self) -> Path:
        """Wait until the file is whole, and return it.

        Raises:
            OutputError: It could not be completed.
        """
        self._pipe.finish()
        if not self._place.is_file():
            raise self._pipe.failure()
        return self._place
