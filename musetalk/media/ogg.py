"""Ogg files that are several ones after another, as radio stations and joined recordings are."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

_PAGE = struct.Struct("<4sBBQIIIB")  # RFC 3533: "OggS", version, flags, position, serial, sequence, checksum, segments
_FIRST = 0x02  # flag of a stream's first page
_MOST_LINKS = 1000
_BLOCK = 2**20


def write_links(path: Path, name: Path) -> tuple[Path, ...]:
    """Write the parts of a chained Ogg file with a single stream as files of their own, NAME-0.SUFFIX and so on.

    Returns:
        Them in order; empty where the file is no chain, or one of several streams at once.
    """
    with path.open("rb") as file:
        starts = _starts(file)
        if not 1 < len(starts) <= _MOST_LINKS:
            return ()
        links = tuple(name.with_name(f"{name.stem}-{number}{name.suffix}") for number in range(len(starts)))
        for link, start, stop in zip(links, starts, [*starts[1:], path.stat().st_size], strict=True):
            file.seek(start)
            with link.open("wb") as part:
                while count := min(_BLOCK, stop - file.tell()):
                    part.write(file.read(count))
    return links


def _starts(file: IO[bytes]) -> list[int]:
    """Where the parts begin, in bytes; empty where one of them has several streams, or between damaged pages."""
    starts: list[int] = []
    place, begun = 0, False  # whether the page before was a stream's first one
    while len(head := file.read(_PAGE.size)) == _PAGE.size:
        magic, _, flags, *_, segments = _PAGE.unpack(head)
        if magic != b"OggS":
            return []
        if flags & _FIRST:
            if begun:
                return []
            starts.append(place)
        begun = bool(flags & _FIRST)
        place = file.tell() + segments + sum(file.read(segments))
        file.seek(place)
    return starts
