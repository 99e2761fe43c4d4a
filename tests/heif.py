"""Small HEIC files as phones write them: HEVC from the project's ffmpeg, in the least container that holds it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.media import ffmpeg


def write_heic(
    path: Path,
    tiles: Sequence[np.ndarray],
    *,
    columns: int = 1,
    turns: int = 0,
    mirror: int | None = None,
    profile: bytes | None = None,
    deep: bool = False,
    others: int = 0,
) -> Path:
    """Write a still.

    Args:
        path: Where to.
        tiles: uint8 RGB [h, w, 3] each, even sides of at least 64, all of one size; several make a grid.
        columns: Of the grid.
        turns: Quarter turns anticlockwise that a viewer makes (irot).
        mirror: What a viewer exchanges (imir): 0 top and bottom, 1 left and right; None: nothing.
        profile: ICC profile.
        deep: Store 10 bits a channel.
        others: So many further pictures beside the main one.
    """
    height, width = tiles[0].shape[:2]
    streams = [_encode(tile, deep=deep) for tile in (*tiles, *[tiles[0]] * others)]
    grid = len(tiles) > 1
    whole = (width * columns, height * (len(tiles) // columns)) if grid else (width, height)
    properties = [_hvcc(streams[0], deep=deep), _full(b"ispe", struct.pack(">II", width, height))]
    shown = []  # properties of the main picture beside its size, counted from 1
    if grid:
        properties.append(_full(b"ispe", struct.pack(">II", *whole)))
    for box in (
        _box(b"irot", bytes([turns])) if turns else b"",
        _box(b"imir", bytes([mirror])) if mirror is not None else b"",
        _box(b"colr", b"prof" + profile) if profile else b"",
    ):
        if box:
            properties.append(box)
            shown.append(len(properties))
    items = [(b"hvc1", _pixels(stream), [1, 2]) for stream in streams]
    if grid:
        form = struct.pack(">BBBBHH", 0, 0, len(tiles) // columns - 1, columns - 1, *whole)
        items.append((b"grid", form, [3, *shown]))
    else:
        items[0][2].extend(shown)
    path.write_bytes(_file(items, properties, main=len(items) if grid else 1, parts=len(tiles) if grid else 0))
    return path


def _encode(tile: np.ndarray, *, deep: bool) -> list[bytes]:
    """The units of a frame's HEVC stream."""
    height, width = tile.shape[:2]
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "pipe:0", "-frames:v", "1"]
    form = ["-vf", f"scale=out_color_matrix=bt601:out_range=pc,format={'yuv444p10le' if deep else 'yuv444p'}"]
    codec = ["-c:v", "libx265", "-x265-params", "log-level=none:qp=4:range=full:colormatrix=smpte170m:info=0"]
    stream = ffmpeg(*shape, *form, *codec, "-f", "hevc", "pipe:1", stdin=tile.tobytes())
    parts = stream.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


def _kind(unit: bytes) -> int:
    return unit[0] >> 1 & 63


def _hvcc(units: list[bytes], *, deep: bool) -> bytes:
    sets = [unit for unit in units if _kind(unit) in (32, 33, 34)]
    level = next(unit for unit in sets if _kind(unit) == 33).replace(b"\x00\x00\x03", b"\x00\x00")[3:15]
    bits = 0xF8 | (2 if deep else 0)
    head = bytes([1]) + level + bytes([0xF0, 0, 0xFC, 0xFC | 3, bits, bits, 0, 0, 0x0F, len(sets)])
    arrays = b"".join(bytes([0x80 | _kind(unit)]) + struct.pack(">HH", 1, len(unit)) + unit for unit in sets)
    return _box(b"hvcC", head + arrays)


def _pixels(units: list[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units if _kind(unit) < 32)


def _file(items: list[tuple[bytes, bytes, list[int]]], properties: list[bytes], *, main: int, parts: int) -> bytes:
    """The container: `parts` of the first items are the tiles of the main one."""
    start = _box(b"ftyp", b"heic\x00\x00\x00\x00mif1heic")
    entries = b"".join(  # flag 1: hidden, a part of another
        _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\x00", version=2, flags=number <= parts)
        for number, (kind, _, _) in enumerate(items, 1)
    )
    linked = b"".join(
        struct.pack(">HB", number, len(used)) + bytes(0x80 | each if each == 1 else each for each in used)
        for number, (_, _, used) in enumerate(items, 1)
    )
    tiled = struct.pack(">HH", main, parts) + b"".join(struct.pack(">H", number + 1) for number in range(parts))

    def meta(first: int) -> bytes:
        places, at = b"", first
        for number, (_, data, _) in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        return _full(
            b"meta",
            _full(b"hdlr", b"\x00" * 4 + b"pict" + b"\x00" * 13)
            + _full(b"pitm", struct.pack(">H", main))
            + _full(b"iloc", b"\x44\x00" + struct.pack(">H", len(items)) + places)
            + _full(b"iinf", struct.pack(">H", len(items)) + entries)
            + (_full(b"iref", _box(b"dimg", tiled)) if parts else b"")
            + _box(
                b"iprp", _box(b"ipco", b"".join(properties)) + _full(b"ipma", struct.pack(">I", len(items)) + linked)
            ),
        )

    first = len(start) + len(meta(0)) + 8
    return start + meta(first) + _box(b"mdat", b"".join(data for _, data, _ in items))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, flags]) + content)
