"""Float WAV files of our own making: read and written in blocks, repaired in place."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetalk.errors import VoiceError
from musetalk.progress import CancelToken
from musetalk.utils.arrays import Float32Array

_FLOAT_BYTES = 4
_MAPPED_BYTES = 2**24  # of a file at a time
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_IEEE_FLOAT = 3
_MOST_BYTES = 2**32 - 1 - _HEADER.size  # of samples that a header can tell


@dataclass(frozen=True, slots=True)
class WavFile:
    """A float WAV file.

    Attributes:
        path: The file.
        rate: Its sample rate in Hz.
        channels: How many it has.
        samples: Its length in samples per channel.
        offset: Where its samples begin, in bytes.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    offset: int

    def blocks(self, size: int, cancel: CancelToken | None = None, *, first: int = 0) -> Iterator[Float32Array]:
        """Yield its samples from the `first` on, float32 [n, channels], `size` at a time and fewer at the end.

        Writing to them changes the file.

        Raises:
            Cancelled: `cancel` was set.
        """
        frame = self.channels * _FLOAT_BYTES
        length = max(1, _MAPPED_BYTES // (size * frame)) * size
        for start in range(first, self.samples, length):
            count = min(length, self.samples - start)
            mapped = np.memmap(self.path, np.dtype("<f4"), "r+", self.offset + start * frame, (count, self.channels))
            for place in range(0, count, size):
                if cancel is not None:
                    cancel.check()
                yield np.asarray(mapped[place : place + size])


def read_wav(path: Path) -> WavFile:
    """Read the RIFF or RF64 chunks that ffmpeg wrote (the format: EBU Tech 3306).

    Raises:
        VoiceError: It has no format, or another one than these files have.
    """
    rate = channels = bits = size = offset = 0
    with path.open("rb") as file:
        total = path.stat().st_size
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                offset = file.tell()
                size = total - offset  # nothing follows the samples
                break
            body = file.read(length + length % 2)
            if name == b"fmt ":
                channels, rate, bits = struct.unpack("<HI6xH", body[2:16])
    if not rate or not channels or bits != 8 * _FLOAT_BYTES:
        raise VoiceError(f'the sound in "{path.name}" is not in 32-bit floats', "convert it to WAV", path=path)
    return WavFile(path, rate, channels, size // (_FLOAT_BYTES * channels), offset)


def write_wav(path: Path, blocks: Iterator[Float32Array], rate: int, channels: int) -> None:
    """Write blocks of float32 [n] or [n, channels] as one file.

    Raises:
        OSError: The disk is full.
    """
    with path.open("wb") as file:
        file.write(bytes(_HEADER.size))
        for block in blocks:
            file.write(np.ascontiguousarray(block, np.dtype("<f4")).data)
        size = file.tell() - _HEADER.size
        size = size if size <= _MOST_BYTES else _MOST_BYTES + _HEADER.size  # readers go on to the end of the file
        frame = channels * _FLOAT_BYTES
        file.seek(0)
        file.write(
            _HEADER.pack(
                *(b"RIFF", min(size + _HEADER.size - 8, 2**32 - 1), b"WAVE", b"fmt ", 16, _IEEE_FLOAT, channels, rate),
                *(rate * frame, frame, 8 * _FLOAT_BYTES, b"data", size),
            )
        )
