"""What a file holds: its container and its streams, and which of them are looked at and listened to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from musetalk.errors import MediaError
from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_process import Child
from musetalk.progress import CancelToken

StreamKind = Literal["video", "audio", "other"]

MAX_STREAMS = 1000  # of one file; what comes after is not looked at
_MAX_LINE = 4000  # bytes; streams are told in a tenth of that
_TEXT_BYTES = 4096  # that tell text from other files: only these hold zeros
_MAX_REASONS = 50  # lines in which the reason of a failure is looked for

_TAGGED = re.compile(r"\[[^\]]* @ [^\]]*\] ")  # what a demuxer or decoder says, in between
_LABEL = re.compile(r"\[[a-z]+\] ")
_SERIOUS = re.compile(r"(?:\[[^\]]* @ [^\]]*\] )?\[(?:error|fatal|panic)\] (?P<reason>.*)")
_INPUT = re.compile(r"Input #0, (?P<names>\S+), from ")
_DURATION = re.compile(
    r"  Duration: (?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d\.\d+)(?:, start: (?P<start>\d+\.\d+))?\b"
)
_PROGRAM = re.compile(r"  (?:Program (?P<number>\d+) |No Program)")
_GROUP = re.compile(r"  Stream group #0:")
# The greedy ".*" passes over a language, which may be any text; behind the last kind come ffmpeg's own words only.
_STREAM = re.compile(
    r"  Stream #0:(?P<index>\d+)\b.*: (?P<kind>Video|Audio|Subtitle|Data|Attachment|Unknown): (?P<facts>.*)", re.DOTALL
)
_LANGUAGE = re.compile(r"  Stream #0:\d+(?:\[0x[0-9a-f]+\])?\((?P<language>[\w-]{2,12})\): ")
_TITLE = re.compile(r"      title {11}: (?P<title>.+)")
_ALPHA_BESIDE = re.compile(r"      alpha_mode {6}: 1", re.IGNORECASE)
_DOLBY = re.compile(
    r" {6,8}DOVI configuration record: .*\bprofile: (?P<profile>\d+), .*compatibility id: (?P<compatible>\d+)"
)
_DISPOSITIONS = re.compile(r"(?: \([a-z_ -]+\))*\s*$")
# Of sound that is not the film's own speech: a commentary, a description for the blind, music and noises alone.
_ASIDE = re.compile(r"\((?:comment|visual impaired|descriptions|clean effects|non-diegetic|karaoke)\)")
_SIZE = re.compile(r", (?P<width>\d+)x(?P<height>\d+)\b")
_SAMPLE_FORMAT = re.compile(r", (?:u8|s16|s32|s64|flt|dbl)p?\b")
_STILL_CODECS = frozenset({"mjpeg", "png", "apng", "bmp", "gif", "tiff", "webp", "jpeg2000", "jpegls", "jpegxl"})


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a file.

    Attributes:
        index: Its place in the file, from 0: what ffmpeg calls "0:index".
        kind: What it is.
        codec: In ffmpeg's words, "h264"; "none" where ffmpeg knows none.
        decodable: Whether ffmpeg got to know how its pictures or samples are stored; mostly, else, it has no decoder.
        default: Whether the file says that it is to be played unless another one is asked for.
        attached: Whether it is a picture about the file, as a cover or chapters' thumbnails, and not of it.
        size: (width, height) of a video's pictures as stored; (0, 0) where unknown, and of other kinds.
        program: The broadcast programme that it belongs to; None where there are none.
        language: As the file says, "eng"; mostly empty.
        title: As the file says; mostly empty.
        alpha_beside: Whether a video's alpha is kept beside its pictures, where only some decoders look.
        dolby: Dolby Vision's profile, and what its pictures are compatible with (0: nothing); None: it is none.
        aside: Whether the file says that it is sound beside the film's own: a commentary, a description for the blind.
    """

    index: int
    kind: StreamKind
    codec: str
    decodable: bool
    default: bool
    attached: bool
    size: tuple[int, int] = (0, 0)
    program: int | None = None
    language: str = ""
    title: str = ""
    alpha_beside: bool = False
    dolby: tuple[int, int] | None = None
    aside: bool = False


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What a file holds.

    Attributes:
        path: The file.
        containers: The names of its container: ("mov", "mp4", ...).
        streams: In the file's order.
        seconds: How long it is, as it says or as ffmpeg takes from what is there; None: unknown.
    """

    path: Path
    containers: tuple[str, ...]
    streams: tuple[Stream, ...]
    seconds: float | None = None

    @property
    def pictures(self) -> tuple[Stream, ...]:
        """Its video streams, the one to be looked at first; pictures about the file are left out.

        Those that can be decoded come before others, the default one before others, moving pictures before codecs of
        still ones (a thumbnail may come first in a file), and then the earlier one.
        """
        found = (stream for stream in self.streams if stream.kind == "video" and not stream.attached)
        return tuple(sorted(found, key=lambda s: (not s.decodable, not s.default, s.codec in _STILL_CODECS, s.index)))

    @property
    def tracks(self) -> tuple[Stream, ...]:
        """Its sound streams in the file's order: track 1, track 2, ..."""
        return tuple(stream for stream in self.streams if stream.kind == "audio")

    def sounds(self, program: int | None = None) -> tuple[Stream, ...]:
        """Return its sound streams, the one to be heard first.

        Those that can be decoded come before others, those of the `program` before others, the default one before
        others, the film's own before commentaries and the like, and then the earlier one.
        """

        def place(stream: Stream) -> tuple[bool, bool, bool, bool, int]:
            foreign = program is not None and stream.program != program
            return not stream.decodable, foreign, not stream.default, stream.aside, stream.index

        return tuple(sorted(self.tracks, key=place))


def describe_file(path: Path, cancel: CancelToken | None = None) -> MediaFile:
    """List what a file holds, in a moment, however much it says about itself.

    Raises:
        MediaError: It is no media file, with the reason.
    """
    containers: tuple[str, ...] = ()
    seconds: float | None = None
    streams: dict[int, Stream] = {}
    program: int | None = None
    grouped = False
    latest: int | None = None
    reasons: list[str] = []
    for line in _own_lines(path, reasons, cancel):
        if not containers:
            found = _INPUT.match(line)
            containers = tuple(found["names"].rstrip(",").split(",")) if found else ()
        elif length := _DURATION.match(line):
            seconds = 3600 * int(length["hours"]) + 60 * int(length["minutes"]) + float(length["seconds"])
            if "matroska" in containers and (start := float(length["start"] or 0)) < seconds:
                seconds -= start  # what it states is where it ends, mostly
        elif heading := _PROGRAM.match(line):
            program, latest = int(heading["number"]) if heading["number"] else None, None
        elif _GROUP.match(line):
            grouped, latest = True, None
        elif stream := _stream(line[2:] if grouped and line.startswith("    Stream #") else line, program):
            latest = stream.index
            if len(streams) < MAX_STREAMS:
                streams.setdefault(stream.index, stream)
        elif latest in streams and (title := _TITLE.fullmatch(line)):
            streams[latest] = replace(streams[latest], title=title["title"])
        elif latest in streams and _ALPHA_BESIDE.fullmatch(line):
            streams[latest] = replace(streams[latest], alpha_beside=True)
        elif latest in streams and (dolby := _DOLBY.match(line)):
            streams[latest] = replace(streams[latest], dolby=(int(dolby["profile"]), int(dolby["compatible"])))
    if not containers:
        raise _unreadable(path, reasons)
    return MediaFile(path, containers, tuple(streams[index] for index in sorted(streams)), seconds)


def _stream(line: str, program: int | None) -> Stream | None:
    """Return what a line of ffmpeg's says of a stream; None: nothing."""
    found = _STREAM.match(line)
    if found is None:
        return None
    facts = found["facts"]
    kind: StreamKind = "video" if found["kind"] == "Video" else "audio" if found["kind"] == "Audio" else "other"
    size = _SIZE.search(facts) if kind == "video" else None
    codec = re.split(r"[ ,]", facts, maxsplit=1)[0]
    stored = _SAMPLE_FORMAT.search(facts) if kind == "audio" else size and ", none" not in facts
    dispositions = _DISPOSITIONS.search(facts)
    flags = dispositions[0] if dispositions else ""
    language = _LANGUAGE.match(line)
    return Stream(
        index=int(found["index"]),
        kind=kind,
        codec=codec,
        decodable=codec != "none" and bool(stored),
        default="(default)" in flags,
        attached="(attached" in flags or "(timed" in flags,
        size=(int(size["width"]), int(size["height"])) if size else (0, 0),
        program=program,
        language=language["language"] if language else "",
        aside=bool(_ASIDE.search(flags)),
    )


def _own_lines(path: Path, reasons: list[str], cancel: CancelToken | None) -> Iterator[str]:
    """Yield the lines that ffmpeg begins itself when it lists a file; what the file adds to them never begins one.

    Names, languages and keys stand in the list as they stand in the file, line ends and all. So it is made twice, once
    with a label before each message: what has none there is text of the file, even where it looks like a label.

    Args:
        path: The file.
        reasons: Gets what ffmpeg complains of, as far as that may tell why there is no list.
        cancel: Ends the work.
    """
    with (
        Child(ffmpeg_commands.list_streams(path, labelled=False), stderr=True, cancel=cancel) as plain,
        Child(ffmpeg_commands.list_streams(path, labelled=True), stderr=True, cancel=cancel) as labelled,
    ):
        own = ""
        while True:
            bare, marked = _next_line(plain, []), _next_line(labelled, reasons)
            if bare is None or marked is None:
                break
            if marked == bare:
                own = f"{own}\n{bare}"[:_MAX_LINE]
            elif marked.endswith(bare) and _LABEL.fullmatch(marked[: len(marked) - len(bare)]):
                yield own
                own = bare
            else:
                break  # the file was exchanged in between
        yield own


def _next_line(child: Child, reasons: list[str]) -> str | None:
    """Return the next line that no demuxer or decoder wrote, without its line end; None: there is no more."""
    while line := child.read_line(_MAX_LINE):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = child.read_line(_MAX_LINE)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if len(reasons) < _MAX_REASONS and (serious := _SERIOUS.match(text)):
            reasons.append(serious["reason"])
        if not _TAGGED.match(text):
            return text
    return None


def _unreadable(path: Path, reasons: list[str]) -> MediaError:
    text = "\n".join(reasons)
    if _is_text(path):
        return MediaError(
            f'"{path.name}" is text (perhaps a playlist, or a list of other files), and no video or sound itself',
            "give the video itself, for instance as MP4, MOV, MKV or WebM",
            path=path,
        )
    if "not on whitelist" in text:
        return MediaError(
            f'"{path.name}" is of a kind of file that is not read here',
            "convert it, for instance to MP4, MOV, MKV or WebM",
            path=path,
        )
    if "moov atom not found" in text:
        return MediaError(
            f'"{path.name}" is no video, or only part of one', "copy, download or export it again", path=path
        )
    reason = reasons[0] if reasons else "ffmpeg gave no reason"
    return MediaError(f'"{path.name}" cannot be read ({reason})', "convert it, or export it again, as MP4", path=path)


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(_TEXT_BYTES)
