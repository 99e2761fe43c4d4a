"""Packets out of FLV as it arrives: each has its size in front, and what decoders have to know comes before the first.

Several FLV files may run through one pipe, tag by tag; their headers are told from tags, and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from musetalk.errors import OutputError

_FILE, _FILE_BYTES = b"FLV", 13  # a file's header with the size of the tag before the first: 0
_TAG_BYTES, _SIZE_BYTES = 11, 4  # before a tag's data, and behind it: how large it was
_SOUND, _PICTURE, _SCRIPT = 8, 9, 18
_H264, _AAC = 7, 10
_KEY = 1
_CONFIGURATION, _PACKET = 0, 1


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of an encoder.

    Attributes:
        kind: Of what.
        configuration: Whether it is what decoders have to know: AVCDecoderConfigurationRecord, or AudioSpecificConfig.
        key: Whether decoding may begin with it.
        data: Of H.264 NAL units with their lengths in front, of AAC a raw frame.
    """

    kind: Literal["picture", "sound"]
    configuration: bool
    key: bool
    data: bytes


class PacketReader:
    """Takes FLV in pieces of any length, gives its packets of H.264 and AAC."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that end in the next piece.

        Raises:
            OutputError: It is no FLV, or of other codecs.
        """
        self._rest += data
        while (size := self._next_bytes()) <= len(self._rest):
            tag = bytes(self._rest[:size])
            del self._rest[:size]
            if not tag.startswith(_FILE) and (packet := _packet(tag)) is not None:
                yield packet

    def _next_bytes(self) -> int:
        """Return how long what comes next is, as far as that is known."""
        if len(self._rest) < _TAG_BYTES or self._rest.startswith(_FILE):
            return _FILE_BYTES
        return _TAG_BYTES + int.from_bytes(self._rest[1:4], "big") + _SIZE_BYTES


def _packet(tag: bytes) -> Packet | None:
    kind, data = tag[0], tag[_TAG_BYTES:-_SIZE_BYTES]
    if kind == _SOUND and len(data) >= 2 and data[0] >> 4 == _AAC:
        return Packet("sound", data[1] == _CONFIGURATION, True, data[2:])
    if kind == _PICTURE and len(data) >= 5 and data[0] & 15 == _H264:
        if data[1] not in {_CONFIGURATION, _PACKET}:
            return None  # the end of the stream
        return Packet("picture", data[1] == _CONFIGURATION, data[0] >> 4 == _KEY, data[5:])
    if kind == _SCRIPT:
        return None
    raise OutputError(f"ffmpeg gave what is no packet of H.264 or AAC (a tag of the kind {kind})")
