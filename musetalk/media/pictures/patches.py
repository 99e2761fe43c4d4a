"""Animated GIF and PNG taken apart: each frame a small still of its own, laid on a canvas one after the other.

The canvas is composed here, because readers differ in what they make of clearing and of half transparent parts; this
is what browsers show.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Literal

from PIL import GifImagePlugin, Image, PngImagePlugin

from musetalk.media.containers.boxes import PNG_MAGIC, png_chunks
from musetalk.media.pictures.srgb import to_rgba

Dispose = Literal["keep", "clear", "restore"]
_GIF_DISPOSE: dict[int, Dispose] = {2: "clear", 3: "restore"}
_PNG_DISPOSE: dict[int, Dispose] = {1: "clear", 2: "restore"}
_PNG_SHARED = (b"PLTE", b"tRNS", b"gAMA", b"sBIT")  # chunks that every frame needs to be decoded


@dataclass(frozen=True, slots=True)
class Patch:
    """A frame of an animation: a picture, and what is done with it.

    Attributes:
        canvas: (width, height) of the whole.
        left, top, width, height: Where it lies on the canvas, in pixels.
        duration: Seconds that it asks to be shown.
        dispose: What becomes of its place afterwards: kept, cleared, or as before.
        over: Whether it is laid over what is there; else it takes its place.
        still: It, as a file of its own.
        whole: Whether the file held all of it.
    """

    canvas: tuple[int, int]
    left: int
    top: int
    width: int
    height: int
    duration: Fraction
    dispose: Dispose
    over: bool
    still: bytes
    whole: bool = True


_CUT_OFF = Patch((0, 0), 0, 0, 0, 0, Fraction(0), "keep", over=True, still=b"", whole=False)


def read_patches(path: Path, name: str) -> Generator[Patch, None, None]:
    """Take a GIF or PNG apart, frame by frame; a file that is cut off ends in one that is not whole.

    A still PNG has none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    with path.open("rb") as file:
        yield from _gif_patches(file) if name == "GIF" else _png_patches(file)


def compose(patches: Iterable[Patch]) -> Iterator[Image.Image]:
    """Lay patches on a canvas, in turn; yields the canvas after each, RGBA, for the caller to look at, not to keep."""
    canvas: Image.Image | None = None
    for patch in patches:
        if not patch.whole:
            return
        if canvas is None:
            canvas = Image.new("RGBA", patch.canvas)
        right, bottom = (
            min(edge, side)
            for edge, side in zip((patch.left + patch.width, patch.top + patch.height), patch.canvas, strict=True)
        )
        box = patch.left, patch.top, right, bottom
        if right <= patch.left or bottom <= patch.top:  # nothing of it lies on the canvas
            yield canvas
            continue
        before = canvas.crop(box) if patch.dispose == "restore" else None
        layer = _decoded(patch).crop((0, 0, right - patch.left, bottom - patch.top))
        if patch.over:
            canvas.alpha_composite(layer, box[:2])
        else:
            canvas.paste(layer, box)
        yield canvas
        if patch.dispose != "keep":
            canvas.paste(before or (0, 0, 0, 0), box)


def _decoded(patch: Patch) -> Image.Image:
    reader = PngImagePlugin.PngImageFile if patch.still.startswith(PNG_MAGIC) else GifImagePlugin.GifImageFile
    with reader(io.BytesIO(patch.still)) as still:
        return to_rgba(still)


def _gif_patches(file: BinaryIO) -> Iterator[Patch]:
    head = file.read(13)
    width, height, flags = struct.unpack("<HHB", head[6:11])
    colors = file.read(_table_bytes(flags))
    control, canvas = b"\x00\x00\x00\x00", (0, 0)  # flags, delay, transparent color
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b"!":
            label, blocks = file.read(1), _sub_blocks(file)
            if label == b"\xf9" and blocks and len(blocks) >= 5:
                control = blocks[1:5]
            continue
        if kind != b",":
            if kind == b"\x00":  # what some writers leave between blocks
                continue
            return
        place = file.read(9)
        own = file.read(_table_bytes(place[8])) if len(place) == 9 else b""
        code = file.read(1)
        data = _sub_blocks(file)
        if len(place) < 9 or not code or data is None:
            yield _CUT_OFF
            return
        left, top, wide, high, form = struct.unpack("<HHHHB", place)
        if not canvas[0]:  # a canvas smaller than its first frame grows, as in browsers
            canvas = max(width, left + wide), max(height, top + high)
        delay = struct.unpack("<H", control[1:3])[0]
        screen = struct.pack("<HH", wide, high) + head[10:13]
        extension = b"!\xf9\x04" + bytes([control[0] & 1, 0, 0, control[3]]) + b"\x00"
        image = b"," + struct.pack("<HHHHB", 0, 0, wide, high, form) + own + code + data
        still = b"GIF89a" + screen + colors + extension + image + b";"
        dispose = _GIF_DISPOSE.get(control[0] >> 2 & 7, "keep")
        yield Patch(canvas, left, top, wide, high, Fraction(delay, 100), dispose, over=True, still=still)
        control = b"\x00\x00\x00\x00"


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(file: BinaryIO) -> bytes | None:
    """Blocks up to the empty one that ends them, as stored; None: the file ends first."""
    parts = []
    while (size := file.read(1)) not in (b"", b"\x00"):
        part = file.read(size[0])
        if len(part) < size[0]:
            return None
        parts += [size, part]
    return b"".join([*parts, b"\x00"]) if size else None


@dataclass(slots=True)
class _PngFrame:
    """A frame of a PNG as far as it was read: its fcTL chunk, and its compressed pixels."""

    control: bytes
    data: list[bytes]


def _png_patches(file: BinaryIO) -> Iterator[Patch]:
    header, shared, frame, first, animated = b"", [], None, True, False
    for kind, data in png_chunks(file):
        if kind == b"IHDR":
            header = data
        elif kind == b"acTL":
            animated = True
        elif kind in _PNG_SHARED:
            shared.append(_chunk(kind, data))
        elif kind in (b"fcTL", b"IEND", b""):
            if animated and not kind:
                yield _CUT_OFF
            elif frame is not None and frame.data:
                yield _png_patch(header, b"".join(shared), frame, first=first)
                first = False
            frame = _PngFrame(data, []) if kind == b"fcTL" else None
        elif kind == b"IDAT" and not animated:
            return  # a still, or one whose animation was announced too late to count
        elif kind == b"IDAT" and frame is not None:  # without a control before it, it is no part of the animation
            frame.data.append(data)
        elif kind == b"fdAT" and frame is not None:
            frame.data.append(data[4:])


def _png_patch(header: bytes, shared: bytes, frame: _PngFrame, *, first: bool) -> Patch:
    _, width, height, left, top, above, below, dispose, blend = struct.unpack(">IIIIIHHBB", frame.control)
    canvas: tuple[int, int] = struct.unpack(">II", header[:8])
    pixels = b"".join(_chunk(b"IDAT", data) for data in frame.data)
    size = _chunk(b"IHDR", struct.pack(">II", width, height) + header[8:])
    still = PNG_MAGIC + size + shared + pixels + _chunk(b"IEND", b"")
    kept = _PNG_DISPOSE.get(dispose, "keep")
    if first and kept == "restore":  # there is nothing before it
        kept = "clear"
    return Patch(canvas, left, top, width, height, Fraction(above, below or 100), kept, over=blend == 1, still=still)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
