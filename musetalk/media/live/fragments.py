"""Fragmented MP4 (ISO 14496-12), a packet a fragment: what browsers play while it is made, and what is a file, too.

Times are counted, in ticks of the pictures' and of the sound's own clock: nothing is rounded, however long it lasts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from musetalk.media.live.flv import Packet

_PICTURE_TRACK, _SOUND_TRACK = 1, 2
AAC_SAMPLES = 1024  # of a packet
AAC_PRIMING = 1024  # samples that ffmpeg's encoder puts before the sound
_KEY, _DEPENDENT = 0x02000000, 0x01010000  # flags of a sample: depends on no other; does, and is no place to begin
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # upright, as large as it is
_UNDETERMINED = 0x55C4  # the language "und"
_BT709 = struct.pack(">4sHHHB", b"nclx", 1, 1, 1, 0)  # primaries, transfer and matrix; limited range
_BASE_IS_MOOF = 0x020000
_DATA_OFFSET, _DURATION, _SIZE, _FLAGS = 0x1, 0x100, 0x200, 0x400


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a fragmented MP4. All of them one after another are a file; a player needs `init` first.

    Attributes:
        kind: "init" says what follows, and comes once; of the others each holds one packet.
        data: The bytes.
        key: Whether a player can begin with it; of sound, always.
        number: Of pictures and packets of sound, counted from 0 each; the pictures' are those that were pushed.
        time: When it begins, in seconds; the first packet of sound begins before 0.
    """

    kind: Literal["init", "picture", "sound"]
    data: bytes
    key: bool
    number: int
    time: Fraction


class FragmentWriter:
    """Makes fragments of packets of H.264 without frames that are shown in another order, and AAC.

    Args:
        width, height: Of the encoded pictures.
        fps: Their rate.
        rate: Samples a second of the encoded sound.
    """

    def __init__(self, width: int, height: int, fps: Fraction, rate: int) -> None:
        self._size, self._fps, self._rate = (width, height), fps, rate
        self._configurations: dict[str, bytes] = {}
        self._early: list[Packet] = []
        self._begun = False
        self._fragments = self._pictures = self._sounds = 0

    @property
    def pictures(self) -> int:
        """How many pictures there were so far."""
        return self._pictures

    @property
    def mime_type(self) -> str | None:
        """What browsers are told that it is, as for `MediaSource.addSourceBuffer`; None: not known yet."""
        if len(self._configurations) < 2:
            return None
        profile = self._configurations["picture"][1:4].hex()
        return f'video/mp4; codecs="avc1.{profile}, mp4a.40.{self._configurations["sound"][0] >> 3}"'

    def add(self, packet: Packet) -> Iterator[Fragment]:
        """Yield the fragments that the next packet makes."""
        if packet.configuration:
            self._configurations.setdefault(packet.kind, packet.data)
            if len(self._configurations) == 2 and not self._begun:
                self._begun = True
                yield Fragment("init", self._opening(), True, 0, Fraction(0))
                early, self._early = self._early, []
                yield from map(self._fragment, early)
        elif self._begun:
            yield self._fragment(packet)
        else:
            self._early.append(packet)

    def _fragment(self, packet: Packet) -> Fragment:
        if packet.kind == "picture":
            number, ticks, track = self._pictures, self._fps.denominator, _PICTURE_TRACK
            time = number / self._fps
            self._pictures += 1
        else:
            number, ticks, track = self._sounds, AAC_SAMPLES, _SOUND_TRACK
            time = Fraction(number * ticks - AAC_PRIMING, self._rate)
            self._sounds += 1
        self._fragments += 1
        data = _moof(self._fragments, track, number * ticks, ticks, packet) + _box(b"mdat", packet.data)
        return Fragment(packet.kind, data, packet.key, number, time)

    def _opening(self) -> bytes:
        kinds = _box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"mp41", b"avc1", b"dash")
        head = _full(b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), _movie_head(), struct.pack(">I", 3))
        extends = [
            _full(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in (_PICTURE_TRACK, _SOUND_TRACK)
        ]
        return kinds + _box(b"moov", head, self._picture_track(), self._sound_track(), _box(b"mvex", *extends))

    def _picture_track(self) -> bytes:
        width, height = self._size
        entry = _box(
            b"avc1",
            bytes(6) + struct.pack(">H16xHH", 1, width, height),
            struct.pack(">IIIH32xHh", 0x480000, 0x480000, 0, 1, 24, -1),  # 72 dpi, one picture a sample, no palette
            _box(b"avcC", self._configurations["picture"]),
            _box(b"colr", _BT709),
            _box(b"pasp", struct.pack(">II", 1, 1)),
        )
        about = _full(b"vmhd", 0, 1, bytes(8))
        return _track(_PICTURE_TRACK, b"vide", self._fps.numerator, entry, about, size=self._size)

    def _sound_track(self) -> bytes:
        entry = _box(
            b"mp4a",
            bytes(6) + struct.pack(">H8xHHIHH", 1, 1, 16, 0, self._rate, 0),
            _full(b"esds", 0, 0, _descriptors(self._configurations["sound"])),
        )
        # The sound begins behind what the encoder puts before it.
        shift = _box(b"edts", _full(b"elst", 0, 0, struct.pack(">IIiHH", 1, 0, AAC_PRIMING, 1, 0)))
        return _track(_SOUND_TRACK, b"soun", self._rate, entry, _full(b"smhd", 0, 0, bytes(4)), edit=shift)


def _track(
    number: int,
    kind: bytes,
    timescale: int,
    entry: bytes,
    about: bytes,
    *,
    size: tuple[int, int] = (0, 0),
    edit: bytes = b"",
) -> bytes:
    volume = 0x100 if kind == b"soun" else 0
    place = struct.pack(">5I8xHHHH", 0, 0, number, 0, 0, 0, 0, volume, 0)
    head = _full(b"tkhd", 0, 3, place, _MATRIX, struct.pack(">II", *(side << 16 for side in size)))
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, timescale, 0, _UNDETERMINED, 0)),
        _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, kind), b"\0"),
        _box(
            b"minf",
            about,
            _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
            _box(
                b"stbl",
                _full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
                *[_full(table, 0, 0, bytes(4)) for table in (b"stts", b"stsc", b"stco")],
                _full(b"stsz", 0, 0, bytes(8)),
            ),
        ),
    )
    return _box(b"trak", head, edit, media)


def _moof(number: int, track: int, start: int, ticks: int, packet: Packet) -> bytes:
    flags = _KEY if packet.key else _DEPENDENT
    run = [1, 0, ticks, len(packet.data), flags]

    def built() -> bytes:
        return _box(
            b"moof",
            _full(b"mfhd", 0, 0, struct.pack(">I", number)),
            _box(
                b"traf",
                _full(b"tfhd", 0, _BASE_IS_MOOF, struct.pack(">I", track)),
                _full(b"tfdt", 1, 0, struct.pack(">Q", start)),
                _full(b"trun", 0, _DATA_OFFSET | _DURATION | _SIZE | _FLAGS, struct.pack(">5I", *run)),
            ),
        )

    run[1] = len(built()) + 8  # where the data begins, from the beginning of this box
    return built()


def _movie_head() -> bytes:
    return struct.pack(">IH10x", 0x10000, 0x100) + _MATRIX + bytes(24)


def _descriptors(configuration: bytes) -> bytes:
    """Return AudioSpecificConfig in the descriptors that ISO 14496-1 puts around it."""
    codec = struct.pack(">BB3xII", 0x40, 0x15, 0, 0) + _descriptor(5, configuration)
    return _descriptor(3, struct.pack(">HB", 0, 0) + _descriptor(4, codec) + _descriptor(6, b"\x02"))


def _descriptor(tag: int, data: bytes) -> bytes:
    return bytes([tag, 0x80, 0x80, 0x80, len(data)]) + data


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)
