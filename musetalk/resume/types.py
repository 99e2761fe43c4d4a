"""How a render is cut into parts, and where they lie until they are joined."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.settings import EncoderSettings
from musetalk.utils.cores import share_threads, usable_cores

PART_FRAMES = 250  # x264 puts a key frame so often anyhow, so that a part costs none


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """How a render makes its parts, and whether it takes over those that are there.

    Attributes:
        fresh: Whether what earlier renders of the same output left is removed, and all of it made anew.
        part_frames: About how many frames a part has.
        encoder_threads: Of x264, whose bits depend on their number: where machines of several sizes make parts of one
            render, it is to be the same on all; None: as many as fit this one.
        beside: The file for which the output is made, where it is made in a temporary folder: the parts lie beside that
            one, and stay. None: it is the output.
        keep: Whether the parts stay once the output is there, until `discard_parts`: of several outputs that are of use
            together only.
    """

    fresh: bool = False
    part_frames: int = PART_FRAMES
    encoder_threads: int | None = None
    beside: Path | None = None
    keep: bool = False

    @property
    def threads(self) -> int:
        """How many threads x264 gets."""
        return self.encoder_threads or share_threads(usable_cores()).encoder


@dataclass(frozen=True, slots=True)
class RenderParts:
    """A render's parts: fixed ranges of its output frames, always at the same places.

    Attributes:
        folder: Where they lie until they are joined, beside the output.
        key: Of all that decides what they hold, in hexadecimal.
        frames: Output frames. Of a source that turns out to be damaged there may be fewer once it was decoded.
        length: Frames in a part; the last one may have fewer.
    """

    folder: Path
    key: str
    frames: int
    length: int

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-self.frames // self.length)

    def range_of(self, number: int) -> range:
        """Return the output frames of a part."""
        return range(number * self.length, min(self.frames, (number + 1) * self.length))


def part_length(wanted: int, fps: Fraction, encoder: EncoderSettings) -> int:
    """Return how many frames a part has: about as many as wanted, and a multiple of what lies between key frames."""
    if encoder.keyframe_seconds is None:
        return max(2, wanted)  # of two key frames in a row a decoder may think that they are one
    between = max(1, round(encoder.keyframe_seconds * fps))
    return between * max(1, round(wanted / between), -(-2 // between))
