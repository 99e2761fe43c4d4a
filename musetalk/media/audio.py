"""The voice: taken out of any file once, then the same samples for listening and for the sound track."""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.arrays import Float32Array
from musetalk.errors import OutputError, VoiceError
from musetalk.media import commands
from musetalk.media.child import Child
from musetalk.media.probe import check_length, probe_voice
from musetalk.progress import CancelToken
from musetalk.settings import Limits
from musetalk.units import apart, duration

SPEECH_RATE = 16_000  # Hz, what Whisper and the envelope listen to
MIN_VOICE_SECONDS = 0.1  # two or three video frames; less is no speech
_BLOCK_SECONDS = 4
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as float WAV on disk.

    Attributes:
        path: The WAV file.
        rate: Its sample rate in Hz.
        channels: 1 or 2.
        samples: Its length in samples per channel.
        stream: Which stream of the file it is.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    stream: int = 0

    @property
    def seconds(self) -> Fraction:
        """Its exact length."""
        return Fraction(self.samples, self.rate)


def extract_voice(path: Path, folder: Path, limits: Limits, cancel: CancelToken | None = None) -> Voice:
    """Take the first sound stream of an audio or video file as WAV into `folder`.

    Raises:
        MediaError: The file cannot be read.
        VoiceError: It has no sound, or too little.
        LimitError: It is larger or longer than allowed.
    """
    stream = probe_voice(path, limits, cancel).stream
    wav = folder / "voice.wav"
    with Child(commands.extract_voice(path, stream, wav, max_seconds=limits.max_seconds + 1), cancel=cancel) as child:
        status = child.finish()
        if status != 0 and _out_of_disk(child):
            raise OutputError(f'the disk under "{folder.parent}" is full', "free some space")
        if status != 0 or not wav.is_file():
            raise VoiceError(f'the sound of "{path.name}" cannot be decoded ({child.complaint})', "convert it to WAV")
    voice = _read_header(wav)
    check_length(path, voice.seconds, limits)
    if voice.seconds < MIN_VOICE_SECONDS:
        lasts, least = apart(float(voice.seconds), MIN_VOICE_SECONDS, duration)
        raise VoiceError(
            f'the voice "{path.name}" lasts {lasts}, too short to speak with (at least {least})',
            "give a longer recording",
        )
    return voice


def _out_of_disk(child: Child) -> bool:
    return any("No space left" in line for line in child.stderr_lines)


def _read_header(wav: Path) -> Voice:
    """Read the RIFF or RF64 chunks that ffmpeg wrote (the format: EBU Tech 3306)."""
    rate = channels = size = 0
    with wav.open("rb") as file:
        total = wav.stat().st_size
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                size = total - file.tell()  # nothing follows the samples
                break
            body = file.read(length + length % 2)
            if name == b"fmt ":
                channels, rate = struct.unpack("<HI", body[2:8])
    if not rate or not channels:
        raise VoiceError(f'the sound in "{wav.name}" has no format', "convert it to WAV")
    return Voice(wav, rate, channels, size // (_FLOAT_BYTES * channels))


def read_speech(voice: Voice, cancel: CancelToken | None = None) -> Generator[Float32Array, None, None]:
    """Yield the voice as float32 mono blocks at `SPEECH_RATE`, about -1 to 1."""
    return _read_blocks(commands.decode_samples(voice.path, SPEECH_RATE), "the voice", cancel)


def read_excerpt(
    path: Path, stream: int, start: float, seconds: float, cancel: CancelToken | None = None
) -> Generator[Float32Array, None, None]:
    """As `read_speech`, from the middle of a sound stream of any file; `start` and length in seconds."""
    arguments = commands.decode_excerpt(path, stream, start, seconds, SPEECH_RATE)
    return _read_blocks(arguments, f'the sound of "{path.name}"', cancel)


def _read_blocks(arguments: list[str], what: str, cancel: CancelToken | None) -> Generator[Float32Array, None, None]:
    block = np.empty(SPEECH_RATE * _BLOCK_SECONDS, np.float32)
    with Child(arguments, stdout=True, cancel=cancel) as child:
        while filled := child.read_into(block.data.cast("B")):
            yield block[: filled // _FLOAT_BYTES].copy()
        if child.finish() != 0:
            raise VoiceError(f"{what} cannot be decoded ({child.complaint})", "convert it to WAV")
