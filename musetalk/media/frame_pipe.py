"""`FramePipe`: frames into an ffmpeg that makes a file of them."""

from __future__ import annotations

from pathlib import Path

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_process import Child
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
