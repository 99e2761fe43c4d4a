"""ffmpeg's arguments for a file that is made in parts: each part, the sound, and what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from musetalk.media.ffmpeg_commands import (
    SoundTrack,
    caption_input,
    caption_track,
    file_url,
    raw_frames,
    read_input,
    sound_filter,
    sound_inputs,
    video_codec,
)
from musetalk.media.filters import encode_filters
from musetalk.media.frames import FrameLayout
from musetalk.media.types import ColorTags
from musetalk.settings import EncoderSettings

_BEGIN = ("-hide_banner", "-nostats", "-loglevel", "error", "-y")
_MICROSECOND = 1_000_000  # in a second: what the list of parts counts in


def encode_part(
    out: Path, *, layout: FrameLayout, fps: Fraction, color: ColorTags, settings: EncoderSettings, threads: int | None
) -> list[str]:
    """Encode frames of a layout from stdin as a file that begins with a key frame and refers to no other."""
    return [
        *_BEGIN,
        *raw_frames(layout, fps),
        *["-vf", encode_filters(layout, color)],
        *video_codec(settings, fps, threads),
        *["-map_metadata", "-1", file_url(out)],
    ]


def encode_sound(out: Path, *, sound: SoundTrack, kbps: int) -> list[str]:
    """Encode a sound track alone."""
    return [
        *_BEGIN,
        "-nostdin",
        *sound_inputs(sound),
        *["-filter_complex", f"{sound_filter(sound, first=0)}[a]", "-map", "[a]"],
        *["-c:a", "aac", "-b:a", f"{kbps}k", "-map_metadata", "-1", file_url(out)],
    ]


def list_parts(parts: Sequence[tuple[str, int]], fps: Fraction) -> str:
    """Return the list of parts that `join_parts` reads.

    A part begins where those before it end, counted from the first, so that what is rounded here never adds up: to
    the millionth of a second, which is less than half a tick of any usual rate.

    Args:
        parts: The name of each beside the list, of letters, digits, dots and dashes; and its frames.
        fps: Their rate.
    """
    lines, frames = ["ffconcat version 1.0"], 0
    for name, count in parts:
        begin, end = (round(number / fps * _MICROSECOND) for number in (frames, frames + count))
        lines += [f"file {name}", f"duration {end - begin}us"]
        frames += count
    return "\n".join([*lines, ""])


def join_parts(out: Path, *, listing: Path, sound: Path, comment: str, captions: Path | None) -> list[str]:
    """Join encoded parts with encoded sound, and captions if there are some; nothing is encoded again.

    Args:
        out: The file to make.
        listing: From `list_parts`, beside the parts.
        sound: From `encode_sound`.
        comment: Goes into the file's metadata.
        captions: A file of them; None: there is none.
    """
    return [
        *[*_BEGIN, "-nostdin"],
        *["-protocol_whitelist", "file", "-f", "concat", "-i", file_url(listing)],
        *read_input(sound),
        *([] if captions is None else caption_input(captions)),
        *["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "copy"],
        *([] if captions is None else caption_track(out, 2)),
        *["-map_metadata", "-1", "-metadata", f"comment={comment}", "-movflags", "+faststart", file_url(out)],
    ]
