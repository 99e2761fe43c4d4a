"""Small HEIC files as phones write them: HEVC from the project's ffmpeg, in the least container that holds it."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.media import ffmpeg


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
    beside: tuple[str, np.ndarray] | None = None,
    nclx: tuple[int, int] | None = None,
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
        beside: What an auxiliary picture of the main one is (its URN), and it, of a tile's size: alpha, depth, gains.
        nclx: Primaries and transfer (ITU-T H.273) that the main picture says it has.
    """
    height, width = tiles[0].shape[:2]
    further = [beside[1]] if beside else []
    streams = [_encode(tile, deep=deep) for tile in (*tiles, *[tiles[0]] * others, *further)]
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
        _box(b"colr", b"nclx" + struct.pack(">HHHB", *nclx, 6, 0x80)) if nclx else b"",
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
    main, parts = len(items) if grid else 1, len(tiles) if grid else 0
    links = _box(b"dimg", struct.pack(f">HH{parts}H", main, parts, *range(1, parts + 1))) if grid else b""
    if beside:
        properties.append(_full(b"auxC", beside[0].encode() + b"\x00"))
        items[len(streams) - 1][2].append(len(properties))
        links += _box(b"auxl", struct.pack(">HHH", len(streams), 1, main))
    path.write_bytes(_file(items, properties, links, main=main, parts=parts))
    return path


def write_avif_grid(path: Path, tiles: Sequence[np.ndarray], columns: int) -> Path:
    """Write a still of AV1 tiles (uint8 RGB [h, w, 3], of one size), as converters make of large pictures."""
    height, width = tiles[0].shape[:2]
    whole = width * columns, height * (len(tiles) // columns)
    files = []
    for tile in tiles:
        file = io.BytesIO()
        Image.fromarray(tile).save(file, "AVIF", quality=95, speed=10)
        files.append(file.getvalue())
    codec = files[0][files[0].index(b"av1C") - 4 :]
    properties = [
        codec[: int.from_bytes(codec[:4], "big")],
        _full(b"ispe", struct.pack(">II", width, height)),
        _full(b"ispe", struct.pack(">II", *whole)),
        _full(b"pixi", b"\x03\x08\x08\x08"),
    ]
    items = [(b"av01", file[file.index(b"mdat") + 4 :], [1, 2, 4]) for file in files]
    form = struct.pack(">BBBBHH", 0, 0, len(tiles) // columns - 1, columns - 1, *whole)
    items.append((b"grid", form, [3, 4]))
    links = _box(b"dimg", struct.pack(f">HH{len(tiles)}H", len(items), len(tiles), *range(1, len(items))))
    path.write_bytes(_file(items, properties, links, main=len(items), parts=len(tiles), brand=b"avif"))
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


def _file(
    items: list[tuple[bytes, bytes, list[int]]],
    properties: list[bytes],
    links: bytes,
    *,
    main: int,
    parts: int,
    brand: bytes = b"heic",
) -> bytes:
    """The container; `parts` of the first items are the tiles of the main one."""
    start = _box(b"ftyp", brand + b"\x00\x00\x00\x00mif1" + brand)
    entries = b"".join(  # flag 1: hidden, a part of another
        _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\x00", version=2, flags=number <= parts)
        for number, (kind, _, _) in enumerate(items, 1)
    )
    linked = b"".join(
        struct.pack(">HB", number, len(used)) + bytes(0x80 | each if each == 1 else each for each in used)
        for number, (_, _, used) in enumerate(items, 1)
    )

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
            + (_full(b"iref", links) if links else b"")
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
