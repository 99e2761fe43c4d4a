"""What renders hand to their encoders."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from musetalk.media.frames import Frame
from musetalk.media.part_writer import PartWriter
from musetalk.media.writer import VideoWriter


class Handed:
    """Digests of the frames that renders hand to their encoders, which need not repeat themselves."""

    def __init__(self) -> None:
        self.frames: dict[Path, list[bytes]] = {}

    def same(self, out: Path, other: Path) -> bool:
        """Whether two outputs are of the same frames."""
        return len(self.frames[out]) > 0 and self.frames[out] == self.frames[other]


def watch_handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    """Return what is handed from now on."""
    taken = Handed()

    def watch(writer: type[VideoWriter | PartWriter]) -> None:
        def watched(self: VideoWriter | PartWriter, frame: Frame) -> None:
            taken.frames.setdefault(self._out, []).append(digest_of(frame))
            write(self, frame)  # type: ignore[arg-type]

        write = writer.write
        monkeypatch.setattr(writer, "write", watched)

    watch(VideoWriter)
    watch(PartWriter)
    return taken


def digest_of(frame: Frame) -> bytes:
    """The digest of a frame's pixels."""
    return sha256(frame.view).digest()
