"""What the words draft, standard and high mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Quality: TypeAlias = Literal["draft", "standard", "high"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A quality, spelled out.

    Attributes:
        shorter: Pixels of the picture's shorter side.
        settings: Of the render, as a tree; what is said beside them wins.
        summary: One line for people who choose.
    """

    shorter: int
    settings: Mapping[str, Any]
    summary: str


PRESETS: Mapping[Quality, Preset] = MappingProxyType(
    {
        "draft": Preset(
            480,
            {"backend": "preview", "encoder": {"preset": "veryfast", "crf": 23}},
            "480p, the preview backend, in seconds: to hear the script and see its words",
        ),
        "standard": Preset(
            720,
            {"backend": "auto", "encoder": {"preset": "fast", "crf": 20}},
            "720p, the best backend that is installed here",
        ),
        "high": Preset(
            1080,
            {"backend": "latentsync-1.6", "enhance": {"model": "gfpgan"}, "encoder": {"preset": "slow", "crf": 18}},
            "1080p, LatentSync 1.6 in MuseTalk's pipeline, faces enhanced by GFPGAN: their weights have to be there",
        ),
    }
)
