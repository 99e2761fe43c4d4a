"""What every backend of latents needs besides its own weights."""

from __future__ import annotations

from musetalk.settings import RenderSettings
from musetalk.weights.catalog import TAESD
from musetalk.weights.weight_file import lacking


def decoder_missing(settings: RenderSettings) -> tuple[str, ...]:
    """Return what the chosen decoder lacks, one line each with the remedy; Stable Diffusion's comes with a backend."""
    return lacking(TAESD, settings.models_dir, "taesd") if settings.network.decoder == "tiny" else ()
