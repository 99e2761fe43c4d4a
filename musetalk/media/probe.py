"""What is in a source or a voice, found out before any work is done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.errors import LimitError, MediaError, VoiceError
from musetalk.media import commands
from musetalk.media.child import Child
from musetalk.media.clock import DEFAULT_RATE, FrameClock, build_clock
from musetalk.media.images import IMAGE_SUFFIXES, probe_images
from musetalk.media.types import ColorTags, Source
from musetalk.progress import CancelToken
from musetalk.settings import Limits

_FRAME = re.compile(
    r"Parsed_showinfo.*\bn: *0 .*\bfmt:(?P<format>\w+) .*\bsar:(?P<sar>\d+/\d+) s:(?P<w>\d+)x(?P<h>\d+)"
)
_RATE = re.compile(r"Parsed_showinfo.*config in .*frame_rate: (\d+)/(\d+)")
_COLORS = re.compile(
    r"color_range:(?P<range>\S+) color_space:(?P<space>\S+) color_primaries:(?P<primaries>\S+) color_trc:(?P<trc>\S+)"
)
_CONTAINER = re.compile(r"Input #0, (?P<names>\S+), from")
_DISCARD = 0x4  # AV_PKT_FLAG_DISCARD: decoded but never shown (an edit list cuts it off)
_KEY = 0x1  # AV_PKT_FLAG_KEY, the only flag that framecrc leaves unsaid


@dataclass(frozen=True, slots=True)
class _Packets:
    """What a file's packets tell without being decoded."""

    picture_times: list[int]
    picture_keys: list[bool]
    picture_tick: Fraction
    sound_seconds: Fraction | None
    containers: tuple[str, ...]


def check_file(path: Path, limits: Limits, what: str) -> None:
    """Refuse what is no readable local file of a bearable size.

    Args:
        path: The file.
        limits: Their `max_bytes` counts.
        what: "video" or "voice", for the message.

    Raises:
        MediaError: It is missing, a directory, empty or not readable.
        LimitError: It is too large.
    """
    try:
        if not path.exists():
            raise MediaError(f'there is no file "{path}"', f"give the path of an existing {what}")
        if not path.is_file():
            raise MediaError(f'"{path}" is not a file', f"give the path of a {what} file")
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise MediaError(f'"{path}" cannot be opened ({error.strerror})', "check its name and permissions") from error
    if size == 0:
        raise MediaError(f'"{path.name}" is empty (0 bytes)', f"give a {what} with something in it")
    if size > limits.max_bytes:
        raise LimitError(
            f'"{path.name}" has {size / 2**20:.0f} MiB, more than the {limits.max_bytes / 2**20:.0f} MiB allowed',
            "cut it shorter or raise limits.max_bytes",
        )


def probe_source(path: Path, limits: Limits, *, image_fps: int, cancel: CancelToken | None = None) -> Source:
    """Describe a video file, a picture, or a folder of pictures.

    Raises:
        MediaError: It cannot be read as one, with the reason.
        LimitError: It is larger or longer than `limits`.
    """
    if path.is_dir() or (path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES):
        if path.is_file():
            check_file(path, limits, "picture")
        source = probe_images(path, Fraction(image_fps), limits.max_pixels)
    else:
        check_file(path, limits, "video")
        source = _probe_video(path, limits, cancel)
    _check_limits(source, limits)
    return source


def _check_limits(source: Source, limits: Limits) -> None:
    if source.width * source.height > limits.max_pixels:
        raise LimitError(
            f'"{source.path.name}" is {source.width}x{source.height}, more than the {limits.max_pixels} pixels allowed',
            "scale it down or raise limits.max_pixels",
        )
    check_length(source.path, source.seconds, limits)


def _probe_video(path: Path, limits: Limits, cancel: CancelToken | None) -> Source:
    packets = _scan_packets(path, cancel)
    if not packets.picture_times:
        raise MediaError(f'"{path.name}" has sound but no picture', "give it as the voice, and a video as the source")
    with Child(commands.first_frame(path, limits.max_pixels), cancel=cancel) as child:
        child.finish()
        text = "\n".join(child.stderr_lines)
    frame, colors = _FRAME.search(text), _COLORS.search(text)
    if frame is None or colors is None:
        too_large = re.search(r"(picture size|dimensions).*(invalid|exceeds|too large)", text, re.IGNORECASE)
        if too_large:
            raise LimitError(
                f'"{path.name}" has more than the {limits.max_pixels} pixels allowed in a frame',
                "scale it down or raise limits.max_pixels",
            )
        raise MediaError(f'no picture in "{path.name}" can be decoded', "convert it, or export it again, as H.264 MP4")
    rate = _RATE.search(text)
    hint = Fraction(int(rate[1]), int(rate[2])) if rate and int(rate[1]) and int(rate[2]) else None
    width, height = _square_pixels(int(frame["w"]), int(frame["h"]), frame["sar"])
    clock = _clock(packets, hint)
    return Source(
        path=path,
        width=width,
        height=height,
        clock=clock,
        color=ColorTags(*(_tag(colors[name]) for name in ("range", "space", "primaries", "trc"))),
        pixel_format=frame["format"],
        square_pixels=(width, height) == (int(frame["w"]), int(frame["h"])),
        has_sound=packets.sound_seconds is not None,
        seekable=bool({"mov", "matroska"} & set(packets.containers)),
        images=(),
    )


def _tag(value: str) -> str | None:
    return None if value in ("unknown", "unspecified", "reserved") else value


def _square_pixels(width: int, height: int, sar: str) -> tuple[int, int]:
    """The size with square pixels; one side grows, none shrinks, so that no detail is lost."""
    across, down = sar.split("/")
    ratio = Fraction(int(across) or 1, int(down) or 1)  # 0/1: unknown, taken as square
    return (round(width * ratio), height) if ratio >= 1 else (width, round(height / ratio))


def _clock(packets: _Packets, hint: Fraction | None) -> FrameClock:
    order = sorted(range(len(packets.picture_times)), key=packets.picture_times.__getitem__)
    times = [packets.picture_times[i] for i in order]
    keys = [packets.picture_keys[i] for i in order]
    if len(set(times)) < len(times):  # a container without usable times (raw streams): evenly spaced in file order
        fps = hint or DEFAULT_RATE
        keyframes = tuple(i for i, key in enumerate(packets.picture_keys) if key)
        return FrameClock(fps, len(times), (), None, keyframes)
    return build_clock(times, keys, packets.picture_tick, hint)


def _scan_packets(path: Path, cancel: CancelToken | None) -> _Packets:
    media: dict[int, str] = {}
    ticks: dict[int, Fraction] = {}
    times: list[int] = []
    keys: list[bool] = []
    sound_start: int | None = None
    sound_end = 0
    with Child(commands.packet_times(path), stdout=True, cancel=cancel) as child:
        while line := child.read_line():
            text = line.decode("ascii", "replace").strip()
            if text.startswith("#tb "):
                stream, seconds = text[4:].split(": ")
                ticks[int(stream)] = Fraction(seconds)
            elif text.startswith("#media_type "):
                stream, kind = text[12:].split(": ")
                media[int(stream)] = kind
            elif text and not text.startswith("#"):
                fields = text.split(",")
                stream_index, pts = int(fields[0]), int(fields[2])
                flags = next((int(f.strip()[2:], 16) for f in fields[6:] if f.strip().startswith("F=")), _KEY)
                if media[stream_index] == "video" and not flags & _DISCARD:
                    times.append(pts)
                    keys.append(bool(flags & _KEY))
                elif media[stream_index] == "audio":
                    sound_start = pts if sound_start is None else min(sound_start, pts)
                    sound_end = max(sound_end, pts + int(fields[3]))
        child.finish()
        if not media:
            raise _unreadable(path, child)
        names = next((m["names"] for line in child.stderr_lines if (m := _CONTAINER.search(line))), "")
    tick, sound_tick = (
        next((ticks[i] for i, kind in media.items() if kind == wanted), Fraction(1)) for wanted in ("video", "audio")
    )
    sound = (sound_end - (sound_start or 0)) * sound_tick if "audio" in media.values() else None
    return _Packets(times, keys, tick, sound, tuple(names.rstrip(",").split(",")))


def _unreadable(path: Path, child: Child) -> MediaError:
    text = "\n".join(child.stderr_lines)
    if "not on whitelist" in text:
        return MediaError(
            f'"{path.name}" is no media file of its own (a playlist, a list of other files, or an unusual container)',
            "give the video itself, for instance as MP4, MOV, MKV or WebM",
        )
    if "Input #0" in text:
        return MediaError(f'"{path.name}" has neither picture nor sound', "give a video or audio file")
    if "moov atom not found" in text:
        return MediaError(f'"{path.name}" is no video, or only part of one', "copy, download or export it again")
    return MediaError(f'"{path.name}" cannot be read ({child.complaint})', "convert it, or export it again, as MP4")


def probe_voice(path: Path, limits: Limits, cancel: CancelToken | None = None) -> Fraction:
    """How many seconds of sound a file holds, as its packets say; decoding may find a little more or less.

    Raises:
        MediaError: It cannot be read at all.
        VoiceError: It has no sound.
        LimitError: It is larger or longer than `limits`.
    """
    check_file(path, limits, "voice")
    seconds = _scan_packets(path, cancel).sound_seconds
    if seconds is None:
        raise VoiceError(
            f'"{path.name}" has no sound', "give an audio file, or a video with a sound track, as the voice"
        )
    check_length(path, seconds, limits)
    return seconds


def check_length(path: Path, seconds: Fraction | float, limits: Limits) -> None:
    """Refuse what lasts too long.

    Raises:
        LimitError: It lasts longer than `limits` allow.
    """
    if seconds > limits.max_seconds:
        raise LimitError(
            f'"{path.name}" lasts {float(seconds):.0f} s, more than the {limits.max_seconds:.0f} s allowed',
            "cut it shorter or raise limits.max_seconds",
        )
