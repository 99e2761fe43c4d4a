"""Files that end before they should, as their own layout tells: ffmpeg reads many of them to any end without a word."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from musetalk.media.containers.boxes import boxes
from musetalk.media.containers.ogg import streams_of_links

_PAGE = struct.Struct("<4sB21sB")  # of Ogg (RFC 3533): "OggS", version, what does not matter here, number of segments
_TAIL = 2**18  # bytes: more than the largest page, packet or pack
_HEAD = 2**16
_SYNC = 0x47  # with which packets of a transport stream begin (ISO 13818-1)
_SYNCS = 5  # of them one after another make a transport stream
_TRANSPORT_PACKETS = {188: 0, 192: 4, 204: 0}  # bytes of one, and where in it the sync byte is
_START, _PACK, _END = b"\0\0\1", 0xBA, 0xB9  # of a programme stream (ISO 13818-1)
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # ASF's object of this kind
# Its size and the file's id, then bytes of the file, when it was made, packets, play and send duration, preroll, flags.
_PROPERTIES = struct.Struct("<8x16xQ8x8xQ8xQI")
_BROADCAST = 1  # flag: sizes and times are not known
_TICKS, _MILLISECONDS = 10_000_000, 1000  # of a second, in which durations and preroll are
_WAV_SECONDS = struct.Struct("<8xI")  # in a format chunk: bytes of a second
_FLV_HEADER, _FLV_TAG, _FLV_LENGTH = 13, 11, 4  # bytes of FLV's header, of a tag's, and of the length behind a tag
_UNKNOWN_SIZE = 2**31  # bytes of samples: what programs write that do not know the end yet is larger, or 0
_FRAMES_AND_BYTES = 3  # flags of an MP3's first frame: it says how many frames and bytes follow


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that ends before it should.

    Attributes:
        seconds: How long it says that it lasts; None: it does not, or only where ffmpeg, too, reads it.
        inside_picture: Whether the last of its pictures may lack its end.
    """

    seconds: float | None = None
    inside_picture: bool = False


def find_cut(path: Path, containers: tuple[str, ...]) -> Cut | None:
    """Return whether a file's own layout tells that it is cut off; None: it does not.

    Args:
        path: The file.
        containers: The names of its container.
    """
    look = next((_LOOKS[name] for name in containers if name in _LOOKS), None)
    if look is None:
        return None
    with path.open("rb") as file:
        return look(file, file.seek(0, os.SEEK_END))


def is_joined(path: Path, containers: tuple[str, ...]) -> bool:
    """Whether an FLV or MP4 file, or an Ogg film, is several ones end to end, of which ffmpeg reads the first."""
    if "ogg" in containers:
        streams = streams_of_links(path)
        return len(streams) > 1 and max(streams) > 1  # with a single stream at a time, all are read
    with path.open("rb") as file:
        if "flv" in containers:
            return _meets_flv(file)
        return "mov" in containers and sum(1 for _ in boxes(file, (b"moov",), 0, path.stat().st_size)) > 1


def _meets_flv(file: BinaryIO) -> bool:
    """Return whether another file begins behind a tag of this one."""
    file.seek(_FLV_HEADER)
    while len(tag := file.read(_FLV_TAG)) == _FLV_TAG and not tag.startswith(b"FLV\x01"):
        file.seek(int.from_bytes(tag[1:4], "big") + _FLV_LENGTH, os.SEEK_CUR)
    return len(tag) == _FLV_TAG


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - _TAIL))
    return file.read(_TAIL)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD)


def _ogg(file: BinaryIO, size: int) -> Cut | None:
    """Cut inside a page."""
    tail = _tail(file, size)
    at = tail.rfind(b"OggS\0")
    page = tail[at:]
    if at < 0:
        return None
    segments = page[_PAGE.size - 1] if len(page) >= _PAGE.size else 0
    table = page[_PAGE.size : _PAGE.size + segments]
    stop = _PAGE.size + segments + sum(table)
    begun = page[stop:]
    return Cut() if stop > len(page) or (begun and b"OggS\0".startswith(begun)) else None


def _transport(file: BinaryIO, size: int) -> Cut | None:
    """Cut inside a packet: what is behind the last whole one begins as one."""
    tail = _tail(file, size)
    for length, sync in _TRANSPORT_PACKETS.items():
        for at in range(len(tail) - _SYNCS * length, max(0, len(tail) - (_SYNCS + 1) * length), -1):
            if all(tail[at + sync + number * length] == _SYNC for number in range(_SYNCS)):
                begun = tail[at + _SYNCS * length :]
                return Cut(inside_picture=True) if begun and (len(begun) <= sync or begun[sync] == _SYNC) else None
    return None


def _programme(file: BinaryIO, size: int) -> Cut | None:
    """Cut inside a packet of the last pack."""
    tail = _tail(file, size)
    at = tail.rfind(_START + bytes([_PACK]))
    while 0 <= at < len(tail):
        head = tail[at : at + 14]
        if head[:3] != _START[: len(head)]:
            return None  # damaged, or something else behind the end
        if len(head) < 6:
            return None if head[3:4] == bytes([_END]) else Cut(inside_picture=True)
        if head[3] == _PACK:
            modern = head[4] >> 6 == 1
            at += 14 + (head[13] & 7 if len(head) == 14 else 0) if modern else 12
        else:
            at += 4 if head[3] == _END else 6 + int.from_bytes(head[4:6], "big")
    return Cut(inside_picture=True) if at > len(tail) else None


def _asf(file: BinaryIO, size: int) -> Cut | None:
    """Shorter than its header says."""
    head = _head(file)
    at = head.find(_FILE_PROPERTIES) + len(_FILE_PROPERTIES)
    if at < len(_FILE_PROPERTIES) or len(head) < at + _PROPERTIES.size:
        return None
    announced, duration, preroll, flags = _PROPERTIES.unpack_from(head, at)
    if flags & _BROADCAST or announced <= size:
        return None
    return Cut(duration / _TICKS - preroll / _MILLISECONDS, inside_picture=True)


def _wav(file: BinaryIO, size: int) -> Cut | None:
    """With fewer samples than its header says."""
    head = _head(file)
    rate, at = 0, 12
    while len(head) >= at + 8:
        name, length = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"data":
            known = 0 < length < _UNKNOWN_SIZE and rate > 0
            return Cut(length / rate) if known and at + length > size else None
        if name == b"fmt " and len(head) >= at + _WAV_SECONDS.size:
            (rate,) = _WAV_SECONDS.unpack_from(head, at)
        at += length + length % 2
    return None


def _mp3(file: BinaryIO, size: int) -> Cut | None:
    """With fewer bytes than its first frame says; how long they last is read by ffmpeg."""
    head = _head(file)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or len(head) < at + 16:
        return None
    flags, _, announced = struct.unpack_from(">III", head, at + 4)
    return Cut() if flags & _FRAMES_AND_BYTES == _FRAMES_AND_BYTES and announced > size else None


_LOOKS: dict[str, Callable[[BinaryIO, int], Cut | None]] = {
    "asf": _asf,
    "mp3": _mp3,
    "ogg": _ogg,
    "wav": _wav,
    "mpegts": _transport,
    "mpeg": _programme,
}
