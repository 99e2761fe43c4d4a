"""Probing of sources and voices."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from musetalk.errors import LimitError, MediaError, VoiceError
from musetalk.media.containers.endings import Cut, find_cut, is_joined
from musetalk.media.containers.first_picture import FirstPicture, look_at_first
from musetalk.media.containers.formats import IMAGE_SUFFIXES, picture_format
from musetalk.media.containers.packets import Packets, delay_alone, scan_packets
from musetalk.media.containers.streams import MediaFile, Stream, describe_file
from musetalk.media.conversion import plan_conversion
from musetalk.media.damage import STATES_LENGTH, whole_pictures, with_damage, without_lost_pictures
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.media.known_files import KnownFiles
from musetalk.media.sampling import Video
from musetalk.media.timing.clock import FrameClock, build_clock
from musetalk.media.timing.jumps import Witness
from musetalk.media.timing.rates import WantedRate
from musetalk.media.timing.timestamps import NO_TIME, complete_times
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.settings import Background, Deinterlace, Limits, SourceSettings
from musetalk.utils.units import apart, in_seconds
from musetalk.utils.units import size as size_text

# Containers that store when pictures are shown. Of others ffmpeg knows when they are decoded, and where the two differ
# it gives decoded pictures other times than their packets; AVI's packets then have none.
_STORES_TIMES = frozenset({"asf", "flv", "ivf", "matroska", "mov", "mpeg", "mpegts", "nut", "ogg", "rm", "wtv"})
_SEEKABLE = frozenset({"asf", "flv", "matroska", "mov", "nut"})  # of these, those whose times cannot begin anew inside
_COUNTS_WHAT_IS_USED = frozenset({"mpeg", "mpegts", "nsv", "ogg", "wtv"})  # see `delay_alone`
# Of sound in other containers ffmpeg reckons from the size of the file how long it is.
_STATES_LENGTH = frozenset({"aiff", "ape", "asf", "caf", "flac", "matroska", "mov", "tta", "w64", "wv"})
_MAX_PICTURE_STREAMS = 8  # of one file that are looked into
_MOST_KNOWN = 500_000  # pictures of files that were probed, some 20 MB
_BESIDE_PICTURES = 1000  # what else is known of a source takes as much as so many
_KNOWN_VOICES = 100
_WITHOUT_GAP = 0.1  # seconds between the ends of sound and pictures that were recorded together
_MAX_TITLE = 40  # characters of a track's name that are told


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What is known of a voice without decoding it.

    Attributes:
        file: What its file holds.
        seconds: Its length, as its packets say; decoding may find a little more or less.
        streams: Which stream of the file it is, and those to take instead if that cannot be decoded.
        chosen: Whether the user chose it.
        timely: Whether its times can be right, so that gaps between them are silence.
        cut: What the file's layout tells of its end.
        priming: Seconds that are decoded before it begins.
    """

    file: MediaFile
    seconds: Fraction
    streams: tuple[int, ...]
    chosen: bool
    timely: bool = True
    cut: Cut | None = None
    priming: Fraction = Fraction(0)

    @property
    def stated_seconds(self) -> Fraction:
        """How long it should last, as the file says of nothing else; 0: it does not."""
        states, alone = _STATES_LENGTH & set(self.file.containers), len(self.file.streams) == 1
        stated = self.file.seconds if alone and (states or self.cut) else None
        return max(Fraction(stated or 0), Fraction((self.cut and self.cut.seconds) or 0))

    @property
    def announced_seconds(self) -> Fraction:
        """How long it should last: as the file says, if that is more than its packets say."""
        return max(self.seconds, self.stated_seconds)

    @property
    def tracks(self) -> int:
        """How many sound tracks the file has."""
        return len(self.file.tracks)

    def notes_on(self, stream: int) -> tuple[str, ...]:
        """Return what the user should know of the choice of a stream, a sentence each."""
        tracks = self.file.tracks
        if self.chosen or len(tracks) < 2:
            return ()
        number = next(place for place, each in enumerate(tracks, 1) if each.index == stream)
        track = tracks[number - 1]
        told = ", ".join(filter(None, (track.title[:_MAX_TITLE], track.language.replace("und", ""))))
        named = f"{number} ({told})" if told else str(number)
        lost = ", ".join(str(place) for place, each in enumerate(tracks, 1) if not each.decodable)
        said = f'the voice "{self.file.path.name}" has {len(tracks)} sound tracks: number {named} is heard'
        default, missing = ", the default one" if track.default else "", f"; number {lost} cannot be decoded"
        return (f"{said}{default}{missing if lost else ''}",)


def _size_of(source: Source) -> int:
    """Return how much it takes to know a source, in pictures."""
    clock = source.clock
    return _BESIDE_PICTURES + len(clock.picture_times) + (0 if clock.pictures is None else len(clock.pictures))


# What was probed by this process, for a source is checked, previewed and rendered one after the other.
_SOURCES: KnownFiles[Source] = KnownFiles(_MOST_KNOWN, _size_of)
_VOICES: KnownFiles[VoiceFacts] = KnownFiles(_KNOWN_VOICES, lambda _: 1)


@dataclass(frozen=True, slots=True)
class _Wishes:
    """At which rate a video is played, what is to be done with its fields and its alpha; and who may end the look."""

    fps: WantedRate
    deinterlace: Deinterlace
    background: Background
    cancel: CancelToken | None


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
            raise MediaError(f'there is no file "{path}"', f"give the path of an existing {what}", path=path)
        if not path.is_file():
            raise MediaError(f'"{path}" is not a file', f"give the path of a {what} file", path=path)
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise MediaError(
            f'"{path}" cannot be opened ({error.strerror})', "check its name and permissions", path=path
        ) from error
    if size == 0:
        raise MediaError(f'"{path.name}" is empty (0 bytes)', f"give a {what} with something in it", path=path)
    if size > limits.max_bytes:
        has, allowed = apart(size, limits.max_bytes, size_text)
        raise LimitError(
            f'"{path.name}" has {has}, more than the {allowed} allowed',
            "cut it shorter or raise limits.max_bytes",
            path=path,
            limit="max_bytes",
        )


def probe_wanted(path: Path, wanted: SourceSettings, cancel: CancelToken | None = None) -> Source:
    """Describe a source as a render, its checks and its previews see it; see `probe_source`.

    Raises:
        MediaError: It cannot be read as one, with the reason.
        LimitError: It is larger or longer than the limits.
    """
    return probe_source(
        path,
        wanted.limits,
        fps=wanted.fps,
        alpha_background=wanted.alpha_background,
        deinterlace=wanted.deinterlace,
        cancel=cancel,
    )


def probe_source(
    path: Path,
    limits: Limits,
    *,
    fps: WantedRate = None,
    alpha_background: Background = "white",
    deinterlace: Deinterlace = "auto",
    cancel: CancelToken | None = None,
) -> Source:
    """Describe a video file, a picture, or a folder of pictures: by what it holds, whatever its name says.

    Args:
        path: The file or folder.
        limits: What it may ask of the machine.
        fps: The rate to play it at; "own": its own; None: its own, if lips can move at it (see `suiting_rate`), of
            pictures 25.
        alpha_background: What is laid under transparent parts.
        deinterlace: "auto": videos that are marked as interlaced and look it; "on": all; "off": none.
        cancel: Ends the look.

    Raises:
        MediaError: It cannot be read as one, with the reason.
        LimitError: It is larger or longer than `limits`.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise MediaError(
            f'"{path}" cannot be opened ({error.strerror})', "check its name and permissions", path=path
        ) from error
    if is_folder:
        from musetalk.media.pictures.sources import probe_folder  # noqa: PLC0415 - all of Pillow, which no video needs

        source = probe_folder(path, fps, limits, alpha_background)
    else:
        named_picture = path.suffix.lower() in IMAGE_SUFFIXES
        check_file(path, limits, "picture" if named_picture else "video")
        if picture_format(path) is not None:
            from musetalk.media.pictures.sources import probe_picture  # noqa: PLC0415 - as above

            source = probe_picture(path, fps, limits, alpha_background)
        else:
            wishes = _Wishes(fps, deinterlace, alpha_background, cancel)
            probe = _probe_named_picture if named_picture else _probe_video
            asked = (ffmpeg_executable(), limits, fps, deinterlace, alpha_background)
            known = _SOURCES.of(path, asked, partial(probe, path, limits, wishes))
            source = replace(known, experience=deepcopy(known.experience))  # who decodes it adds to its own
    _check_limits(source, limits)
    return source


def _check_limits(source: Source, limits: Limits) -> None:
    if source.width * source.height > limits.max_pixels:
        raise LimitError(
            f'"{source.path.name}" is {source.width}x{source.height}, more than the {limits.max_pixels} pixels allowed',
            "scale it down or raise limits.max_pixels",
            path=source.path,
            limit="max_pixels",
        )
    check_length(source.path, source.seconds, limits)


def _probe_named_picture(path: Path, limits: Limits, wishes: _Wishes) -> Source:
    """Return a video under the name of a picture, or a picture that is damaged from its first byte on."""
    try:
        return _probe_video(path, limits, wishes)
    except LimitError:
        raise
    except MediaError as error:
        raise MediaError(
            f'"{path.name}" cannot be read as a picture', "open it and save it again as PNG", path=path
        ) from error


def _probe_video(path: Path, limits: Limits, wishes: _Wishes) -> Source:
    cancel = wishes.cancel
    file = describe_file(path, cancel)
    wanted = _candidates(file)
    sound = next((stream for stream in file.sounds(wanted[0].program) if stream.decodable), None)
    scanned = scan_packets(path, [*wanted, *([] if sound is None else [sound])], limits, cancel)
    # A single picture is rarely what a file with more of them is about, even where the file says so.
    order = sorted(wanted, key=lambda stream: len(scanned[stream.index].times) < 2)
    first = _first_decodable(path, order, limits, cancel)
    stream, cut = first.stream, find_cut(path, file.containers)
    packets = whole_pictures(_with_all_times(file, scanned[stream.index]), cut)
    if not packets.times:
        raise MediaError(
            f'no picture in "{path.name}" can be found', "convert it, or export it again, as H.264 MP4", path=path
        )
    witness = _witness(file, packets, None if sound is None else scanned[sound.index])
    clock = _clock(file, packets, first.rate, wishes.fps, limits, witness)
    video = Video(path, stream, file.containers, float(clock.frame_count / clock.fps), limits.max_pixels, cancel)
    made = plan_conversion(video, first, deinterlace=wishes.deinterlace, background=wishes.background)
    source = Source(
        path=path,
        width=made.size[0],
        height=made.size[1],
        clock=clock,
        color=made.first.color,
        pixel_format=made.first.pixel_format,
        square_pixels=made.first.square_pixels and not made.conversion.letterbox,
        seekable=bool(_SEEKABLE & set(file.containers)),
        images=(),
        stream=stream.index,
        sound_stream=None if sound is None or not scanned[sound.index].end else sound.index,
        sound_timely=sound is None or scanned[sound.index].timely,
        sound_priming=Fraction(0) if sound is None else _priming(file, scanned[sound.index]),
        containers=file.containers,
        notes=(*_notes_on(file, stream, sound), *made.notes),
        alpha_background=wishes.background,
        conversion=made.conversion,
        delay=delay_alone(path, stream, scanned, limits, cancel)
        if _COUNTS_WHAT_IS_USED & set(file.containers)
        else 0.0,
        output_color=made.output_color,
    )
    return with_damage(
        source, file, packets, [scanned[place] for place in scanned if place != stream.index], cut, cancel
    )


def _with_all_times(file: MediaFile, packets: Packets) -> Packets:
    """The same packets with the times that a container which stores them may leave out."""
    if NO_TIME not in packets.times or not _STORES_TIMES & set(file.containers):
        return packets
    return replace(packets, times=array("q", complete_times(packets.times, packets.decoded)))


def _candidates(file: MediaFile) -> tuple[Stream, ...]:
    """Return the streams that may be a file's picture, the best first.

    Raises:
        MediaError: There is none.
    """
    name, found = file.path.name, file.pictures
    if not found and not file.tracks:
        raise MediaError(f'"{name}" has neither picture nor sound', "give a video or audio file")
    if not found:
        raise MediaError(f'"{name}" has sound but no picture', "give it as the voice, and a video as the source")
    return (tuple(stream for stream in found if stream.decodable) or found[:1])[:_MAX_PICTURE_STREAMS]


def _notes_on(file: MediaFile, stream: Stream, sound: Stream | None) -> tuple[str, ...]:
    """Return what the user should know of what was taken of a file with several video streams, or left."""
    notes = []
    pictures = tuple(sorted(file.pictures, key=lambda each: each.index))
    if len(pictures) > 1:
        size = f"{stream.size[0]}x{stream.size[1]}"
        lost = [f"{place} ({each.codec})" for place, each in enumerate(pictures, 1) if not each.decodable]
        said = f"; number {', '.join(lost)} cannot be decoded" if lost else ""
        notes.append(
            f"the source has {len(pictures)} video streams; number {pictures.index(stream) + 1} "
            f"({stream.codec}, {size}) is used{said}"
        )
    if is_joined(file.path, file.containers):
        notes.append("the source is several files joined end to end: only the first of them is used")
    if sound is None and file.tracks:
        notes.append(f"the source's own sound ({file.tracks[0].codec}) cannot be decoded")
    return tuple(notes)


def _first_decodable(path: Path, streams: Sequence[Stream], limits: Limits, cancel: CancelToken | None) -> FirstPicture:
    """Return the first picture of the first stream of which one can be decoded.

    Raises:
        MediaError: There is none, with the reason for the first stream.
    """
    errors = []
    for stream in streams:
        picture, complaints = look_at_first(path, stream, limits.max_pixels, cancel=cancel)
        if picture is not None:
            return picture
        errors.append(_undecodable(path, complaints, limits))
    raise errors[0]


def _undecodable(path: Path, complaints: str, limits: Limits) -> MediaError:
    if re.search(r"(picture size|dimensions).*(invalid|exceeds|too large)", complaints, re.IGNORECASE):
        return LimitError(
            f'"{path.name}" has more than the {limits.max_pixels} pixels allowed in a frame',
            "scale it down or raise limits.max_pixels",
            path=path,
            limit="max_pixels",
        )
    return MediaError(
        f'no picture in "{path.name}" can be decoded', "convert it, or export it again, as H.264 MP4", path=path
    )


def _witness(file: MediaFile, pictures: Packets, sound: Packets | None) -> Witness:
    """What a file says of the times of its pictures elsewhere: when they are decoded, how long all of it lasts."""
    tick = float(pictures.tick)
    ends = [] if file.seconds is None or not STATES_LENGTH & set(file.containers) else [file.seconds / tick]
    start = min(pictures.times, default=0) * tick
    if sound is not None and sound.start is not None:
        begun, ended, lasting = (float(each * sound.tick) for each in (sound.start, sound.end, sound.lasting))
        if max(abs(begun - start), abs(ended - begun - lasting)) <= _WITHOUT_GAP:
            ends.append(ended / tick)
    return Witness(pictures.decoded, tuple(ends), _WITHOUT_GAP / tick)


def _clock(
    file: MediaFile, packets: Packets, hint: Fraction | None, fps: WantedRate, limits: Limits, witness: Witness
) -> FrameClock:
    clock = build_clock(
        packets.times,
        packets.keys,
        packets.tick,
        hint,
        fps=fps,
        usual=max(packets.lengths, key=packets.lengths.__getitem__, default=0),
        last=packets.latest[1],
        longest=limits.max_seconds,
        witness=witness,
    )
    if packets.repeats:
        clock, _ = without_lost_pictures(clock)
    told = _STORES_TIMES & set(file.containers) or ("avi" in file.containers and NO_TIME not in packets.times)
    if not told:
        return replace(clock, picture_times=())
    believed = clock.picture_times or clock.repaired or all(time == NO_TIME for time in packets.times)
    return clock if believed else replace(clock, repaired=len(packets.times))


def probe_voice(
    path: Path, limits: Limits, cancel: CancelToken | None = None, *, track: int | None = None
) -> VoiceFacts:
    """Return what a file offers as a voice, without decoding it.

    Args:
        path: The file.
        limits: What it may ask of the machine.
        cancel: Ends the work.
        track: Which of its sound tracks is wanted, from 1; None: its default one.

    Raises:
        MediaError: It cannot be read at all.
        VoiceError: It has no sound, or not that track.
        LimitError: It is larger or longer than `limits`.
    """
    check_file(path, limits, "voice")
    return _VOICES.of(path, (ffmpeg_executable(), limits, track), partial(_probe_sound, path, limits, cancel, track))


def _probe_sound(path: Path, limits: Limits, cancel: CancelToken | None, track: int | None) -> VoiceFacts:
    remedy = "give an audio file, or a video with a sound track, as the voice"
    if picture_format(path) is not None:
        raise VoiceError(f'"{path.name}" is a picture: it has no sound', remedy, path=path)
    file = describe_file(path, cancel)
    tracks = file.tracks
    if not tracks:
        raise VoiceError(f'"{path.name}" has no sound', remedy, path=path)
    if track is not None and track > len(tracks):
        have = "one sound track" if len(tracks) == 1 else f"{len(tracks)} sound tracks"
        raise VoiceError(
            f'"{path.name}" has {have}, and no voice track {track}', "choose one that it has, from 1 on", path=path
        )
    best = tuple(stream for stream in file.sounds() if stream.decodable) or tracks[:1]
    streams = best if track is None else (tracks[track - 1],)
    packets = scan_packets(path, streams[:1], limits, cancel)[streams[0].index]
    check_length(path, packets.seconds, limits)
    indices = tuple(stream.index for stream in streams)
    cut, priming = find_cut(path, file.containers), _priming(file, packets)
    return VoiceFacts(file, packets.seconds, indices, track is not None, packets.timely, cut, priming)


def _priming(file: MediaFile, sound: Packets) -> Fraction:
    """Seconds that are decoded before a sound begins, where its container does not say so itself."""
    return Fraction(0) if "matroska" in file.containers else sound.priming


def check_length(path: Path, seconds: Fraction | float, limits: Limits) -> None:
    """Refuse what lasts too long.

    Raises:
        LimitError: It lasts longer than `limits` allow.
    """
    if seconds > limits.max_seconds:
        lasts, allowed = apart(float(seconds), limits.max_seconds, in_seconds)
        raise LimitError(
            f'"{path.name}" lasts {lasts}, more than the {allowed} allowed',
            "cut it shorter or raise limits.max_seconds",
            path=path,
            limit="max_seconds",
        )
