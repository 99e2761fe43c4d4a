"""The sound of any file as one float WAV, whatever its format is and becomes on the way."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from musetalk.errors import VoiceError
from musetalk.media import ffmpeg_commands
from musetalk.media.containers.flac import write_joined
from musetalk.media.containers.ogg import write_links
from musetalk.media.ffmpeg_process import Child
from musetalk.media.sound.wav import WavFile, read_wav, write_wav
from musetalk.progress import CancelToken

_BLOCK = 2**18  # samples
_BACK_SECONDS = 0.5  # by which timestamps may go back where broadcasts are cut
_FORMAT = re.compile(r"\bch:(\d+) chl:(.*) fmt:\S+ r:(\d+)Hz -> ")
_SKIPPED = re.compile(r"\bdiscarding (\d+) audio samples")
# Containers that are samples, packets or blocks one after another, without times: what ffmpeg gives them is guessed.
_UNTIMED = frozenset(
    "aac ac3 aiff amr ape au caf dts eac3 flac loas mp3 tta voc w64 wav wv".split()  # noqa: SIM905
)
_SPLIT = {"ogg": write_links, "flac": write_joined}  # of files end to end, which ffmpeg reads wrongly in one go
_BROADCAST = frozenset({"mpegts", "mpeg"})


@dataclass(frozen=True, slots=True)
class SoundStream:
    """A sound stream of a file: which one, the names of the file's container, and a stream of pictures, if any.

    `timely` says whether the times of its packets can be right; `priming`, how many seconds come before it begins.
    """

    path: Path
    index: int
    containers: tuple[str, ...]
    picture: int | None = None
    timely: bool = True
    priming: Fraction = Fraction(0)

    @property
    def timed(self) -> bool:
        """Whether its packets have times, between which there may be gaps."""
        return self.timely and _UNTIMED.isdisjoint(self.containers)

    @property
    def rounded(self) -> float:
        """By how many seconds its times may be off: Ogg gives one to a page, and blocks differ in length."""
        return 0.03 if "ogg" in self.containers else 0.002

    @property
    def beside(self) -> int | None:
        """The stream of pictures, where ffmpeg would take no heed of when it begins."""
        return self.picture if _BROADCAST & set(self.containers) else None


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How sound is stored: its rate in Hz, how many channels it has, and what ffmpeg calls these, "5.1"."""

    rate: int
    channels: int
    layout: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: where it begins in seconds (None: at the file's beginning), and the most seconds it takes."""

    start: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class DecodedSound:
    """Sound on disk.

    Attributes:
        file: It, with all its channels.
        layout: What these are, in ffmpeg's words.
        formats: How it was stored, each format once, in order.
    """

    file: WavFile
    layout: str
    formats: tuple[SoundFormat, ...]


def decode_sound(stream: SoundStream, out: Path, span: Span, cancel: CancelToken | None = None) -> DecodedSound:
    """Write a sound stream as float WAV: all its channels, gaps in its timestamps as silence, nothing else added.

    Where its format changes on the way, all of it is brought into the one that loses least.

    Args:
        stream: What to decode.
        out: The WAV file to make; temporary ones lie beside it.
        span: Which part.
        cancel: Ends the work.

    Raises:
        VoiceError: It cannot be decoded, with the reason.
        OutputError: The disk is full.
    """
    split = next((_SPLIT[name] for name in stream.containers if name in _SPLIT and span.start is None), None)
    links = () if split is None else split(stream.path, out.with_suffix(".link"))
    return _decode_links(stream, links, out, span, cancel) if links else _decode(stream, out, span, cancel)


def _decode_links(
    stream: SoundStream, links: tuple[Path, ...], out: Path, span: Span, cancel: CancelToken | None
) -> DecodedSound:
    """Decode the parts of a joined file one by one; of Ogg, ffmpeg reads those in the format of the first one only."""
    streams = [SoundStream(link, 0, stream.containers) for link in links]
    parts = [_decode(stream, stream.path.with_suffix(".wav"), span, cancel) for stream in streams]
    formats = tuple(dict.fromkeys(met for part in parts for met in part.formats))
    wanted = _richest(formats)
    whole = [
        part.file
        if part.formats == (wanted,)
        else _unify(stream, stream.path.with_suffix(".one"), span, wanted, cancel)
        for stream, part in zip(streams, parts, strict=True)
    ]
    write_wav(out, (block for file in whole for block in file.blocks(_BLOCK, cancel)), wanted.rate, wanted.channels)
    for link in links:
        for suffix in (link.suffix, ".wav", ".one"):
            link.with_suffix(suffix).unlink(missing_ok=True)
    return DecodedSound(read_wav(out), wanted.layout, formats)


def _decode(stream: SoundStream, out: Path, span: Span, cancel: CancelToken | None) -> DecodedSound:
    formats, skipped = _extract(stream, out, span, cancel)
    file = read_wav(out)
    if skipped > _BACK_SECONDS * file.rate:  # recordings one after another, each with timestamps of its own
        return _decode(replace(stream, containers=("wav",)), out, span, cancel)
    if len(formats) < 2:
        return DecodedSound(file, formats[0].layout if formats else "", tuple(formats))
    distinct = tuple(dict.fromkeys(formats))
    wanted = _richest(distinct)
    return DecodedSound(_unify(stream, out, span, wanted, cancel), wanted.layout, distinct)


def _richest(formats: tuple[SoundFormat, ...]) -> SoundFormat:
    """Return the format into which all of these can be brought: the most channels and the highest rate of them."""
    widest = max(formats, key=lambda each: each.channels)
    return SoundFormat(max(each.rate for each in formats), widest.channels, widest.layout)


def _unify(stream: SoundStream, out: Path, span: Span, wanted: SoundFormat, cancel: CancelToken | None) -> WavFile:
    """Decode in two steps: into one format with the timestamps that it has, and only then are gaps filled."""
    first = out.with_suffix(".nut") if stream.timed else out
    arguments = ffmpeg_commands.unify_sound(
        stream.path,
        stream.index,
        first,
        rate=wanted.rate,
        channels=wanted.channels,
        layout=wanted.layout,
        start=span.start,
        priming=float(stream.priming),
        seconds=span.seconds,
        timed=stream.timed,
        renewed=not stream.timely,
        beside=stream.beside,
    )
    with Child(arguments, cancel=cancel) as child:
        _check(child, first)
    if stream.timed:
        _extract(SoundStream(first, 0, ("nut",)), out, Span(None, span.seconds), cancel, from_zero=False)
        first.unlink()
    return read_wav(out)


def _extract(
    stream: SoundStream, out: Path, span: Span, cancel: CancelToken | None, *, from_zero: bool = True
) -> tuple[list[SoundFormat], int]:
    """Decode in one step.

    Returns:
        The formats that were met, in order: the result is right if there is one. And how many samples were left out
        because timestamps went back.
    """
    label = secrets.token_hex(8)  # no text of the file can be taken for what the filter says
    said = re.compile(rf"\[aresample@{label} [^\]]*\] ")
    arguments = ffmpeg_commands.extract_sound(
        stream.path,
        stream.index,
        out,
        label,
        start=span.start,
        priming=float(stream.priming),
        seconds=span.seconds,
        timed=stream.timed,
        renewed=not stream.timely,
        from_zero=from_zero,
        beside=stream.beside,
        rounded=stream.rounded,
    )
    with Child(arguments, keep=re.compile(said.pattern + r".*(?: -> |discarding)"), cancel=cancel) as child:
        _check(child, out)
        lines = child.kept_lines
    formats = [SoundFormat(int(m[3]), int(m[1]), m[2]) for line in lines if (m := _FORMAT.search(line))]
    return formats, sum(int(m[1]) for line in lines if (m := _SKIPPED.search(line)))


def _check(child: Child, out: Path) -> None:
    status = child.finish()
    if status != 0 or not out.is_file():
        raise child.disk_error(out.parent) or VoiceError(child.complaint)
