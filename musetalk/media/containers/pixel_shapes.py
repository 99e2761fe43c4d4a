"""The shapes of a stream's pixels, where they change on the way.

ffmpeg takes one shape for the whole of a stream, whatever its pictures say. So what they say is read from
the headers of key frames, and the chain of filters is told from when on each shape holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.media import ffmpeg_commands
from musetalk.media.containers.streams import Stream
from musetalk.media.ffmpeg_process import Child
from musetalk.media.types import PixelShape
from musetalk.progress import CancelToken

_TICK = re.compile(r"#tb 0: (\d+)/(\d+)")
_PACKET = re.compile(r"\[trace_headers @ [^\]]*\] Packet: .*, pts (-?\d+),")
_FIELD = re.compile(
    r"\[trace_headers @ [^\]]*\] \d+ +(aspect_ratio_idc|sar_width|sar_height|aspect_ratio_information|"
    r"horizontal_size_value|vertical_size_value) .* = (\d+)\s*$"
)
_MAX_LINE = 4000  # bytes
_MAX_SHAPES = 32  # changes that are followed
# Table E-1 of ITU-T H.264 and H.265: what an aspect_ratio_idc means; 255: sar_width and sar_height say.
_RATIOS = (
    *((1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
_EXTENDED = 255
_DISPLAYS = {2: Fraction(4, 3), 3: Fraction(16, 9), 4: Fraction(221, 100)}  # of ITU-T H.262, table 6-3


@dataclass(slots=True)
class _Header:
    """Fields of the headers read last."""

    fields: dict[str, int]

    @property
    def ratio(self) -> Fraction:
        known = self.fields
        display = _DISPLAYS.get(known.get("aspect_ratio_information", 0))
        if display is not None and known.get("horizontal_size_value") and known.get("vertical_size_value"):
            return display * known["vertical_size_value"] / known["horizontal_size_value"]
        index = known.get("aspect_ratio_idc", 0)
        if index == _EXTENDED and known.get("sar_width") and known.get("sar_height"):
            return Fraction(known["sar_width"], known["sar_height"])
        return Fraction(*_RATIOS[index]) if index < len(_RATIOS) else Fraction(1)


def pixel_shapes(path: Path, stream: Stream, cancel: CancelToken | None) -> tuple[PixelShape, ...]:
    """Return the shapes of a stream's pixels and from when on they hold; none where they stay or cannot be told."""
    arguments = ffmpeg_commands.trace_key_frames(path, stream.index, stream.codec)
    if arguments is None:
        return ()
    shapes: list[PixelShape] = []
    tick, header = Fraction(1, 90_000), _Header({})
    pts: int | None = None
    with Child(arguments, stderr=True, cancel=cancel) as child:
        while len(shapes) < _MAX_SHAPES and (line := child.read_line(_MAX_LINE)):
            text = line.decode("utf-8", "replace")
            if found := _FIELD.match(text):
                header.fields[found[1]] = int(found[2])
            elif found := _PACKET.match(text):
                _note(shapes, pts, tick, header.ratio)
                pts = int(found[1])
            elif found := _TICK.match(text):
                tick = Fraction(int(found[1]), int(found[2]))
        _note(shapes, pts, tick, header.ratio)
    return tuple(shapes) if len(shapes) > 1 else ()


def _note(shapes: list[PixelShape], pts: int | None, tick: Fraction, ratio: Fraction) -> None:
    if pts is not None and (not shapes or shapes[-1].ratio != ratio):
        shapes.append(PixelShape(float(pts * tick), ratio))
