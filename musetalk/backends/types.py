"""Interfaces of generators, which paint the mouth: `FaceGenerator`, `GeneratorSpec`, `Clip`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from musetalk.audio.types import AudioFeatureSpec
from musetalk.faces.crops.aligner import Aligner
from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.types import FaceSample
from musetalk.progress import never_stop, noop
from musetalk.settings import ShownShape
from musetalk.utils.arrays import Float32Array, UInt8Array

Framing: TypeAlias = Literal["square", "halved", "aligned"]
Shown: TypeAlias = Callable[[int], Float32Array]
Pasted: TypeAlias = Callable[[CropTransform], tuple[int, int, Float32Array]]
Masked: TypeAlias = Callable[[UInt8Array], UInt8Array]

_SLOW = 0.8  # of the rate that a network was trained at: below, it is told


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """The input that a generator takes, and how its result is shown: framing, audio features, mask.

    Attributes:
        audio_spec: How it hears Whisper's features; None: it listens to the envelope.
        framing: "square": around the whole face. "halved": MuseTalk's, cheek to cheek and halved across the nose.
            "aligned": turned upright, as `aligner` does it.
        margin_below: Whether its crops have `extra_margin` below the chin.
        mask: Where its result is usually shown; "painted": as `paste_mask` says.
        per_frame: Whether it paints each frame without a look at the others of its clip.
        aligner: Of the framing "aligned".
        paste_mask: Where it paints at all: float32 [S, S] over crops of side S, 0 keeps the source, 1 takes what it
            painted. None: everywhere.
        pasted: How strongly its placed crops show over the frame, instead of by `paste_mask`: the left and upper edge
            of a rectangle, and float32 [h, w] over it. None: by `paste_mask`.
        clip_overlap: Frames that consecutive clips of one stretch should share, to be cross-faded.
        min_clip: Clips of fewer frames come out worse.
        seams: Frames of a clip of N frames, painted with a stride, at which its parts meet inside the generator.
            None: there are none.
        trained_fps: Frames a second of what it was trained on, where it sees how frames follow each other; None: it
            sees each by itself. Lengths of clips are in frames at about that rate.
        notes: What the user should know of how it was loaded, a sentence each.
        masked_input: What it is shown of a crop that it is to repaint, beside the crop itself: from and to uint8 RGB
            [S, S, 3], for people to look at. None: all of it.
        visemes: Whether it takes visemes instead of the envelope where the voice's phonemes are known.
    """

    audio_spec: AudioFeatureSpec | None = None
    framing: Framing = "square"
    margin_below: bool = False
    mask: ShownShape = "ellipse"
    per_frame: bool = False
    aligner: Aligner | None = None
    paste_mask: Shown | None = None
    pasted: Pasted | None = None
    clip_overlap: int = 0
    min_clip: int = 1
    seams: Callable[[int, int], Sequence[int]] | None = None
    trained_fps: int | None = None
    masked_input: Masked | None = None
    notes: tuple[str, ...] = ()
    visemes: bool = False

    def __post_init__(self) -> None:
        """Check that what it needs is there.

        Raises:
            ValueError: It is not.
        """
        if (self.framing == "aligned" and self.aligner is None) or (self.mask == "painted" and self.paste_mask is None):
            raise ValueError('the framing "aligned" needs an aligner, and the mask "painted" what is shown')

    def stride_at(self, fps: Fraction) -> int:
        """Return every how many frames of a video it should be shown as one clip: 1 at about its own rate and below."""
        return 1 if self.trained_fps is None else max(1, round(fps / self.trained_fps))

    def note_on(self, fps: Fraction) -> str:
        """Return what the user should know of painting at a rate, a sentence without its full stop; empty: nothing."""
        if self.trained_fps is None or fps >= _SLOW * self.trained_fps:
            return ""
        return (
            f"the network was trained on {self.trained_fps} frames a second: at {float(fps):.4g} it sees mouths move "
            "further from frame to frame than it has learned, and follows the voice less well"
        )


class KeptLatents(Protocol):
    """Latents of crops that were encoded before, by a digest of their pixels. Safe between threads."""

    def get(self, digest: bytes) -> Float32Array | None:
        """Return the latents of one crop, float32 [8, h, w] as `EncodesCrops` tells them; None: they are not kept."""
        ...


@dataclass(frozen=True, slots=True)
class Clip:
    """Consecutive output frames of one face inside one shot.

    Attributes:
        crops: uint8 RGB [N, S, S, 3]. Not to be written to.
        speech: float32 [N, ...], as the generator's spec asks (see `SpeechTrack.window`).
        faces: Box and mouth of each frame, in pixels of the crop.
        first_row: Rows of the crops above it are not shown, and need not be painted.
        check: To be called between pieces of long work; raises where the work is to end.
        step: To be told how many steps of long work are done, and of how many, after each.
        note: To be told what the user should know, a sentence.
        stride: Every how many frames a network that sees how frames follow each other should take for neighbours:
            more than 1 at rates of so many times that which it was trained at.
        kept: Latents of the crops, as far as they were encoded before; None: nobody kept any.
    """

    crops: UInt8Array
    speech: Float32Array
    faces: tuple[FaceSample, ...]
    first_row: int = 0
    check: Callable[[], None] = never_stop
    step: Callable[[int, int], None] = noop
    note: Callable[[str], None] = noop
    stride: int = 1
    kept: KeptLatents | None = None


class FaceGenerator(Protocol):
    """Paints a speaking mouth into face crops. A pure function of its clip: no state between calls."""

    @property
    def crop_size(self) -> int | None:
        """Side S of the crops in pixels; None: the source's own pixels, never resampled (S differs per face)."""
        ...

    @property
    def clip_length(self) -> int:
        """Most frames in one clip of stride 1; a clip of stride n may have n times as many."""
        ...

    @property
    def spec(self) -> GeneratorSpec:
        """What it was made for."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, as torch names it: "cpu", "cuda:0"."""
        ...

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3]."""
        ...


@runtime_checkable
class EncodesCrops(Protocol):
    """A generator that works on latents, which can be made before there is a voice, and kept."""

    def latents(self, crops: UInt8Array, check: Callable[[], None] = never_stop) -> tuple[list[bytes], Float32Array]:
        """Encode crops.

        Args:
            crops: uint8 RGB [N, S, S, 3].
            check: Called between pieces of the work; raises where it is to end.

        Returns:
            The digest of each crop's pixels, and float32 [N, 8, h, w].
        """
        ...


@runtime_checkable
class PaintsFrames(FaceGenerator, Protocol):
    """A generator that paints each frame by itself, so that one call can serve several clips.

    `finish(clip, forward(prepare(clip)))` is `generate(clip)`, but for last digits where networks calculate otherwise
    with another number of frames. What a frame is between the steps is the generator's own affair. Safe to share
    between threads.
    """

    @property
    def frames_at_once(self) -> int:
        """Most frames in one call of `forward`."""
        ...

    def prepare(self, clip: Clip) -> Sequence[Any]:
        """Return a clip's frames as `forward` takes them; each holds all that is needed of its clip."""
        ...

    def forward(self, frames: Sequence[Any], check: Callable[[], None] = never_stop) -> Sequence[Any]:
        """Return what is painted in each of some frames, of any clips.

        Args:
            frames: At least one, at most `frames_at_once`.
            check: Called between pieces of the work; raises where it is to end.
        """
        ...

    def finish(self, clip: Clip, painted: Sequence[Any]) -> UInt8Array:
        """Return a clip's crops speaking, from what `forward` made of each of its frames: uint8 RGB [N, S, S, 3]."""
        ...
