"""Copies of inputs for looking and listening: in formats that any browser plays, small, and never what is rendered."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from PIL import Image

from musetalk.errors import OutputError, VoiceError
from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_process import Child
from musetalk.media.probe import VoiceFacts
from musetalk.media.reader import decode, fitted_size, read_frames
from musetalk.media.sound.voice import Voice, extract_sound_of
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.settings import Limits

COPY_SECONDS = 30  # of a video that are copied
_COPY_SIDE, _STILL_SIDE = 640, 1280  # pixels
# Sound that every browser plays: by container, the codecs in it. Of others, what one plays another one does not.
_PLAYED = {
    "wav": frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"}),
    "mp3": frozenset({"mp3", "mp3float"}),
    "aac": frozenset({"aac"}),
    "flac": frozenset({"flac"}),
    "mov": frozenset({"aac", "mp3", "mp3float"}),
}


def plays_everywhere(facts: VoiceFacts) -> bool:
    """Whether browsers play a voice's file as it is, and play of it what is heard here: its only track, no picture."""
    file, track = facts.file, next(iter(facts.file.tracks))
    codecs = [codecs for name, codecs in _PLAYED.items() if name in file.containers]
    return any(track.codec in each for each in codecs) and facts.tracks == 1 and not file.pictures


def copy_voice(voice: Voice, out: Path, cancel: CancelToken | None = None) -> None:
    """Write a voice that was extracted as FLAC.

    Raises:
        OutputError: It cannot be written.
    """
    with Child(ffmpeg_commands.encode_flac(voice.path, out), cancel=cancel) as child:
        if child.finish() != 0:
            raise _failure(child, out)


def copy_suffix(source: Source) -> str:
    """Return how the name of a source's copy ends, which is a picture or a video."""
    return ".jpg" if source.frame_count == 1 else ".mp4"


def copy_source(source: Source, out: Path, folder: Path, limits: Limits, cancel: CancelToken | None = None) -> None:
    """Write what a source shows: a picture as JPEG, of a video the first half minute, small, as MP4 with its sound.

    Args:
        source: What is copied.
        out: The file to make; ends as `copy_suffix` says.
        folder: For temporary files.
        limits: What may be asked of the machine.
        cancel: Ends the work.

    Raises:
        MediaError: Nothing of it can be decoded.
        OutputError: The copy cannot be written.
    """
    if source.frame_count > 1:
        _copy_video(source, out, folder, limits, cancel)
        return
    with closing(read_frames(source, 0, 1, max_side=_STILL_SIDE)) as frames:
        Image.fromarray(next(frames)).save(out, "JPEG", quality=90)


def _copy_video(source: Source, out: Path, folder: Path, limits: Limits, cancel: CancelToken | None) -> None:
    count = min(source.frame_count, max(1, round(COPY_SECONDS * source.fps)))
    sound, seconds = _sound_of(source, folder, limits, cancel), float(count / source.fps)
    width, height = fitted_size(source, _COPY_SIDE)
    layout = replace(source.layout, width=width, height=height)
    arguments = ffmpeg_commands.encode_copy(out, layout=layout, fps=source.fps, sound=sound, seconds=seconds)
    with (
        Child(arguments, stdin=True, cancel=cancel) as child,
        closing(decode(source, 0, count, max_side=_COPY_SIDE, cancel=cancel)) as frames,
    ):
        try:
            for frame in frames:
                child.write(frame.view)
        except BrokenPipeError as error:
            raise _failure(child, out) from error
        if child.finish() != 0:
            raise _failure(child, out)


def _sound_of(source: Source, folder: Path, limits: Limits, cancel: CancelToken | None) -> Path | None:
    """Return the source's own sound as WAV; None: it has none that can be decoded."""
    short = limits.model_copy(update={"max_seconds": float(COPY_SECONDS)})
    try:
        sound = extract_sound_of(source, folder, short, cancel)
    except VoiceError:  # said by the render's report where it matters
        return None
    return None if sound is None else sound.path


def _failure(child: Child, out: Path) -> OutputError:
    return child.disk_error(out.parent) or OutputError(f'the copy "{out.name}" cannot be written ({child.complaint})')
