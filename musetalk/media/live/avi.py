"""Raw pictures and sound as one AVI stream without an end, for ffmpeg to read from a pipe.

An AVI is chunks one after another, each with its size in front: a reader has a picture as soon as its last byte is
there, and pictures and sound share one pipe.
"""

from __future__ import annotations

import struct
from fractions import Fraction

from musetalk.media.frames import FrameLayout

PICTURE, SOUND = b"00dc", b"01wb"  # what chunks hold: the number of a stream, and what it is

# By which names ffmpeg knows raw pictures in an AVI; where bits are not 8, the last byte tells them.
_CODES = {
    "yuv420p": b"I420",
    "yuv422p": b"Y42B",
    "yuv444p": b"444P",
    "yuv420p10le": b"Y3\x0b\x0a",
    "yuv422p10le": b"Y3\x0a\x0a",
    "yuv444p10le": b"Y3\x00\x0a",
    "rgb24": b"RGB\x18",
}
_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT
_SAMPLE_BYTES = 4
_ENDLESS = 0  # a size that is not known: readers do not look for an end, 4 GB on either
_INTERLEAVED = 0x100
_UNKNOWN = 0xFFFFFFFF


def header(layout: FrameLayout, fps: Fraction, rate: int) -> bytes:
    """Return what an AVI of pictures of a layout, and of mono sound as float32, begins with.

    Args:
        layout: Of the pictures.
        fps: Pictures a second.
        rate: Samples a second.
    """
    size = layout.frame_bytes
    across = (layout.width, layout.height)
    code = _CODES[layout.pixel_format]
    main = struct.pack("<14I", round(1_000_000 / fps), 0, 0, _INTERLEAVED, 0, 0, 2, size, *across, 0, 0, 0, 0)
    pictures = struct.pack(
        *("<4s4sIHHIIIIIIIIHHHH", b"vids", code, 0, 0, 0, 0, fps.denominator, fps.numerator),
        *(0, _UNKNOWN, size, _UNKNOWN, 0, 0, 0, *across),
    )
    bits = 8 * size // (layout.width * layout.height)
    bitmap = struct.pack("<IiiHH4sIiiII", 40, *across, 1, bits, code, size, 0, 0, 0, 0)
    sound = struct.pack(
        *("<4s4sIHHIIIIIIIIHHHH", b"auds", bytes(4), 0, 0, 0, 0, 1, rate),
        *(0, _UNKNOWN, rate, _UNKNOWN, _SAMPLE_BYTES, 0, 0, 0, 0),
    )
    wave = struct.pack("<HHIIHHH", _FLOAT, 1, rate, rate * _SAMPLE_BYTES, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES, 0)
    streams = _list(b"strl", _chunk(b"strh", pictures) + _chunk(b"strf", bitmap))
    streams += _list(b"strl", _chunk(b"strh", sound) + _chunk(b"strf", wave))
    opening = struct.pack("<4sI4s", b"RIFF", _ENDLESS, b"AVI ") + _list(b"hdrl", _chunk(b"avih", main) + streams)
    return opening + struct.pack("<4sI4s", b"LIST", _ENDLESS, b"movi")


def around(kind: bytes, size: int) -> tuple[bytes, bytes]:
    """Return what stands before and behind the `size` bytes of a chunk."""
    return struct.pack("<4sI", kind, size), bytes(size % 2)


def _chunk(kind: bytes, data: bytes) -> bytes:
    before, behind = around(kind, len(data))
    return before + data + behind


def _list(kind: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", kind + data)
