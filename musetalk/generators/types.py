"""The one thing that is swappable: what paints the mouth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from musetalk.arrays import Float32Array, UInt8Array
from musetalk.faces.aligner import Aligner
from musetalk.faces.types import FaceSample
from musetalk.settings import ShownShape
from musetalk.speech.hearing import Hearing

Framing: TypeAlias = Literal["square", "halved", "aligned"]
Shown: TypeAlias = Callable[[int], Float32Array]


@dataclass(frozen=True, slots=True)
class Traits:
    """How a generator was made to see, to hear and to be shown.

    Attributes:
        hearing: How it hears Whisper's features; None: it listens to the envelope.
        framing: "square": around the whole face. "halved": MuseTalk's, cheek to cheek and halved across the nose.
            "aligned": turned upright, as `aligner` does it.
        room_below: Whether its crops have `extra_margin` below the chin.
        mask: Where its result is usually shown; "painted": as `shown` says.
        alone: Whether it paints each frame without a look at the others of its clip.
        aligner: Of the framing "aligned".
        shown: Where it paints at all: float32 [S, S] over crops of side S, 0 keeps the source, 1 takes what it painted.
            None: everywhere.
    """

    hearing: Hearing | None = None
    framing: Framing = "square"
    room_below: bool = False
    mask: ShownShape = "ellipse"
    alone: bool = False
    aligner: Aligner | None = None
    shown: Shown | None = None

    def __post_init__(self) -> None:
        """Check that what it needs is there.

        Raises:
            ValueError: It is not.
        """
        if (self.framing == "aligned" and self.aligner is None) or (self.mask == "painted" and self.shown is None):
            raise ValueError('the framing "aligned" needs an aligner, and the mask "painted" what is shown')


def _go_on() -> None:
    """Nobody wants the work to end."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Consecutive output frames of one face inside one shot.

    Attributes:
        crops: uint8 RGB [N, S, S, 3]. Not to be written to.
        speech: float32 [N, ...], as the generator's traits ask (see `SpeechTrack.window`).
        faces: Box and mouth of each frame, in pixels of the crop.
        first_row: Rows of the crops above it are not shown, and need not be painted.
        check: To be called between pieces of long work; raises where the work is to end.
    """

    crops: UInt8Array
    speech: Float32Array
    faces: tuple[FaceSample, ...]
    first_row: int = 0
    check: Callable[[], None] = _go_on


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
    def traits(self) -> Traits:
        """What it was made for."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, as torch names it: "cpu", "cuda:0"."""
        ...

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3]."""
        ...
