"""What media stages know of a source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from musetalk.media.frames import LUMA_WEIGHTS, PLANAR, FrameLayout
from musetalk.media.seeking import Experience
from musetalk.media.timing.clock import FrameClock
from musetalk.settings import Background


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How a video's numbers mean colors, in ffmpeg's words; None where the file does not say."""

    range: str | None = None
    space: str | None = None
    primaries: str | None = None
    transfer: str | None = None


@dataclass(frozen=True, slots=True)
class Deinterlacing:
    """How pictures made of two fields become whole ones.

    Attributes:
        parity: The field that is earlier: "tff" the top one, "bff" the bottom one, "auto" as each picture says.
        only_marked: Leave alone what is marked as progressive.
    """

    parity: Literal["auto", "tff", "bff"] = "auto"
    only_marked: bool = True


@dataclass(frozen=True, slots=True)
class ToneMapping:
    """How HDR becomes SDR.

    Attributes:
        filter: What ffmpeg does it with.
        color: What the source's numbers mean; nothing is None.
        peak: The brightest that the source gets, in cd/m².
    """

    filter: Literal["zscale", "libplacebo"]
    color: ColorTags
    peak: float


@dataclass(frozen=True, slots=True)
class PixelShape:
    """From a moment of the file on, in seconds, pixels are `ratio` times as wide as high."""

    start: float
    ratio: Fraction


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is done to a video's stored pictures so that they are upright, whole, opaque, SDR and of one size.

    Attributes:
        decoder: The decoder to use in place of ffmpeg's own choice; None: that.
        deinterlacing: How fields become pictures; None: they are whole already.
        tone_mapping: How HDR becomes SDR; None: it is SDR, or stays as it is.
        matrix: How YCbCr is read where the file does not say; None: it says.
        by_zscale: Whether the matrix is one that swscale does not know.
        background: What transparent parts are laid over; None: all is opaque.
        premultiplied: Whether stored colors are weighted by alpha already.
        letterbox: Whether stored sizes may differ from one another.
        shapes: Those of the pixels, where they change on the way; empty: ffmpeg knows the only one.
    """

    decoder: str | None = None
    deinterlacing: Deinterlacing | None = None
    tone_mapping: ToneMapping | None = None
    matrix: str | None = None
    by_zscale: bool = False
    background: Background | None = None
    premultiplied: bool = False
    letterbox: bool = False
    shapes: tuple[PixelShape, ...] = ()

    @property
    def on_vulkan(self) -> bool:
        """Whether a Vulkan device is needed."""
        return self.tone_mapping is not None and self.tone_mapping.filter == "libplacebo"

    @property
    def keeps_planes(self) -> bool:
        """Whether pictures stay what they are stored as, but for their fields."""
        return self.tone_mapping is None and self.background is None and not self.by_zscale and not self.letterbox

    @property
    def lead(self) -> int:
        """Pictures before one that it depends on."""
        return 0 if self.deinterlacing is None else 1


@dataclass(frozen=True, slots=True)
class Source:
    """A video, a picture, or a folder of pictures.

    Attributes:
        path: The file or folder.
        width, height: Size in square pixels, upright, as a viewer sees it.
        clock: Frame rate, frame count, and which picture each frame shows.
        color: Color tags, as stored.
        pixel_format: As stored, in ffmpeg's words.
        square_pixels: Whether it is stored with square pixels, that is, in this size.
        seekable: Whether decoding may begin at a keyframe.
        images: The picture files, in order; empty for a video.
        stream: Which stream of the file holds its pictures.
        sound_stream: Which stream holds its own sound; None: it has none that can be decoded.
        sound_timely: Whether the times of that can be right, so that gaps between them are silence.
        sound_priming: Seconds that are decoded of that before it begins.
        containers: The names of the file's container, ("mov", "mp4", ...).
        notes: What the user should know of how it is read, a sentence each.
        animated: Whether it is a picture that moves (GIF, PNG, WebP, AVIF).
        alpha_background: What is laid under transparent parts.
        conversion: What is done to its stored pictures.
        delay: Seconds by which decoding counts the times of its pictures from a later moment than the clock does.
        output_color: Color tags of an output that looks as its frames do.
        experience: What decoding has shown of it so far.
    """

    path: Path
    width: int
    height: int
    clock: FrameClock
    color: ColorTags
    pixel_format: str
    square_pixels: bool
    seekable: bool
    images: tuple[Path, ...]
    stream: int = 0
    sound_stream: int | None = None
    sound_timely: bool = True
    sound_priming: Fraction = Fraction(0)
    containers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    animated: bool = False
    alpha_background: Background = "white"
    conversion: Conversion = Conversion()
    delay: float = 0.0
    output_color: ColorTags = ColorTags()
    experience: Experience = field(default_factory=Experience, compare=False, repr=False)

    @property
    def has_sound(self) -> bool:
        """Whether it has sound of its own."""
        return self.sound_stream is not None

    @property
    def fps(self) -> Fraction:
        """Frames a second, exact."""
        return self.clock.fps

    @property
    def frame_count(self) -> int:
        """Frames at the constant rate."""
        return self.clock.frame_count

    @property
    def seconds(self) -> float:
        """Length at the constant rate."""
        return float(self.frame_count / self.fps)

    @property
    def picture_start(self) -> float:
        """Seconds from the start of the file to its first picture (sound may start earlier)."""
        return self.clock.picture_times[0] if self.clock.picture_times else 0.0

    @property
    def layout(self) -> FrameLayout:
        """How its frames are decoded: to the planes that are stored, or, where these have to be converted, to RGB."""
        matrix = self.conversion.matrix or self.color.space
        stored = self.pixel_format.replace("yuvj", "yuv")
        if self.images or self.animated or not self.conversion.keeps_planes:
            return FrameLayout(self.width, self.height)
        if stored not in PLANAR or matrix not in LUMA_WEIGHTS:
            return FrameLayout(self.width, self.height)
        full_range = self.color.range == "pc"
        if stored != self.pixel_format and not full_range:  # its name says what its tag does not, and what players miss
            return FrameLayout(self.width, self.height)
        return FrameLayout(self.width, self.height, stored, matrix, full_range)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one decoded frame."""
        return self.layout.frame_bytes

    def shortened(self, frame_count: int) -> Source:
        """The same source, known to end after `frame_count` frames."""
        return replace(self, clock=replace(self.clock, frame_count=frame_count))

    @property
    def high_dynamic_range(self) -> bool:
        """Whether its transfer is PQ or HLG."""
        return self.color.transfer in ("smpte2084", "arib-std-b67")
