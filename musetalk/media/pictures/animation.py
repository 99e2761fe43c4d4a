"""Animated pictures, GIF, PNG, WebP and AVIF: how they move, and their frames, as browsers show them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import AvifImagePlugin, Image, WebPImagePlugin

from musetalk.media.containers.boxes import boxes, content
from musetalk.media.pictures.patches import compose, read_patches

# Browsers take a delay of up to 10 ms for one that nobody set, and wait this long instead.
_SHORTEST, _USUAL = Fraction(11, 1000), Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Animation:
    """How an animated picture moves; its loops count once.

    Attributes:
        size: (width, height) of the canvas.
        durations: Seconds that each frame is shown.
        hurried: How many frames asked for at most 10 ms and got 100.
        cut_off: Whether the file ends inside a frame, which is left out.
        clears: Whether frames are taken away again before others come.
        largest: Pixels of the largest part that is decoded at a time.
    """

    size: tuple[int, int]
    durations: tuple[Fraction, ...]
    hurried: int
    cut_off: bool
    clears: bool
    largest: int


def read_animation(path: Path, name: str, most_seconds: float) -> Animation | None:
    """Find out how a picture file moves, decoding nothing; None: it is a still.

    Args:
        path: The file.
        name: Of its format.
        most_seconds: Frames of GIF and PNG that come later are not counted.

    Raises:
        Exception: It is damaged: whatever readers raise then.
    """
    if name in ("GIF", "PNG"):
        return _of_patches(path, name, most_seconds)
    if name == "WEBP":
        webp = WebPImagePlugin.WebPImageFile(path)
        with webp:
            size, asked = webp.size, _webp_durations(path, webp.n_frames)
    elif name == "AVIF":
        avif = AvifImagePlugin.AvifImageFile(path)
        with avif:
            size, asked = avif.size, _avif_durations(path, avif.n_frames)
    else:
        return None
    return _animation(size, asked, size[0] * size[1])


def _of_patches(path: Path, name: str, most_seconds: float) -> Animation | None:
    asked: list[Fraction] = []
    seconds, largest, size = Fraction(0), 0, (0, 0)
    clears = cut_off = False
    with closing(read_patches(path, name)) as patches:
        for patch in patches:
            if not patch.whole or seconds > most_seconds:
                cut_off = not patch.whole
                break
            size, largest = patch.canvas, max(largest, patch.width * patch.height)
            clears = clears or patch.dispose == "clear"
            asked.append(patch.duration)
            seconds += _usual(patch.duration)
    return _animation(size, asked, largest, cut_off=cut_off, clears=clears)


def _animation(
    size: tuple[int, int], asked: list[Fraction], largest: int, *, cut_off: bool = False, clears: bool = False
) -> Animation | None:
    if len(asked) < 2:
        return None
    hurried = sum(each < _SHORTEST for each in asked)
    return Animation(size, tuple(map(_usual, asked)), hurried, cut_off, clears, largest)


def _usual(asked: Fraction) -> Fraction:
    return asked if asked >= _SHORTEST else _USUAL


def read_canvases(path: Path, name: str, start: int = 0) -> Generator[Image.Image, None, None]:
    """Decode an animation from a frame on, one at a time: each in a mode of Pillow's, to be looked at, not kept.

    Raises:
        Exception: It is damaged: whatever readers raise then.
    """
    if name in ("GIF", "PNG"):
        with closing(read_patches(path, name)) as patches:
            yield from itertools.islice(compose(patches), start, None)
        return
    image = WebPImagePlugin.WebPImageFile(path) if name == "WEBP" else AvifImagePlugin.AvifImageFile(path)
    with image:
        for frame in range(start, image.n_frames):
            image.seek(frame)
            image.load()
            yield image


def _webp_durations(path: Path, count: int) -> list[Fraction]:
    found: list[Fraction] = []
    with path.open("rb") as file:
        file.seek(12)  # "RIFF", its size, "WEBP"
        while len(found) < count and len(start := file.read(8)) == 8:
            size = int.from_bytes(start[4:], "little")
            if start[:4] == b"ANMF":
                found.append(Fraction(int.from_bytes(file.read(16)[12:15], "little"), 1000))
                size -= 16
            file.seek(size + size % 2, 1)
    return found


def _avif_durations(path: Path, count: int) -> list[Fraction]:
    """Of the first track of pictures; a still has none."""
    with path.open("rb") as file:
        end = path.stat().st_size
        for track_start, track_end in boxes(file, (b"moov", b"trak"), 0, end):
            kind = content(file, (b"mdia", b"hdlr"), track_start, track_end)[8:12]
            head = content(file, (b"mdia", b"mdhd"), track_start, track_end)
            table = content(file, (b"mdia", b"minf", b"stbl", b"stts"), track_start, track_end)
            if kind == b"pict" and head and table:
                scale = int.from_bytes(head[20:24] if head[0] else head[12:16], "big")
                return _runs(table, scale, count)
    return []


def _runs(table: bytes, scale: int, count: int) -> list[Fraction]:
    found: list[Fraction] = []
    for repeats, ticks in struct.iter_unpack(">II", table[8 : 8 + len(table[8:]) // 8 * 8]):
        found += [Fraction(ticks, scale or 1)] * min(repeats, count - len(found))
    return found
