"""The groups of settings. What is said of a field here is what --help, the form's bounds and the docs' tables say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from musetalk.settings.fields import NamesOf, Settings, setting
from musetalk.settings.values import (
    AUTO,
    CHUNK_SECONDS,
    LOOKAHEAD_CHUNKS,
    MOST_LOOKAHEAD_CHUNKS,
    MaskShape,
    ShownShape,
    V1Speech,
)
from musetalk.utils.extensions import DETECTORS, ENHANCERS

_SECONDS, _FACE_WIDTHS, _SQUARE = "seconds", "face widths", "of the blended square"


class DetectorSettings(Settings):
    """How faces are looked for."""

    name: Annotated[str, NamesOf(DETECTORS, (AUTO,))] = setting(
        AUTO,
        "what finds faces; auto: s3fd where its weights are, else mtcnn (a package), else haar (OpenCV's own)",
        flag="detector",
    )
    max_side: int | None = setting(
        None,
        "longest side at which faces are looked for first",
        unit="pixels",
        unset="s3fd 640; mtcnn, haar 480; yunet 320",
        ge=120,
        le=1920,
    )
    min_face: float = setting(0.08, "smallest face", unit="of the frame's shorter side", gt=0, lt=1)


class TrackerSettings(Settings):
    """How detections become one face per shot."""

    bridge_frames: int = setting(12, "longest gap without a detection that is filled", unit="frames", ge=0)
    smoothing_seconds: float = setting(0.2, "width (FWHM) of the smoothing of boxes in time", unit=_SECONDS, ge=0, le=5)
    shot_threshold: float = setting(0.28, "how different two frames are at a cut", gt=0, le=1)


class MaskSettings(Settings):
    """Where the generated face replaces the source."""

    shape: MaskShape = setting(
        "auto",
        "the painted region; auto: as the backend was published; ellipse and box are drawn, the others parsed",
        flag="mask",
    )
    feather: float = setting(0.12, "soft edge of ellipse and box", unit=_FACE_WIDTHS, flag="feather", ge=0, le=0.5)
    ellipse_padding_factor: float = setting(
        0.0,
        "ellipse and box: drawn in on every side by this share of their size",
        flag="ellipse-padding-factor",
        ge=-0.3,
        le=0.4,
    )
    blur_kernel_ratio: float = setting(
        0.05,
        "soft edge of parsed shapes; 0.05 is upstream's offline one, 0.1 its avatar's",
        unit=_SQUARE,
        flag="blur-kernel-ratio",
        old=("blur",),
        ge=0,
        le=0.2,
    )
    expand_factor: float = setting(
        1.5,
        "parsed shapes: side of the blended square",
        unit="longer sides of the crop",
        flag="expand-factor",
        ge=1.2,
        le=3,
    )
    upper_boundary_ratio: float = setting(
        0.5,
        "parsed shapes: share of the blended square, from above, that keeps the source",
        flag="upper-boundary-ratio",
        ge=0,
        le=0.9,
    )
    left_cheek_width: int = setting(
        90, "jaw: columns of 512, left of the middle, kept whole", flag="left-cheek-width", ge=0, le=256
    )
    right_cheek_width: int = setting(
        90, "jaw: columns of 512, right of the middle, kept whole", flag="right-cheek-width", ge=0, le=256
    )
    mouth_vertical_offset: float = setting(
        0.0,
        "moves any shape down by this share of the face's height; negative: up",
        flag="mouth-vertical-offset",
        ge=-0.3,
        le=0.3,
    )
    mouth_scale_factor: float = setting(
        1.0, "scales any shape around its middle", flag="mouth-scale-factor", ge=0.5, le=2
    )
    smoothing_seconds: float = setting(
        0.12,
        "parsed shapes: width (FWHM) of their smoothing in time inside a shot",
        unit=_SECONDS,
        ge=0,
        le=1,
    )
    crop_edge: Literal["fade", "cut"] = setting(
        "fade", "parsed shapes at the edge of the crop: fade, or are cut off as upstream's"
    )
    occlusion: bool | None = setting(
        None,
        "keep hair, hands, microphones and glasses in front of the mouth",
        unset="where faces are parsed anyway",
        flag="occlusion",
    )

    def shape_of(self, usual: ShownShape) -> ShownShape:
        """Return the shape; `usual` is that of the backend, for "auto"."""
        return usual if self.shape == "auto" else self.shape


class BlendSettings(Settings):
    """How the generated face is made to look like its surroundings."""

    method: Literal["alpha", "poisson"] = setting(
        "alpha", "how the painted face is laid in; poisson: its gradients on the source's colours, slower", flag="blend"
    )
    color: Literal["match", "none"] = setting(
        "match",
        "match: colours as the source's, judged at the mask's rim",
        flag="color",
        also=("colour",),
        old=("colour",),
    )
    sharpness: Literal["match", "none"] = setting(
        "match", "match: as sharp and as grainy as the source", flag="sharpness"
    )
    resampling: Literal["fine", "upstream"] = setting(
        "fine", "of painted faces on their way back: fine (cubic), or upstream's (bilinear)"
    )


class EnhanceSettings(Settings):
    """How an enhancer improves the painted faces."""

    model: Annotated[str, NamesOf(ENHANCERS)] = setting(
        "none",
        "enhances painted faces by gfpgan, or by any other enhancer's file (.pth, .safetensors)",
        values="none, NAMES, FILE",
        also=("enhance",),
        min_length=1,
    )
    strength: float = setting(0.8, "how much of the enhanced face is taken", ge=0, le=1)
    region: Literal["mouth", "face"] = setting("mouth", "mouth: what was painted; face: all of the face")
    upscale: Literal[1, 2, 4] = setting(
        2, "side of the enhanced face: 256 pixels times this, or what the model makes", flag="upscale"
    )
    steadiness: float = setting(0.7, "how much of the enhancer's flicker is taken out; 0: nothing", ge=0, le=1)

    @property
    def wanted(self) -> bool:
        """Whether anything is enhanced."""
        return self.model != "none" and self.strength > 0


class SilenceSettings(Settings):
    """What the mouth does while the voice pauses."""

    mode: Literal["generate", "keep", "rest"] = setting(
        "generate",
        "in pauses of the voice: generate as ever, keep the source's mouth, or let it come to rest and then keep that",
        flag="silence",
    )
    min_pause_seconds: float = setting(
        0.6,
        "shorter pauses are painted as ever",
        unit=_SECONDS,
        flag="min-pause-seconds",
        also=("pause-seconds",),
        old=("threshold_seconds",),
        ge=0.1,
        le=10,
    )
    fade_seconds: float = setting(0.2, "how long the mouths are cross-faded", unit=_SECONDS, ge=0.04, le=2)


class SpeechSettings(Settings):
    """How the voice is heard."""

    seams: Literal["smooth", "upstream", "live"] = setting(
        "smooth",
        "how windows of 30 s are joined; upstream: cut as upstream does, jumps included; live: heard as while it "
        "arrives, a window for every 80 ms",
    )
    lookahead_chunks: int = setting(
        LOOKAHEAD_CHUNKS,
        "with live seams, how much of the voice is known beyond a frame",
        unit="chunks of 80 ms",
        ge=0,
        le=MOST_LOOKAHEAD_CHUNKS,
    )
    musetalk_v1: V1Speech = setting(
        "released",
        "how MuseTalk 1.0 hears: as when it was released (Whisper's last state before the closing norm, 0 after the "
        "voice, its edges held), or as its project runs it since 1.5",
    )
    audio_padding_length_left: int = setting(
        2, "context before a frame", unit="frames at 25 fps", flag="audio-padding-length-left", ge=0, le=10
    )
    audio_padding_length_right: int = setting(
        2, "context after a frame", unit="frames at 25 fps", flag="audio-padding-length-right", ge=0, le=10
    )
    phonemes: Path | None = setting(
        None,
        "preview: phonemes of the voice with their times, by which its mouth moves; networks hear the voice itself",
        values="FILE",
        unset="it moves by loudness and timbre",
        flag="phonemes",
        server_only=True,
    )

    @property
    def lookahead(self) -> Fraction:
        """Seconds of the voice that are known beyond a frame with live seams."""
        return self.lookahead_chunks * CHUNK_SECONDS


class NetworkSettings(Settings):
    """How networks run."""

    device: str = setting(
        "auto",
        "what networks run on; auto: the first GPU, else the CPU",
        values="auto, cpu, cuda, cuda:N",
        flag="device",
        server_only=True,
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16", "int8"] = setting(
        "auto",
        "how exactly they calculate; auto: fp16 on a GPU; on a CPU bf16 if quicker, else fp32; int8: quicker on CPUs "
        "with VNNI, at about 40 dB",
        flag="dtype",
    )
    decoder: Literal["sd", "tiny"] = setting(
        "sd", "sd: Stable Diffusion's; tiny: TAESD, a few percent of the work, softer", flag="decoder"
    )
    batch_size: int | None = setting(
        None, "frames at once", unset="as many as help and fit", flag="batch-size", ge=1, le=32
    )
    compile: bool = setting(False, "compile the networks: minutes at first, quicker from then on", server_only=True)
    seed: int | None = setting(
        None,
        "sample the latents with this seed, as upstream does",
        unset="their mode, the same every time",
        flag="seed",
        ge=0,
        lt=2**63,
    )


PRESET_STEPS = {"published": 20, "fast": 8}  # of LatentSync's loop


class LatentSyncSettings(Settings):
    """How LatentSync paints."""

    preset: Literal["published", "fast"] = setting(
        "published", "published: DDIM in 20 steps; fast: DPM-Solver++ in 8", also=("sampler",)
    )
    steps: int | None = setting(
        None, "steps of the loop", unset="the preset's", also=("inference-steps",), ge=1, le=100
    )
    guidance: float = setting(
        1.5,
        "how much further than the voice says; 1 takes half the time",
        also=("guidance-scale",),
        ge=1,
        le=5,
    )
    overlap: int = setting(
        4,
        "frames that clips of 16 share with the one before, in which they are cross-faded at every step",
        unit="frames",
        ge=0,
        le=12,
    )
    cache: int = setting(
        1,
        "steps for which what the network's deep levels say is used; 1: they are computed at every step; 2 takes two "
        "thirds of the time, at a loss",
        unit="steps",
        ge=1,
        le=20,
    )
    paste: Literal["painted", "crop"] = setting(
        "painted", "what shows of an aligned crop: what was painted; or all of it, turned back as upstream"
    )
    framing: Literal["aligned", "musetalk"] = setting(
        "aligned",
        "aligned: turned upright, as it was trained; musetalk: MuseTalk's crops, the plain swap",
        also=("framing",),
    )
    fallback: Literal["musetalk", "error"] = setting(
        "musetalk",
        "who paints clips that it cannot: MuseTalk, if its weights are there; or nobody: an error",
        also=("fallback",),
    )

    @property
    def steps_taken(self) -> int:
        """Steps of the loop: those asked for, or the preset's."""
        return self.steps or PRESET_STEPS[self.preset]


class EncoderSettings(Settings):
    """How the output is written."""

    codec: Literal["x264", "nvenc"] = setting("x264", "H.264 by x264, or by NVENC on a GPU", flag="codec")
    crf: int = setting(18, "quality, lower is better (constant quality for nvenc)", flag="crf", ge=0, le=51)
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        setting("veryfast", "how long x264 takes: slower makes smaller files", flag="preset")
    )
    audio_kbps: int = setting(192, "bit rate of the sound track", unit="kbit/s", ge=32, le=512)
    keyframe_seconds: float | None = setting(
        None,
        "most seconds between key frames, where players can begin; fewer: quicker to step through, larger",
        unit=_SECONDS,
        unset="the encoder's choice",
        gt=0,
        le=60,
    )


class Limits(Settings):
    """What an untrusted input may ask of the machine."""

    max_pixels: int = setting(4096 * 4096, "largest frame that is accepted", unit="pixels", flag="max-pixels", gt=0)
    max_seconds: float = setting(
        4 * 3600.0, "longest source and voice that are accepted", unit=_SECONDS, flag="max-seconds", gt=0
    )
    max_bytes: int = setting(16 * 2**30, "largest input file that is accepted", unit="bytes", gt=0)
