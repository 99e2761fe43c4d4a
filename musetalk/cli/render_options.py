"""The options of `render` that are settings: one line each, in the order of --help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Option:
    """An option that is a setting, None where it is not given.

    Attributes:
        name: Of the parameter; "--name" with dashes is the flag.
        setting: The setting by its dotted name.
        kind: What its value is.
        help: What it does, and what is usual.
        flag: The flag, where it is not made of the name.
    """

    name: str
    setting: str
    kind: type
    help: str
    flag: str | None = None

    def parameter(self) -> inspect.Parameter:
        """It, as a parameter that typer reads."""
        given = typer.Option(*filter(None, [self.flag]), help=self.help)
        annotation = Annotated[self.kind | None, given]  # type: ignore[name-defined]
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


_PAINTER = (
    Option("backend", "backend", str, "What paints the mouth (default: preview)."),
    Option("models_dir", "models_dir", Path, "Where weights are (default: models)."),
    Option("bbox_shift", "bbox_shift", int, "Source pixels; positive opens the mouth more."),
    Option("extra_margin", "extra_margin", int, "MuseTalk 1.5: pixels under the chin (default: 10)."),
)
_SOURCE = (
    Option("face", "face", str, "largest, leftmost, rightmost, all, or the point X,Y it is nearest to."),
    Option("length", "length", str, "Voice longer than video: pingpong, loop or hold."),
    Option("tail", "tail", str, "Voice shorter: cut, or keep the rest of the video."),
    Option(
        "voice_track", "voice_track", int, "Which sound track of VOICE is heard, from 1 (default: its default one)."
    ),
    Option("fps", "fps", str, "Frame rate of OUT: 25, 29.97, 30000/1001 (default: the source's; pictures 25)."),
    Option(
        "alpha_background",
        "alpha_background",
        str,
        "What is laid under transparent parts: white or black (default: white).",
    ),
    Option("deinterlace", "deinterlace", str, "Interlaced sources: auto (what looks it), on (all), or off."),
)
_FACES = (
    Option(
        "use_saved_coords",
        "use_saved_coords",
        bool,
        "Keep the faces found, and use them again.",
        flag="--use-saved-coords",
    ),
    Option("coords_dir", "coords_dir", Path, "Where they are kept (default: coords/ beside OUT)."),
    Option("detector", "detector.name", str, "auto, s3fd, mtcnn, yunet or haar."),
)
_MASK = (
    Option("mask", "mask.shape", str, "Painted region: auto, ellipse, box, or parsed: raw, jaw, neck, mouth."),
    Option("look", "look", str, "ours, or published: without what this program adds, to compare with demos."),
    Option("feather", "mask.feather", float, "Soft edge of ellipse and box, in face widths."),
    Option(
        "ellipse_padding_factor",
        "mask.ellipse_padding_factor",
        float,
        "Ellipse and box: drawn in by this share of their size.",
    ),
    Option(
        "blur_kernel_ratio",
        "mask.blur_kernel_ratio",
        float,
        "Soft edge of parsed shapes, of the blended square (default: 0.05).",
    ),
    Option("expand_factor", "mask.expand_factor", float, "Side of the blended square, in crops (default: 1.5)."),
    Option(
        "upper_boundary_ratio",
        "mask.upper_boundary_ratio",
        float,
        "Share of that square, from above, that is kept (default: 0.5).",
    ),
    Option(
        "mouth_vertical_offset", "mask.mouth_vertical_offset", float, "Move the mask down by this share of the face."
    ),
    Option("mouth_scale_factor", "mask.mouth_scale_factor", float, "Scale the mask (default: 1)."),
    Option(
        "occlusion",
        "mask.occlusion",
        bool,
        "Keep hair, hands, glasses in front (default: where faces are parsed anyway).",
    ),
    Option("left_cheek_width", "mask.left_cheek_width", int, "Of jaw: columns of 512 (default: 90)."),
    Option("right_cheek_width", "mask.right_cheek_width", int, "The same to the right."),
)
_LOOK = (
    Option("blend", "blend.method", str, "alpha, or poisson."),
    Option("colour", "blend.colour", str, "match (to the face around the mask), or none."),
    Option("sharpness", "blend.sharpness", str, "match (to the source), or none."),
    Option("enhance", "enhance.model", str, "Restore faces: none, gfpgan, or a restorer's file."),
    Option("enhance_strength", "enhance.strength", float, "0 to 1 (default: 0.8)."),
    Option("enhance_region", "enhance.region", str, "mouth (what was painted), or face."),
    Option("upscale", "enhance.upscale", int, "Of the restored face: 1, 2 or 4 times 256 pixels."),
    Option("silence", "silence.mode", str, "In pauses: generate, keep the source's mouth, or let it come to rest."),
    Option("pause_seconds", "silence.threshold_seconds", float, "Shorter pauses are painted (default: 0.6)."),
)
_NETWORKS = (
    Option("device", "network.device", str, "What networks run on: auto, cpu, cuda, cuda:N."),
    Option("dtype", "network.dtype", str, "Their numbers: auto, fp32, fp16, bf16."),
    Option("decoder", "network.decoder", str, "sd, or tiny: far quicker, softer."),
    Option("batch_size", "network.batch_size", int, "Frames at once (default: what fits)."),
    Option("seed", "network.seed", int, "Sample the latents (default: their mode)."),
    Option("inference_steps", "latentsync.steps", int, "LatentSync: steps (default: the sampler's)."),
    Option("guidance_scale", "latentsync.guidance", float, "LatentSync: 1 to 5 (default: 1.5)."),
    Option("sampler", "latentsync.preset", str, "LatentSync: published (DDIM, 20), or fast (DPM++, 8)."),
    Option("framing", "latentsync.framing", str, "LatentSync: aligned, or musetalk's crops."),
    Option("fallback", "latentsync.fallback", str, "What LatentSync cannot paint: musetalk paints it, or error."),
)
_OUTPUT = (
    Option("codec", "encoder.codec", str, "x264 or nvenc."),
    Option("crf", "encoder.crf", int, "Quality, 0 to 51, lower is better (default: 18)."),
    Option("preset", "encoder.preset", str, "x264's speed, ultrafast to veryslow."),
    Option("max_seconds", "limits.max_seconds", float, "Longest input accepted."),
    Option("max_pixels", "limits.max_pixels", int, "Largest frame accepted."),
)
_OPTIONS: tuple[Option, ...] = (*_PAINTER, *_SOURCE, *_FACES, *_MASK, *_LOOK, *_NETWORKS, *_OUTPUT)
_WRITTEN = Option(
    "debug_dir", "debug_dir", Path, "Write crops and masks there, as videos."
)  # shown where --help tells what is written


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes settings as keywords, with an option for each of them.

    Args:
        command: Its own parameter `further` takes any setting by its name: the options come before and behind it.
    """
    own = inspect.signature(command, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name == "further":
            parameters += [*(option.parameter() for option in _OPTIONS), parameter, _WRITTEN.parameter()]
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            parameters.append(parameter)

    @wraps(command)
    def with_options(**values: object) -> None:
        command(**values)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def settings_of(values: Mapping[str, object]) -> dict[str, object]:
    """What options say (by their names) as settings, by their dotted names."""
    return {option.setting: values[option.name] for option in (*_OPTIONS, _WRITTEN)}
