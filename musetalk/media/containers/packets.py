"""Packets without decoding: times of pictures, keyframes, the end of the sound."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from musetalk.errors import LimitError
from musetalk.media import ffmpeg_commands
from musetalk.media.containers.priming import wma_priming
from musetalk.media.containers.streams import Stream
from musetalk.media.ffmpeg_process import Child
from musetalk.media.timing.timestamps import NO_TIME
from musetalk.progress import CancelToken
from musetalk.settings import FASTEST_RATE, Limits
from musetalk.utils.units import in_seconds

_ABOUT_STREAM = re.compile(r"#(?P<name>tb|extradata|codec_id|sample_rate) (?P<place>\d+): +(?P<value>.*)")
_DISCARD = 0x4  # AV_PKT_FLAG_DISCARD: decoded but never shown (an edit list cuts it off)
_CORRUPT = 0x2  # AV_PKT_FLAG_CORRUPT
_KEY = 0x1  # AV_PKT_FLAG_KEY, the only flag that framecrc leaves unsaid
_LONGEST_PACKET = 60  # seconds; some muxers write the last one's length as a small negative number of 32 bits
_MAX_LENGTHS = 100  # of pictures that are told apart
_LONGEST_GAP = 3600  # seconds without sound in the middle of a recording


@dataclass(slots=True)
class Packets:
    """What a stream's packets tell without being decoded; of sound only where it starts and ends.

    Attributes:
        times: Of pictures, in the file's order, in ticks.
        keys: Which of these need no other picture.
        lengths: How many pictures are said to be shown how long, in ticks; the first few lengths that occur.
        latest: When the last picture is shown, and for how long.
        start, end: Of all that is shown or heard, in ticks.
        lasting: All of it together, in ticks.
        decoded: When each picture is decoded, in ticks.
        first: When the first packet is decoded, in ticks; None: there is none.
        tick: In seconds.
        about: Of sound, what ffmpeg says of its codec: "codec_id", "sample_rate", "extradata".
        repeats: How often the file says that the picture before is shown once more, in place of one.
        incomplete: Whether the last picture is.
        damaged: Whether any is.
        complaints: What ffmpeg said on reading the file.
    """

    times: array[int] = field(default_factory=lambda: array("q"))
    keys: bytearray = field(default_factory=bytearray)
    lengths: dict[int, int] = field(default_factory=dict)
    latest: tuple[int, int] = (NO_TIME, 0)
    start: int | None = None
    end: int = 0
    lasting: int = 0
    decoded: array[int] = field(default_factory=lambda: array("q"))
    first: int | None = None
    tick: Fraction = Fraction(1)
    about: dict[str, str] = field(default_factory=dict)
    repeats: int = 0
    incomplete: bool = False
    damaged: bool = False
    complaints: tuple[str, ...] = ()

    @property
    def priming(self) -> Fraction:
        """Of sound, the seconds that are decoded before it begins, if ffmpeg leaves out others."""
        rate = int(self.about.get("sample_rate", 0))
        return wma_priming(self.about.get("codec_id", ""), rate, self.about.get("extradata", ""))

    @property
    def seconds(self) -> Fraction:
        """From its first to its last moment; what it lasts, where times cannot be right."""
        return (self.end - (self.start or 0) if self.timely else self.lasting) * self.tick

    @property
    def timely(self) -> bool:
        """Whether the times can be right: else there is so much less between the first and the last one."""
        whole = (self.end - (self.start or 0)) * self.tick
        return whole <= 2 * self.lasting * self.tick + _LONGEST_GAP


def scan_packets(
    path: Path, streams: Sequence[Stream], limits: Limits, cancel: CancelToken | None, *, most: int | None = None
) -> dict[int, Packets]:
    """List the packets of some streams of a file, by their indices.

    Args:
        path: The file.
        streams: Which of its streams.
        limits: What it may ask of the machine.
        cancel: Ends the work.
        most: How many pictures of each stream; None: all.

    Raises:
        LimitError: There are more pictures than `limits` allow at any rate.
    """
    readers = [_Reader(stream, Packets()) for stream in streams]
    most_pictures = limits.max_seconds * FASTEST_RATE
    arguments = ffmpeg_commands.packet_times(path, [stream.index for stream in streams], most=most)
    with Child(arguments, stdout=True, cancel=cancel) as child:
        while line := child.read_line():
            if line.startswith(b"#"):
                _read_header(line.decode("ascii", "replace").strip(), readers)
            elif not line.isspace():
                fields = line.split(b",")
                reader = readers[int(fields[0])]
                reader.take(fields)
                if len(reader.packets.times) > most_pictures:
                    raise LimitError(
                        f'"{path.name}" holds more frames than {in_seconds(limits.max_seconds)} can have',
                        "cut it shorter or raise limits.max_seconds",
                        path=path,
                        limit="max_seconds",
                    )
        child.finish()
        complaints = tuple(child.stderr_lines)
    for reader in readers:
        reader.packets.complaints = complaints
    return {reader.stream.index: reader.packets for reader in readers}


class _Reader:
    """Takes the packets of one stream, of which there are hundreds of thousands in a long file."""

    def __init__(self, stream: Stream, packets: Packets) -> None:
        self.stream, self.packets = stream, packets
        self._pictures = stream.kind == "video"
        self._alike = False  # whether the last two pictures have one time
        self.set_tick(packets.tick)

    def set_tick(self, tick: Fraction) -> None:
        """Count in ticks of so many seconds."""
        self.packets.tick = tick
        self._longest = int(_LONGEST_PACKET / tick)

    def take(self, fields: list[bytes]) -> None:
        """Note one packet: stream, decoded, shown, length, bytes, checksum; then flags and what lies beside it."""
        packets, dts, pts, duration = self.packets, int(fields[1]), int(fields[2]), int(fields[3])
        if packets.first is None:
            packets.first = dts
        flags = _flags(fields)
        if flags & _DISCARD or (self._pictures and not self._note_picture(dts, pts, duration, int(fields[4]), flags)):
            return
        lasting = duration if 0 <= duration <= self._longest else 0
        packets.lasting += lasting
        if pts != NO_TIME:
            packets.start = pts if packets.start is None or pts < packets.start else packets.start
            packets.end = max(packets.end, pts + lasting)

    def _note_picture(self, dts: int, pts: int, duration: int, size: int, flags: int) -> bool:
        """Note when a picture is shown; whether it is one of its own."""
        packets, codec = self.packets, self.stream.codec
        if codec == "vp8" and self._is_hidden(pts, flags):
            return False  # it, or the one before, is never shown: it is for others to be predicted from
        if codec == "theora" and size == 0:
            packets.repeats += 1
            packets.latest = (packets.latest[0], pts + duration - packets.latest[0])
            return False  # the one before is shown once more
        packets.latest = max(packets.latest, (pts, duration))
        if duration in packets.lengths or len(packets.lengths) < _MAX_LENGTHS:
            packets.lengths[duration] = packets.lengths.get(duration, 0) + 1
        packets.incomplete = bool(flags & _CORRUPT)
        packets.damaged |= packets.incomplete
        packets.times.append(pts)
        packets.decoded.append(dts)
        packets.keys.append(flags & _KEY)
        return True

    def _is_hidden(self, pts: int, flags: int) -> bool:
        """Return whether a picture of VP8 shares its time with one that is not shown.

        Where files are joined, all of the later ones have one time: rows of them are shown, and key frames.
        """
        alike = bool(self.packets.times) and self.packets.times[-1] == pts
        hidden = alike and not flags & _KEY and not self._alike
        self._alike = alike
        return hidden


def _flags(fields: list[bytes]) -> int:
    """Return a packet's flags, which framecrc says of all that is no ordinary key frame."""
    return next((int(f.strip()[2:], 16) for f in fields[6:] if f.strip().startswith(b"F=")), _KEY)


def _read_header(text: str, readers: list[_Reader]) -> None:
    """Take what a line says of a stream, of all of them, before their packets."""
    if said := _ABOUT_STREAM.match(text):
        reader = readers[int(said["place"])]
        if said["name"] == "tb":
            reader.set_tick(Fraction(said["value"]))
        else:
            reader.packets.about[said["name"]] = said["value"]


def delay_alone(
    path: Path, stream: Stream, scanned: dict[int, Packets], limits: Limits, cancel: CancelToken | None
) -> float:
    """Return how much later times begin to count where one stream is used alone, in seconds, than in a scan of several.

    In broadcasts and some other containers ffmpeg counts from the first moment of the streams that are used.
    """
    together = scanned[stream.index]
    if len(scanned) < 2 or together.first is None:
        return 0.0
    alone = scan_packets(path, [stream], limits, cancel, most=1)[stream.index]
    return 0.0 if alone.first is None else float((together.first - alone.first) * together.tick)
