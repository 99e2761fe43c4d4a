"""All settings of a render, and the look that decides several of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator, model_validator

from musetalk.errors import SettingsError
from musetalk.settings.fields import NamesOf, Settings, SettingsOf, current_names, group, problems_in, said_of, setting
from musetalk.settings.groups import (
    BlendSettings,
    DetectorSettings,
    EncoderSettings,
    EnhanceSettings,
    LatentSyncSettings,
    Limits,
    MaskSettings,
    NetworkSettings,
    SilenceSettings,
    SpeechSettings,
    TrackerSettings,
)
from musetalk.settings.picked import (
    ComponentSettings,
    CropSettings,
    FinishSettings,
    FolderSettings,
    InputSettings,
    OutputSettings,
    PlanSettings,
    SourceSettings,
)
from musetalk.settings.steps import FrameStepChoice, FrameSteps
from musetalk.settings.values import AUTO, Background, Face, FrameRate, Switch
from musetalk.utils.extensions import BACKENDS

# Themes that hold settings of several groups, or of none.
_PAINTING, _SOURCE, _FACES = "What paints", "Source and length", "Finding faces"
_BLENDING, _OUTPUT = "Blending and look", "Output"

MAX_SLOWDOWN = 30.0  # seconds of work for a second of video: a quarter of an hour for half a minute

# What the published programs do where this one does more, by dotted names.
PUBLISHED_LOOK: Mapping[str, str | float | bool] = MappingProxyType(
    {
        "tracker.smoothing_seconds": 0.0,
        "mask.smoothing_seconds": 0.0,
        "mask.crop_edge": "cut",
        "mask.occlusion": False,
        "blend.color": "none",
        "blend.sharpness": "none",
        "blend.resampling": "upstream",
        "latentsync.paste": "crop",
    }
)


class RenderSettings(Settings):
    """All that decides what a render looks like, besides its two inputs."""

    backend: Annotated[str, NamesOf(BACKENDS)] = setting(
        AUTO,
        "what paints the mouth; auto: the best that is ready and quick enough on this machine; `doctor` lists all",
        values="auto, NAMES",
        panel=_PAINTING,
    )
    max_slowdown: float = setting(
        MAX_SLOWDOWN,
        "backend auto: how long a second of video may take; what would take longer is passed over",
        unit="seconds",
        panel=_PAINTING,
        gt=0,
        server_only=True,
    )
    backend_options: Annotated[dict[str, dict[str, Any]], SettingsOf(BACKENDS)] = setting(
        {},
        "what backends of other packages are told of their own settings, by their names",
        panel=_PAINTING,
    )
    bbox_shift: int = setting(
        0,
        "MuseTalk's crops: moves the line at which they are halved; positive opens the mouth more. The report and the "
        "preview frame tell the useful range",
        unit="pixels of the source",
        panel=_PAINTING,
        ge=-200,
        le=200,
    )
    extra_margin: int = setting(
        10,
        "MuseTalk 1.5: how much under the chin its network sees, too",
        unit="pixels of the source",
        panel=_PAINTING,
        ge=0,
        le=200,
    )
    models_dir: Path = setting(Path("models"), "where weights are", values="FOLDER", panel=_PAINTING, server_only=True)
    face: Face = setting(
        "largest",
        "who speaks where several faces are seen: by a rule, or the one nearest to the point X,Y of the source",
        values="largest, leftmost, rightmost, all, X,Y",
        panel=_SOURCE,
    )
    length: Literal["pingpong", "loop", "hold"] = setting(
        "pingpong", "what the picture does where the voice is longer than the video", panel=_SOURCE
    )
    tail: Literal["cut", "keep"] = setting(
        "cut", "where the voice is shorter: cut, or keep the rest of the video with its own sound", panel=_SOURCE
    )
    voice_track: int | None = setting(
        None,
        "which sound track of a voice with several is heard",
        unset="its default one, with a note",
        panel=_SOURCE,
        ge=1,
    )
    fps: FrameRate = setting(
        None,
        "frame rate of the output, of any source: 25, 29.97, 30000/1001",
        values="RATE",
        unset="the source's own; below about 24 its frames are repeated, above 120 left out; of pictures 25",
        panel=_SOURCE,
    )
    alpha_background: Background = setting("white", "what is laid under transparent parts of the source", panel=_SOURCE)
    deinterlace: Switch = setting(
        "auto",
        "auto: what is marked as interlaced and looks it; on: all; off: nothing. One frame for each picture",
        panel=_SOURCE,
    )
    reuse_findings: bool = setting(
        True,
        "take over the faces, and what was read of them, that earlier renders found in the same source",
        panel=_FACES,
        flag="reuse",
        server_only=True,
    )
    use_saved_coords: bool = setting(
        False, "keep that for good in a folder of its own, not in the user's cache", panel=_FACES, server_only=True
    )
    coords_dir: Path | None = setting(
        None, "which folder that is", values="FOLDER", unset="coords/ beside the output", panel=_FACES, server_only=True
    )
    look: Literal["ours", "published"] = setting(
        "ours",
        "published: nothing that the published programs do not do, but for what is set beside it; to compare with "
        "their demos",
        panel=_BLENDING,
    )
    frame_steps: FrameSteps = setting(
        (),
        "what is done to finished frames, in this order: a step, or one with options of its own, as in "
        "label:text=AI generated,corner=top-left",
        values="NAMES, NAME:key=value,...",
        unset="nothing",
        panel=_OUTPUT,
        flag="frame-step",
        max_length=8,
    )
    captions: Path | None = setting(
        None,
        "captions (.srt, .vtt) that go with the video, as a track that players switch on",
        values="FILE",
        unset="none",
        panel=_OUTPUT,
        server_only=True,
    )
    burn_captions: bool = setting(
        False,
        "write the captions into the picture, too, over all else that is done to finished frames",
        panel=_OUTPUT,
        server_only=True,
    )
    measure: bool = setting(False, "measure sharpness, jitter and more of the result; in the report", panel=_OUTPUT)
    debug_dir: Path | None = setting(
        None,
        "where a render's crops and masks go, as videos",
        values="FOLDER",
        unset="nowhere",
        panel=_OUTPUT,
        server_only=True,
    )
    detector: DetectorSettings = group(DetectorSettings, _FACES)
    tracker: TrackerSettings = group(TrackerSettings, _FACES)
    mask: MaskSettings = group(MaskSettings, "Mask")
    blend: BlendSettings = group(BlendSettings, _BLENDING)
    enhance: EnhanceSettings = group(EnhanceSettings, "Enhancement")
    silence: SilenceSettings = group(SilenceSettings, "Pauses of the voice")
    speech: SpeechSettings = group(SpeechSettings, "How networks hear the voice")
    network: NetworkSettings = group(NetworkSettings, "How networks run")
    latentsync: LatentSyncSettings = group(LatentSyncSettings, "LatentSync")
    encoder: EncoderSettings = group(EncoderSettings, _OUTPUT)
    limits: Limits = group(Limits, "Limits", server_only=True)

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
        said = current_names(cls, values)
        for name, value in PUBLISHED_LOOK.items():
            group, leaf = name.split(".")
            within = said.get(group, {})
            if isinstance(within, BaseModel):
                within = within.model_dump(exclude_unset=True)
            if isinstance(within, dict):  # what else it may be, validation refuses
                said[group] = {leaf: value, **within}
        return said

    @field_validator("burn_captions")
    @classmethod
    def _has_captions(cls, wanted: bool, info: ValidationInfo) -> bool:
        """Refuse to write what there is not."""
        if wanted and info.data.get("captions") is None:
            raise ValueError("there are no captions to write: name their file")
        return wanted

    @property
    def all_frame_steps(self) -> tuple[FrameStepChoice, ...]:
        """All that is done to finished frames, in this order: the steps, and then captions that are burned in."""
        if not self.burn_captions:
            return self.frame_steps
        return (*self.frame_steps, FrameStepChoice.model_validate({"name": "captions", "file": str(self.captions)}))

    @property
    def source(self) -> SourceSettings:
        """How the source is read."""
        return SourceSettings(self.limits, self.fps, self.alpha_background, self.deinterlace)

    @property
    def inputs(self) -> InputSettings:
        """How source and voice are read, and how long what is made of them is."""
        return InputSettings(self.source, self.voice_track, self.length, self.tail)

    @property
    def crop(self) -> CropSettings:
        """How faces are cropped."""
        return CropSettings(self.bbox_shift, self.extra_margin, self.blend.resampling)

    @property
    def components(self) -> ComponentSettings:
        """What is loaded for a render beside its backend, and how it runs."""
        beside = None if self.look == "ours" else self.beside_the_look
        return ComponentSettings(
            self.models_dir, self.network, self.detector, self.mask, self.enhance, self.all_frame_steps, beside
        )

    @property
    def plan(self) -> PlanSettings:
        """What is decided before the first frame is generated."""
        return PlanSettings(self.inputs, self.face, self.tracker, self.crop, self.mask, self.speech, self.silence)

    @property
    def finish(self) -> FinishSettings:
        """What is done to generated faces."""
        return FinishSettings(self.blend, self.enhance, self.measure or self.debug_dir is not None)

    @property
    def output(self) -> OutputSettings:
        """What is made of finished frames."""
        return OutputSettings(self.encoder, self.measure, self.debug_dir, self.captions)

    @property
    def folders(self) -> FolderSettings:
        """Where it writes beside its output."""
        return FolderSettings(self.debug_dir, self.use_saved_coords, self.coords_dir)

    def with_backend(self, name: str) -> RenderSettings:
        """Return the same settings with another backend."""
        return self if name == self.backend else self.model_copy(update={"backend": name})

    def by_name(self) -> dict[str, Any]:
        """Return each setting's value by its dotted name."""
        return dict(_leaves(self.model_dump()))

    @property
    def beside_the_look(self) -> tuple[str, ...]:
        """What was set otherwise than the published look has it, by dotted names; none where that is not the look."""
        if self.look != "published":
            return ()
        own = self.by_name()
        return tuple(name for name, value in PUBLISHED_LOOK.items() if own[name] != value)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> RenderSettings:
        """Validate plain values.

        Raises:
            SettingsError: A value is unknown or out of range; the text names each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = said_of(problems_in(error))
            names = dict.fromkeys(_setting_at(cls, item["loc"]) for item in error.errors())
            remedy = "correct the value or leave it out"
            raise SettingsError(f"unusable settings ({problems})", remedy, names=names) from error


def _setting_at(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """Return the dotted name of the setting that a validation error is about, without which of its forms was tried."""
    names: list[str] = []
    for part in map(str, place):
        if part.startswith("function"):
            continue
        names.append(part)
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        model = field.annotation
    return ".".join(names)


def left_to_the_look(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values without those that the published look, where it is theirs, decides and that say what is usual.

    For forms, whose widgets always say something: what was not touched shall not win over the look.
    """
    if values.get("look") != "published":
        return values
    left = dict(values)
    usual = RenderSettings().by_name()
    for name in PUBLISHED_LOOK:
        group, leaf = name.split(".")
        within = left.get(group)
        if isinstance(within, dict) and leaf in within and within[leaf] == usual[name]:
            left[group] = {key: value for key, value in within.items() if key != leaf}
    return left


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
