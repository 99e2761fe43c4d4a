"""Ogg files that are several ones after another, as radio stations and joined recordings are."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_PAGE = struct.Struct("<4sBBQIIIB")  # RFC 3533: "OggS", version, flags, position, serial, sequence, checksum, segments
_FIRST = 0x02  # flag of a stream's first page
MOST_LINKS = 1000
_BLOCK = 2**20


def write_links(path: Path, name: Path) -> tuple[Path, ...]:
    """Write the parts of a chained Ogg file with a single stream as files of their own, NAME-0.SUFFIX and so on.

    Returns:
        Them in order; empty where the file is no chain, or one of several streams at once.
    """
    with path.open("rb") as file:
        parts = _links(file)
        if not 1 < len(parts) <= MOST_LINKS or any(streams > 1 for _, streams in parts):
            return ()
    return write_parts(path, [start for start, _ in parts], name)


def write_parts(path: Path, starts: Sequence[int], name: Path) -> tuple[Path, ...]:
    """Write what begins at some bytes of a file as files of their own, NAME-0.SUFFIX and so on."""
    links = tuple(name.with_name(f"{name.stem}-{number}{name.suffix}") for number in range(len(starts)))
    with path.open("rb") as file:
        for link, start, stop in zip(links, starts, [*starts[1:], path.stat().st_size], strict=True):
            file.seek(start)
            with link.open("wb") as part:
                while count := min(_BLOCK, stop - file.tell()):
                    part.write(file.read(count))
    return links


def streams_of_links(path: Path) -> tuple[int, ...]:
    """Return how many streams the parts of a chained Ogg file have, part by part; empty between damaged pages."""
    with path.open("rb") as file:
        return tuple(streams for _, streams in _links(file))


def _links(file: IO[bytes]) -> list[tuple[int, int]]:
    """Return where the parts begin, in bytes, and how many streams each has; empty between damaged pages."""
    links: list[tuple[int, int]] = []
    place, begun = 0, False  # whether the page before was a stream's first one
    while len(head := file.read(_PAGE.size)) == _PAGE.size:
        magic, _, flags, *_, segments = _PAGE.unpack(head)
        if magic != b"OggS":
            return []
        if flags & _FIRST:
            start, streams = links.pop() if begun else (place, 0)
            links.append((start, streams + 1))
        begun = bool(flags & _FIRST)
        place = file.tell() + segments + sum(file.read(segments))
        file.seek(place)
    return links
