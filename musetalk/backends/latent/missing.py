"""What latent backends need besides their own weights."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from musetalk.settings import NetworkSettings
from musetalk.weights.catalog import TAESD
from musetalk.weights.weight_file import lacking


class LatentOptions(Protocol):
    """What options of every backend of latents hold."""

    @property
    def models_dir(self) -> Path:
        """Where weights lie."""
        ...

    @property
    def network(self) -> NetworkSettings:
        """How networks run."""
        ...


def decoder_missing(options: LatentOptions) -> tuple[str, ...]:
    """Return what the chosen decoder lacks, one line each with the remedy; Stable Diffusion's comes with a backend."""
    return lacking(TAESD, options.models_dir, "taesd") if options.network.decoder == "tiny" else ()
