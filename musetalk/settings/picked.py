"""Settings that stages take together and that stand by themselves in files and on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from musetalk.settings.groups import Limits
from musetalk.settings.values import Background, Deinterlace


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
