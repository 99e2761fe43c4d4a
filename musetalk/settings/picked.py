"""Parts of the settings as stages take them; in files and on the command line they are separate settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from musetalk.settings.groups import (
    BlendSettings,
    DetectorSettings,
    EncoderSettings,
    EnhanceSettings,
    Limits,
    MaskSettings,
    NetworkSettings,
    SilenceSettings,
    SpeechSettings,
    TrackerSettings,
)
from musetalk.settings.steps import FrameStepChoice
from musetalk.settings.values import Background, Deinterlace, FaceChoice


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How a source is read.

    Attributes:
        limits: What it may ask of the machine.
        fps: The rate to play it at; None: its own, if lips can move at it.
        alpha_background: What is laid under its transparent parts.
        deinterlace: Which of its frames are deinterlaced.
    """

    limits: Limits = field(default_factory=Limits)
    fps: Fraction | None = None
    alpha_background: Background = "white"
    deinterlace: Deinterlace = "auto"


@dataclass(frozen=True, slots=True)
class InputSettings:
    """How source and voice are read, and how long what is made of them is.

    Attributes:
        source: How the source is read; its limits are the voice's, too.
        voice_track: Which sound track of the voice is heard; None: its default one.
        length: What the picture does where the voice is longer.
        tail: What becomes of the rest of the source where the voice is shorter.
    """

    source: SourceSettings = field(default_factory=SourceSettings)
    voice_track: int | None = None
    length: Literal["pingpong", "loop", "hold"] = "pingpong"
    tail: Literal["cut", "keep"] = "cut"


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How faces are cropped for what paints them.

    Attributes:
        bbox_shift: By how many pixels the line is moved at which MuseTalk's crops are halved.
        extra_margin: How many pixels under the chin a network sees that is shown any.
        resampling: How painted crops are scaled back.
    """

    bbox_shift: int = 0
    extra_margin: int = 10
    resampling: Literal["fine", "upstream"] = "fine"


@dataclass(frozen=True, slots=True)
class ComponentSettings:
    """What is loaded for a render beside its backend, and how it runs.

    Attributes:
        models_dir: Where weights are.
        network: How networks run.
        detector: How faces are looked for.
        mask: Where generated faces show: some of it is told from parsed faces.
        enhance: How painted faces are enhanced.
        frame_steps: What is done to finished frames.
        beside_the_look: What is set otherwise than the published look has it; None: that is not the look.
    """

    models_dir: Path
    network: NetworkSettings
    detector: DetectorSettings
    mask: MaskSettings
    enhance: EnhanceSettings
    frame_steps: tuple[FrameStepChoice, ...]
    beside_the_look: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What is decided before the first frame is generated.

    Attributes:
        inputs: How source and voice are read, and how long what is made of them is.
        face: Who speaks where several faces are seen.
        tracker: How detections become one face per shot.
        crop: How faces are cropped.
        mask: Where the generated face replaces the source.
        speech: How networks hear the voice.
        silence: What the mouth does while the voice pauses.
    """

    inputs: InputSettings
    face: FaceChoice
    tracker: TrackerSettings
    crop: CropSettings
    mask: MaskSettings
    speech: SpeechSettings
    silence: SilenceSettings


@dataclass(frozen=True, slots=True)
class FinishSettings:
    """What is done to generated faces.

    Attributes:
        blend: How they are made to look like their surroundings.
        enhance: How they are enhanced.
        keep_sources: Whether frames are wanted as they were decoded, too.
    """

    blend: BlendSettings
    enhance: EnhanceSettings
    keep_sources: bool = False


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """Where a render writes beside its output.

    Attributes:
        debug_dir: Where crops and masks go, as videos; None: nowhere.
        use_saved_coords: Whether what is found in a source is kept for good in a folder of its own.
        coords_dir: Which folder that is; None: one beside the output.
    """

    debug_dir: Path | None = None
    use_saved_coords: bool = False
    coords_dir: Path | None = None

    def coords_in(self, folder: Path) -> Path | None:
        """Return the folder that keeps what is found, for an output in a folder; None: none is asked for."""
        return (self.coords_dir or folder / "coords") if self.use_saved_coords else None


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What is made of finished frames.

    Attributes:
        encoder: How they are written.
        measure: Whether they are measured.
        debug_dir: Where crops and masks go, as videos; None: nowhere.
        captions: Goes with the video, as a track that players switch on; None: nothing.
    """

    encoder: EncoderSettings
    measure: bool
    debug_dir: Path | None
    captions: Path | None
