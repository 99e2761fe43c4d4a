"""What picture files are made of: boxes in boxes (MP4, HEIC, AVIF), chunk after chunk (PNG)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_CONTENT_BYTES = 2**20  # of a box that is read whole
_VERSIONED = (b"meta",)  # hold a version before other boxes
_KEYWORD_BYTES = 80  # of a text in a PNG, with the zero behind it
_TEXTS, _HELD = (b"tEXt", b"zTXt", b"iTXt"), (b"XML:com.adobe.xmp", b"Raw profile type")


def boxes(file: BinaryIO, kinds: tuple[bytes, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the contents of all boxes at a path lie, as (start, end) in the file."""
    while end - start >= 8:
        file.seek(start)
        head = file.read(16)
        size, place = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:  # too large for 32 bits
            size, place = int.from_bytes(head[8:], "big"), start + 16
        stop = end if size == 0 else start + size
        if not place <= stop <= end:
            return
        if head[4:8] in _VERSIONED:
            place += 4
        if head[4:8] == kinds[0]:
            if len(kinds) == 1:
                yield place, stop
            else:
                yield from boxes(file, kinds[1:], place, stop)
        start = stop


def content(file: BinaryIO, kinds: tuple[bytes, ...], start: int, end: int) -> bytes:
    """Return the content of the first box at a path below a place in a file; empty: there is none."""
    found = next(boxes(file, kinds, start, end), None)
    if found is None:
        return b""
    file.seek(found[0])
    return file.read(min(found[1] - found[0], _CONTENT_BYTES))


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield a PNG's chunks in order, as (kind, data); an empty one where the file ends before IEND."""
    file.seek(len(PNG_MAGIC))
    while len(start := file.read(8)) == 8:
        size, kind = int.from_bytes(start[:4], "big"), start[4:]
        data = file.read(size)
        if len(data) < size or len(file.read(4)) < 4:
            break
        yield kind, data
        if kind == b"IEND":
            return
    yield b"", b""


def png_chunk(path: Path, kind: bytes) -> bytes:
    """Return the first chunk of a kind before a PNG's pixels; empty: there is none."""
    with path.open("rb") as file:
        for found, data in png_chunks(file):
            if found == kind:
                return data
            if found == b"IDAT":
                break
    return b""


def png_may_be_turned(path: Path) -> bool:
    """Return whether a PNG carries what may say how it is held: EXIF or XMP, before or behind its pixels."""
    with path.open("rb") as file:
        file.seek(len(PNG_MAGIC))
        while len(start := file.read(8)) == 8:
            size, kind = int.from_bytes(start[:4], "big"), start[4:]
            word = file.read(min(size, _KEYWORD_BYTES))
            if kind == b"eXIf" or (kind in _TEXTS and word.startswith(_HELD)):
                return True
            file.seek(size - len(word) + 4, 1)
    return False
