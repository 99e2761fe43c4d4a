"""The one thing that is swappable: what paints the mouth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from musetalk.arrays import Float32Array, UInt8Array
from musetalk.faces.types import FaceSample

SpeechKind: TypeAlias = Literal["envelope", "features"]


@dataclass(frozen=True, slots=True)
class Clip:
    """Consecutive output frames of one face inside one shot.

    Attributes:
        crops: uint8 RGB [N, S, S, 3]. Not to be written to.
        speech: float32 [N, ...], as the generator's `speech` asks (see `SpeechTrack.window`).
        faces: Box and mouth of each frame, in pixels of the crop.
    """

    crops: UInt8Array
    speech: Float32Array
    faces: tuple[FaceSample, ...]


class FaceGenerator(Protocol):
    """Paints a speaking mouth into face crops. A pure function of its clip: no state between calls."""

    @property
    def crop_size(self) -> int | None:
        """Side S of the crops in pixels; None: the source's own pixels, never resampled (S differs per face)."""
        ...

    @property
    def clip_length(self) -> int:
        """Most frames in one clip."""
        ...

    @property
    def speech(self) -> SpeechKind:
        """What it listens to."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, as torch names it: "cpu", "cuda:0"."""
        ...

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3]."""
        ...
