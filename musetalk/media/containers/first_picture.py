"""ffmpeg's description of a video's first picture."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.media import ffmpeg_commands
from musetalk.media.containers.streams import Stream
from musetalk.media.ffmpeg_process import Child
from musetalk.media.types import ColorTags, PixelShape
from musetalk.progress import CancelToken

_PICTURE = re.compile(
    r"\bn: *\d+ .*\bfmt:(?P<format>\w+) .*\bsar:(?P<sar>\d+/\d+) s:(?P<w>\d+)x(?P<h>\d+) i:(?P<fields>\w)"
)
_RATE = re.compile(r"config in .*frame_rate: (\d+)/(\d+)")
_COLORS = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_MAX_CONTENT = re.compile(r"MaxCLL=(\d+)")
_MASTERED = re.compile(r"max_luminance=(\d+(?:\.\d+)?)")
_DOLBY_OF_ITS_OWN = frozenset({5, 10})  # profiles whose pictures may be in Dolby's own color space
_TIME = re.compile(r"\bpts_time:(-?\d+(?:\.\d+)?)")
_NEARLY = 0.001  # seconds, by which times are rounded
_NAME = 8  # bytes of a name that no file can guess


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """What ffmpeg says of a stream and its first picture.

    Attributes:
        stream: Whose it is.
        rate: Frames a second, as stated; None: that is not.
        pixel_format: In ffmpeg's words.
        stored: (width, height) before rotation, in the pixels stored.
        upright: (width, height) upright, in the pixels stored.
        seen: (width, height) upright, in square pixels.
        square_pixels: Whether the upright picture is stored with square pixels.
        color: Color tags.
        interlaced: Whether it is marked as made of two fields.
        premultiplied: Whether its colors are weighted by alpha.
        peak: The brightest that the video gets, in cd/m²; None: it does not say.
        dolby_only: Whether it means nothing without Dolby Vision's own processing (profile 5 and its like).
    """

    stream: Stream
    rate: Fraction | None
    pixel_format: str
    stored: tuple[int, int]
    upright: tuple[int, int]
    seen: tuple[int, int]
    square_pixels: bool
    color: ColorTags
    interlaced: bool
    premultiplied: bool
    peak: float | None
    dolby_only: bool


def look_at_first(
    path: Path, stream: Stream, max_pixels: int, *, decoder: str | None = None, cancel: CancelToken | None = None
) -> tuple[FirstPicture | None, str]:
    """Decode a stream's first picture, by ffmpeg's own choice of a decoder or another one.

    Returns:
        What is known of it, or None if it cannot be decoded; and what ffmpeg complained of.
    """
    label = showinfo_label()
    arguments = ffmpeg_commands.first_frame(path, stream.index, max_pixels, label, decoder=decoder)
    with Child(arguments, keep=showinfo_lines(label), cancel=cancel) as child:
        child.finish()
        return _described("\n".join(child.kept_lines), stream), "\n".join(child.stderr_lines)


def showinfo_label() -> str:
    """Return a name for showinfo, so that no text of a file can be taken for what that says."""
    return secrets.token_hex(_NAME)


def showinfo_lines(label: str) -> re.Pattern[str]:
    """Return how lines of that showinfo begin."""
    return re.compile(rf"\[showinfo@{label} ")


def _described(said: str, stream: Stream) -> FirstPicture | None:
    picture, tags, rate = _PICTURE.search(said), _COLORS.search(said), _RATE.search(said)
    if picture is None or tags is None:
        return None
    upright = int(picture["w"]), int(picture["h"])
    seen = square_pixels(*upright, picture["sar"])
    peak = _MAX_CONTENT.search(said) or _MASTERED.search(said)
    return FirstPicture(
        stream=stream,
        rate=Fraction(int(rate[1]), int(rate[2])) if rate and int(rate[1]) and int(rate[2]) else None,
        pixel_format=picture["format"],
        stored=stream.size if all(stream.size) else upright,
        upright=upright,
        seen=seen,
        square_pixels=seen == upright,
        color=ColorTags(*(_tag(value) for value in tags.groups())),
        interlaced=picture["fields"] in "TB",
        premultiplied="alpha_mode:premultiplied" in said,
        peak=float(peak[1]) if peak else None,
        dolby_only=stream.dolby is not None and stream.dolby[0] in _DOLBY_OF_ITS_OWN and stream.dolby[1] == 0,
    )


def seen_size(line: str, shapes: tuple[PixelShape, ...]) -> tuple[int, int] | None:
    """Return the size, upright and in square pixels, of the picture that a line of showinfo's tells of; None: of none.

    `shapes`: those of its pixels, by time; empty: as the line says.
    """
    picture, time = _PICTURE.search(line), _TIME.search(line)
    if picture is None:
        return None
    sar = picture["sar"]
    if shapes and time:
        ratio = [shapes[0].ratio, *(shape.ratio for shape in shapes if shape.start <= float(time[1]) + _NEARLY)][-1]
        sar = f"{ratio.numerator}/{ratio.denominator}"
    return square_pixels(int(picture["w"]), int(picture["h"]), sar)


def _tag(value: str) -> str | None:
    return None if value in ("unknown", "unspecified", "reserved") else value


def square_pixels(width: int, height: int, sar: str) -> tuple[int, int]:
    """Return the size with square pixels; one side grows, none shrinks, so that no detail is lost."""
    across, down = sar.split("/")
    ratio = Fraction(int(across) or 1, int(down) or 1)  # 0/1: unknown, taken as square
    return (round(width * ratio), height) if ratio >= 1 else (width, round(height / ratio))
