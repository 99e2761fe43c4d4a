"""FLAC files that are several ones end to end: where they meet, ffmpeg's parser loses count of what it has read."""

from __future__ import annotations

import re
from pathlib import Path

from musetalk.media.containers.ogg import MOST_LINKS, write_parts

_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)  # RFC 9639: the marker, and the first block's header
_LONGEST = 8  # bytes of that
_BLOCK = 2**20


def write_joined(path: Path, name: Path) -> tuple[Path, ...]:
    """Write the parts of a joined FLAC file as files of their own, NAME-0.SUFFIX and so on.

    Returns:
        Them in order; empty where the file is a single one.
    """
    starts: list[int] = []
    with path.open("rb") as file:
        place, kept = 0, b""
        while block := file.read(_BLOCK):
            data = kept + block
            starts += [place - len(kept) + found.start() for found in _BEGINNING.finditer(data)]
            place, kept = place + len(block), data[-(_LONGEST - 1) :]
    if not 1 < len(starts) <= MOST_LINKS:
        return ()
    return write_parts(path, starts, name)
