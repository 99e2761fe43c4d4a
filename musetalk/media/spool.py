"""`Spool`: frames in a row that are written to a temporary file forwards, and read from it backwards."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Generator
from pathlib import Path
from types import TracebackType

from musetalk.media.frames import Frame, FrameLayout


class Spool:
    """A temporary file of frames [low, high). Made by one thread at a time.

    Args:
        folder: Where the file is; it has no name there, and goes with the process.
        layout: Of the frames.
        low: The first frame.
        high: End, exclusive.
    """

    def __init__(self, folder: Path, layout: FrameLayout, low: int, high: int) -> None:
        self.low, self.high = low, high
        self._folder, self._layout = folder, layout
        self._file: io.FileIO | None = None
        self._count = 0

    def __enter__(self) -> Spool:
        """Return it; `close` follows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def whole(self) -> bool:
        """Whether all of its frames are there."""
        return self._count == self.high - self.low

    def write(self, frame: Frame) -> None:
        """Add the next frame.

        Raises:
            OSError: There is no room.
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by `close`
        if self._file.write(frame.view) < len(frame.view):
            raise OSError("No space left on device")
        self._count += 1

    def backwards(self) -> Generator[Frame, None, None]:
        """Yield its frames, the last one first, and close it."""
        for index in reversed(range(self._count)):
            frame = Frame(self._layout)
            assert self._file is not None  # noqa: S101 - it has frames
            self._file.seek(index * self._layout.frame_bytes)
            self._file.readinto(frame.view)
            yield frame
        self.close()

    def close(self) -> None:
        """Free its room."""
        if self._file is not None:
            self._file.close()
            self._file, self._count = None, 0
