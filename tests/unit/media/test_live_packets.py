from __future__ import annotations

import pytest

from musetalk.errors import OutputError
from musetalk.media.live.flv import Packet, PacketReader

HEADER = b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"


def tag(kind: int, data: bytes) -> bytes:
    head = bytes([kind]) + len(data).to_bytes(3, "big") + bytes(7)
    return head + data + (len(head) + len(data)).to_bytes(4, "big")


STREAM = b"".join(
    [
        HEADER,
        tag(18, b"\x02\x00\x0aonMetaData"),
        tag(9, b"\x17\x00\x00\x00\x00avcC"),
        HEADER,  # of the second file in the same pipe
        tag(8, b"\xaf\x00\x11\x88"),
        tag(9, b"\x17\x01\x00\x00\x00FLV key"),
        tag(8, b"\xaf\x01FLV"),
        tag(9, b"\x27\x01\x00\x00\x00"),
        tag(9, b"\x17\x02\x00\x00\x00"),  # the end of the pictures
    ]
)
PACKETS = [
    Packet("picture", True, True, b"avcC"),
    Packet("sound", True, True, b"\x11\x88"),
    Packet("picture", False, True, b"FLV key"),
    Packet("sound", False, True, b"FLV"),
    Packet("picture", False, False, b""),
]


@pytest.mark.parametrize("piece", [1, 7, 16, len(STREAM)])
def test_packets_are_the_same_in_pieces_of_any_length(piece: int) -> None:
    reader = PacketReader()
    pieces = [STREAM[start : start + piece] for start in range(0, len(STREAM), piece)]
    assert [packet for each in pieces for packet in reader.feed(each)] == PACKETS


@pytest.mark.parametrize("strange", [b"\x00" * 40, tag(8, b"\x2f\x01mp3"), tag(9, b"\x12\x00\x00\x00\x00h263")])
def test_what_is_no_packet_of_these_codecs_is_refused(strange: bytes) -> None:
    with pytest.raises(OutputError, match=r"H\.264 or AAC"):
        list(PacketReader().feed(HEADER + strange))
