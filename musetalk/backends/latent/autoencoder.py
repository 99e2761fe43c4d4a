"""Interfaces for encoding pictures to latents and decoding latents to pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import nn

from musetalk.backends.latent.vae import LatentDecoder, TinyDecoder, VaeDecoder, VaeEncoder, load_tiny, load_vae
from musetalk.runtime.device import Compute, frames_that_fit

DecoderName: TypeAlias = Literal["sd", "tiny"]
_SIDE = 256
_VALUES_PER_FRAME = (
    55 * 2**20
)  # alive at once in the decoder, of a frame of that side: measured; other networks' are fewer


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """Encoder and decoder, placed on one device.

    Attributes:
        encoder: Crops to latents.
        decoder: Latents to crops.
        networks: What both run.
    """

    encoder: VaeEncoder
    decoder: LatentDecoder
    networks: tuple[nn.Module, ...]


def load_autoencoder(models_dir: Path, compute: Compute, decoder: DecoderName, seed: int | None) -> Autoencoder:
    """Load Stable Diffusion's autoencoder, with its own decoder or the tiny one.

    Args:
        models_dir: Where weights lie: sd-vae/, and taesd/ for the tiny decoder.
        compute: What to run on.
        decoder: "sd" (Stable Diffusion's) or "tiny" (TAESD: far quicker, softer).
        seed: See `VaeEncoder`.

    Raises:
        BackendError: A file is missing, damaged, or another network's.
    """
    vae = compute.place(load_vae(models_dir / "sd-vae"))
    encoder = VaeEncoder(vae, compute, seed)
    if decoder == "tiny":
        tiny = compute.place(load_tiny(models_dir / "taesd"))
        return Autoencoder(encoder, TinyDecoder(tiny, compute), (vae.encoder, tiny))
    return Autoencoder(encoder, VaeDecoder(vae, compute), (vae.encoder, vae.decoder))


def frames_at_once(compute: Compute, crop_size: int, most: int) -> int:
    """Return how many frames the autoencoder can work on together, weights loaded: at most `most`."""
    needed = _VALUES_PER_FRAME * compute.dtype.itemsize * (crop_size // _SIDE) ** 2
    return frames_that_fit(compute.device, needed, most)
