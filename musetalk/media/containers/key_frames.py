"""Sizes in the key frames of VP8 and VP9, read without decoding (RFC 6386, 9.1; VP9 bitstream specification, 6.2)."""

from __future__ import annotations

import struct
from pathlib import Path

from musetalk.media import ffmpeg_commands
from musetalk.media.containers.streams import Stream
from musetalk.media.ffmpeg_process import Child
from musetalk.progress import CancelToken

_IVF_HEADER, _FRAME_HEADER = 32, 12  # bytes
_MAX_FRAME = 2**27  # bytes; what claims to be more is damaged
_SYNC = 0x498342
_SRGB = 7  # VP9's color_space


def vpx_sizes(path: Path, stream: Stream, cancel: CancelToken | None) -> tuple[tuple[int, int], ...]:
    """Return the (width, height) of each key frame of a VP8 or VP9 video, in their order.

    None where they cannot be read.
    """
    read = read_vp8_size if stream.codec == "vp8" else read_vp9_size
    sizes: dict[tuple[int, int], None] = {}
    with Child(ffmpeg_commands.key_frames(path, stream.index), stdout=True, cancel=cancel) as child:
        child.read_into(memoryview(bytearray(_IVF_HEADER)))
        header = bytearray(_FRAME_HEADER)
        while child.read_into(memoryview(header)) == _FRAME_HEADER:
            (length,) = struct.unpack_from("<I", header)
            if length > _MAX_FRAME:
                break
            frame = bytearray(length)
            child.read_into(memoryview(frame))
            size = read(bytes(frame[:16]))
            if size is not None:
                sizes[size] = None
    return tuple(sizes)


def read_vp8_size(frame: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that a VP8 key frame states; None: it is none."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def read_vp9_size(frame: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that a VP9 key frame states; None: it is none."""
    bits = _Bits(frame)
    if bits.take(2) != 2:
        return None
    profile = bits.take(1) + 2 * bits.take(1)
    if profile == 3:
        bits.take(1)
    shows_existing, not_key = bits.take(1), bits.take(1)
    bits.take(2)  # show_frame, error_resilient_mode
    if shows_existing or not_key or bits.take(24) != _SYNC:
        return None
    if profile >= 2:
        bits.take(1)  # depth
    if bits.take(3) != _SRGB:
        bits.take(1)  # range
        if profile in (1, 3):
            bits.take(3)  # subsampling
    elif profile in (1, 3):
        bits.take(1)
    return bits.take(16) + 1, bits.take(16) + 1


class _Bits:
    """Bytes as a row of bits, highest first; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        return (self._value >> self._left if self._left >= 0 else 0) & ((1 << count) - 1)
