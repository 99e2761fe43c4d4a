"""Every setting of a render: typed, validated, the same from a YAML file, the command line and the app."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from musetalk.errors import SettingsError

NamedChoice = Literal["largest", "leftmost", "rightmost", "all"]
FaceChoice = NamedChoice | tuple[float, float]
ParsedShape = Literal["raw", "jaw", "neck", "mouth"]
PARSED_SHAPES: tuple[str, ...] = get_args(ParsedShape)
DrawnShape = Literal["ellipse", "box"]
ShownShape = DrawnShape | ParsedShape | Literal["painted"]  # painted: what the network itself paints
Background = Literal["white", "black"]
Deinterlace = Literal["auto", "on", "off"]
MaskShape = Literal["auto"] | DrawnShape | ParsedShape


def parse_face_choice(value: object) -> object:
    """Turn the text "X,Y" (source pixels) into a point; leave everything else to the validator."""
    if isinstance(value, str) and "," in value:
        return tuple(part.strip() for part in value.split(","))
    return value


def parse_switch(value: object) -> object:
    """Turn what YAML reads out of a bare `on` or `off` back into these words; leave everything else as it is."""
    return ("on" if value else "off") if isinstance(value, bool) else value


SLOWEST_RATE, FASTEST_RATE = 1, 240  # frames a second that an output may be asked to have
_RATE = re.compile(r"\d{1,6}(\.\d{1,9})?|\d{1,9}/0*[1-9]\d{0,8}")
_NTSC = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120))


def parse_rate(value: object) -> Fraction | None:
    """Read a frame rate: 25, 29.97 or "30000/1001". Decimals of NTSC's rates (23.976, 29.97, 59.94) mean these exactly.

    Raises:
        ValueError: It is no rate, or out of range.
    """
    if value is None or value == "":
        return None
    text = str(value).strip()
    if not _RATE.fullmatch(text):
        raise ValueError("a frame rate is a number such as 25, 29.97 or 30000/1001")
    rate = Fraction(text)
    decimals = len(text.partition(".")[2])
    if decimals >= 2:
        rate = next((exact for exact in _NTSC if round(exact, decimals) == rate), rate)
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError(f"a frame rate lies between {SLOWEST_RATE} and {FASTEST_RATE}")
    return rate.limit_denominator(100_000)


FrameRate = Annotated[
    Fraction | None,
    PlainValidator(parse_rate),
    PlainSerializer(lambda rate: None if rate is None else str(rate), when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DetectorSettings(_Frozen):
    """How faces are looked for."""

    name: Literal["auto", "s3fd", "mtcnn", "yunet", "haar"] = Field(
        "auto", description="auto: s3fd where its weights are, else mtcnn (a package), else haar (OpenCV's own)"
    )
    max_side: int | None = Field(
        None,
        ge=120,
        le=1920,
        description="longest side at which faces are looked for first; default: s3fd 640, mtcnn, haar 480, yunet 320",
    )
    min_face: float = Field(0.08, gt=0, lt=1, description="smallest face, as a fraction of the frame's shorter side")


class TrackerSettings(_Frozen):
    """How detections become one face per shot."""

    bridge_frames: int = Field(12, ge=0, description="longest gap without a detection that is filled, in frames")
    smoothing_seconds: float = Field(0.2, ge=0, le=5, description="width (FWHM) of the smoothing in time, in seconds")
    shot_threshold: float = Field(0.28, gt=0, le=1, description="how different two frames are at a cut, 0 to 1")


class MaskSettings(_Frozen):
    """Where the generated face replaces the source."""

    shape: MaskShape = Field("auto", description="auto: as the backend was published; raw, jaw, neck, mouth are parsed")
    feather: float = Field(
        0.12, ge=0, le=0.5, description="soft edge of ellipse and box, as a fraction of the face width"
    )
    ellipse_padding_factor: float = Field(
        0.0, ge=-0.3, le=0.4, description="ellipse and box: drawn in on every side by this share of their size"
    )
    blur_kernel_ratio: float = Field(
        0.05, ge=0, le=0.2, description="soft edge of parsed shapes, as a fraction of the blended square"
    )
    expand_factor: float = Field(
        1.5, ge=1.2, le=3, description="parsed shapes: side of the blended square, in longer sides of the crop"
    )
    upper_boundary_ratio: float = Field(
        0.5, ge=0, le=0.9, description="parsed shapes: share of the blended square, from above, that keeps the source"
    )
    left_cheek_width: int = Field(90, ge=0, le=256, description="of jaw: columns of 512 left of the middle kept whole")
    right_cheek_width: int = Field(
        90, ge=0, le=256, description="of jaw: columns of 512 right of the middle kept whole"
    )
    mouth_vertical_offset: float = Field(
        0.0, ge=-0.3, le=0.3, description="every shape: moved down by this share of the face's height; negative: up"
    )
    mouth_scale_factor: float = Field(1.0, ge=0.5, le=2, description="every shape: scaled around its middle")
    smoothing_seconds: float = Field(
        0.12, ge=0, le=1, description="parsed shapes: width (FWHM) of the smoothing in time inside a shot, in seconds"
    )
    crop_edge: Literal["fade", "cut"] = Field(
        "fade", description="parsed shapes at the edge of the crop: fade, or are cut off as upstream's"
    )
    occlusion: bool | None = Field(
        None, description="keep hair, hands and glasses in front of the mouth; default: where faces are parsed anyway"
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: object) -> object:
        """Take `blur`, as it was called at first, for what it is called now: files and jobs of that time say so."""
        if isinstance(values, dict) and "blur" in values and "blur_kernel_ratio" not in values:
            return {"blur_kernel_ratio" if name == "blur" else name: value for name, value in values.items()}
        return values

    def shape_of(self, usual: ShownShape) -> ShownShape:
        """The shape; `usual` is that of the backend, for "auto"."""
        return usual if self.shape == "auto" else self.shape


class BlendSettings(_Frozen):
    """How the generated face is made to look like its surroundings."""

    method: Literal["alpha", "poisson"] = Field("alpha", description="poisson: its gradients, on the source's rim")
    colour: Literal["match", "none"] = Field("match", description="match: as the source's, judged at the mask's rim")
    sharpness: Literal["match", "none"] = Field("match", description="match: as sharp and as grainy as the source")
    resampling: Literal["fine", "upstream"] = Field(
        "fine", description="of painted faces on their way back: fine (cubic), or upstream's (bilinear)"
    )


class EnhanceSettings(_Frozen):
    """How a restorer improves the painted faces."""

    model: str = Field(
        "none", min_length=1, description="none, gfpgan, gfpgan-original, or a restorer's file (.pth, .safetensors)"
    )
    strength: float = Field(0.8, ge=0, le=1, description="how much of the restored face is taken")
    region: Literal["mouth", "face"] = Field("mouth", description="mouth: what was painted; face: all of the face")
    upscale: Literal[1, 2, 4] = Field(
        2, description="side of the restored face: 256 pixels times this, or what the model makes"
    )
    steadiness: float = Field(
        0.7, ge=0, le=1, description="how much of the restorer's flicker is taken out; 0: nothing"
    )

    @property
    def wanted(self) -> bool:
        """Whether anything is restored."""
        return self.model != "none" and self.strength > 0


class SilenceSettings(_Frozen):
    """What the mouth does while the voice pauses."""

    mode: Literal["generate", "keep", "rest"] = Field(
        "generate", description="generate: as the backend paints it; keep: the source's mouth; rest: closed, then that"
    )
    threshold_seconds: float = Field(0.6, ge=0.1, le=10, description="shorter pauses are painted, in seconds")
    fade_seconds: float = Field(0.2, ge=0.04, le=2, description="how long the mouths are cross-faded, in seconds")


class SpeechSettings(_Frozen):
    """How networks hear the voice."""

    seams: Literal["smooth", "upstream"] = Field("smooth", description="how windows of 30 s are joined")
    musetalk_v1: Literal["released", "later"] = Field(
        "released", description="how MuseTalk 1.0 hears: as when it was released, or as its project runs it since 1.5"
    )
    audio_padding_length_left: int = Field(2, ge=0, le=10, description="context before a frame, in frames at 25 fps")
    audio_padding_length_right: int = Field(2, ge=0, le=10, description="context after a frame, in frames at 25 fps")


class NetworkSettings(_Frozen):
    """How networks run."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field("auto", description="auto: fp16 on a GPU, fp32 on the CPU")
    decoder: Literal["sd", "tiny"] = Field("sd", description="sd: Stable Diffusion's; tiny: TAESD, quicker and softer")
    batch_size: int | None = Field(None, ge=1, le=32, description="frames at once; default: as many as help and fit")
    compile: bool = Field(False, description="compile the networks: minutes at first, quicker from then on")
    seed: int | None = Field(None, ge=0, lt=2**63, description="sample the latents with this seed; default: their mode")


PRESET_STEPS = {"published": 20, "fast": 8}  # of LatentSync's loop


class LatentSyncSettings(_Frozen):
    """How LatentSync paints."""

    preset: Literal["published", "fast"] = Field("published", description="published: DDIM, 20 steps; fast: DPM++, 8")
    steps: int | None = Field(None, ge=1, le=100, description="of the loop; default: the preset's")
    guidance: float = Field(1.5, ge=1, le=5, description="how much further than the voice says; 1 takes half the time")
    overlap: int = Field(4, ge=0, le=12, description="frames that clips of 16 share with the one before")
    paste: Literal["painted", "crop"] = Field(
        "painted", description="what shows of an aligned crop: what was painted; or all of it, turned back as upstream"
    )
    framing: Literal["aligned", "musetalk"] = Field(
        "aligned", description="aligned: turned upright, as it was trained; musetalk: MuseTalk's crops"
    )
    fallback: Literal["musetalk", "error"] = Field(
        "musetalk", description="who paints clips that it cannot: MuseTalk, if its weights are there; or none"
    )

    @property
    def steps_taken(self) -> int:
        """Steps of the loop: those asked for, or the preset's."""
        return self.steps or PRESET_STEPS[self.preset]


class EncoderSettings(_Frozen):
    """How the output is written."""

    codec: Literal["x264", "nvenc"] = "x264"
    crf: int = Field(18, ge=0, le=51, description="quality, lower is better (constant quality for nvenc)")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        "veryfast"
    )
    audio_kbps: int = Field(192, ge=32, le=512, description="bit rate of the sound track, in kbit/s")
    keyframe_seconds: float | None = Field(
        None,
        gt=0,
        le=60,
        description="most seconds between key frames, where players can begin; fewer: quicker to step through, larger",
    )


class Limits(_Frozen):
    """What an untrusted input may ask of the machine."""

    max_pixels: int = Field(4096 * 4096, gt=0, description="pixels in one frame")
    max_seconds: float = Field(4 * 3600.0, gt=0, description="length of the source and of the voice, in seconds")
    max_bytes: int = Field(16 * 2**30, gt=0, description="size of one input file, in bytes")


# What the published programs do where this one does more, by dotted names.
PUBLISHED_LOOK: Mapping[str, str | float | bool] = MappingProxyType(
    {
        "tracker.smoothing_seconds": 0.0,
        "mask.smoothing_seconds": 0.0,
        "mask.crop_edge": "cut",
        "mask.occlusion": False,
        "blend.colour": "none",
        "blend.sharpness": "none",
        "blend.resampling": "upstream",
        "latentsync.paste": "crop",
    }
)


class RenderSettings(_Frozen):
    """All that decides what a render looks like, besides its two inputs."""

    look: Literal["ours", "published"] = Field(
        "ours", description="published: nothing that the published programs do not do, but for what is set beside it"
    )
    backend: str = "preview"
    models_dir: Path = Path("models")
    bbox_shift: int = Field(0, ge=-200, le=200, description="source pixels; positive opens the mouth more")
    extra_margin: int = Field(10, ge=0, le=200, description="source pixels under the chin that MuseTalk 1.5 sees, too")
    face: Annotated[FaceChoice, BeforeValidator(parse_face_choice)] = "largest"
    length: Literal["pingpong", "loop", "hold"] = Field(
        "pingpong", description="what the picture does where the voice is longer"
    )
    voice_track: int | None = Field(
        None, ge=1, description="which sound track of a voice with several is heard, from 1; default: its default one"
    )
    tail: Literal["cut", "keep"] = Field("cut", description="the rest of the source where the voice is shorter")
    fps: FrameRate = Field(
        None, description="frame rate of the output: 25, 29.97, 30000/1001; default: the source's own, of pictures 25"
    )
    alpha_background: Background = Field(
        "white", description="what is laid under transparent parts of the source: white or black"
    )
    deinterlace: Annotated[Deinterlace, BeforeValidator(parse_switch)] = Field(
        "auto", description="auto: what is marked as interlaced and looks it; on: all; off: nothing"
    )
    use_saved_coords: bool = False
    measure: bool = Field(False, description="measure sharpness, jitter and more of the result; in the report")
    debug_dir: Path | None = Field(None, description="where a render's crops and masks go, as videos; default: nowhere")
    coords_dir: Path | None = Field(None, description="where face plans are kept; default: coords/ beside the output")
    detector: DetectorSettings = DetectorSettings()
    tracker: TrackerSettings = TrackerSettings()
    mask: MaskSettings = MaskSettings()
    blend: BlendSettings = BlendSettings()
    enhance: EnhanceSettings = EnhanceSettings()
    silence: SilenceSettings = SilenceSettings()
    speech: SpeechSettings = SpeechSettings()
    network: NetworkSettings = NetworkSettings()
    latentsync: LatentSyncSettings = LatentSyncSettings()
    encoder: EncoderSettings = EncoderSettings()
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: object) -> object:
        """Take `image_fps`, once the rate of pictures alone, for `fps`; 25, which it was unasked, says nothing."""
        if not isinstance(values, dict) or "image_fps" not in values:
            return values
        renamed = {name: value for name, value in values.items() if name != "image_fps"}
        if str(values["image_fps"]) != "25":
            renamed["fps"] = values["image_fps"] if values.get("fps") is None else values["fps"]
        return renamed

    @model_validator(mode="before")
    @classmethod
    def _take_the_look(cls, values: object) -> object:
        """Put what the look decides where nothing else was said."""
        if not isinstance(values, dict) or values.get("look") != "published":
            return values
        said = dict(values)
        for name, value in PUBLISHED_LOOK.items():
            group, leaf = name.split(".")
            within = said.get(group, {})
            if isinstance(within, BaseModel):
                within = within.model_dump(exclude_unset=True)
            if isinstance(within, dict):  # what else it may be, validation refuses
                said[group] = {leaf: value, **within}
        return said

    @property
    def beside_the_look(self) -> tuple[str, ...]:
        """What was set otherwise than the published look has it, by dotted names; none where that is not the look."""
        if self.look != "published":
            return ()
        return tuple(name for name, value in PUBLISHED_LOOK.items() if _at(self, name) != value)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> RenderSettings:
        """Validate plain values.

        Raises:
            SettingsError: A value is unknown or out of range; the text names each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc'] if not str(part).startswith('function'))}: "
                f"{item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            )
            raise SettingsError(f"unusable settings ({problems})", "correct the value or leave it out") from error


def left_to_the_look(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values without those that the published look, where it is theirs, decides and that say what is usual.

    For forms, whose widgets always say something: what was not touched shall not win over the look.
    """
    if values.get("look") != "published":
        return values
    left = dict(values)
    usual = RenderSettings()
    for name in PUBLISHED_LOOK:
        group, leaf = name.split(".")
        within = left.get(group)
        if isinstance(within, dict) and leaf in within and within[leaf] == _at(usual, name):
            left[group] = {key: value for key, value in within.items() if key != leaf}
    return left


def _at(settings: RenderSettings, name: str) -> object:
    """The value of a setting by its dotted name."""
    group, leaf = name.split(".")
    return getattr(getattr(settings, group), leaf)
