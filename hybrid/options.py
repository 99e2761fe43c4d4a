"""What loading LatentSync depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from musetalk.settings import LatentSyncSettings, NetworkSettings, RenderSettings

Version: TypeAlias = Literal["1.5", "1.6"]


@dataclass(frozen=True, slots=True)
class LatentSyncOptions:
    """What loading LatentSync depends on.

    Attributes:
        models_dir: Where weights lie.
        network: How networks run.
        latentsync: How it paints.
    """

    models_dir: Path
    network: NetworkSettings
    latentsync: LatentSyncSettings

    @classmethod
    def of(cls, settings: RenderSettings) -> LatentSyncOptions:
        """Pick them from the settings of a render."""
        return cls(settings.models_dir, settings.network, settings.latentsync)
