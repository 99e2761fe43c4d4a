"""LatentSync with tiny networks, for the doctor and tests."""

from __future__ import annotations

from hybrid.denoiser import LatentSyncDenoiser
from hybrid.loading import CROP_SIZES, sampling_of, spec_of
from hybrid.mask import hide_painted, paste_kept
from hybrid.options import LatentSyncOptions, Version
from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.generator import LatentGenerator, LatentOptions
from musetalk.backends.latent.tiny import TINY_CLIP, filled, tiny_autoencoder
from musetalk.runtime.device import Compute

# One level and one head: at 512 pixels, attention over all places takes nearly all of the time, and each head as much.
UNET3D = UNet3DConfig(channels=(32,), layers=1, heads=1)


def tiny_latentsync(options: LatentSyncOptions, version: Version, compute: Compute) -> LatentGenerator:
    """Return a generator like LatentSync's, around small filled networks.

    Args:
        options: As for the real one.
        version: "1.5" or "1.6".
        compute: What to run on.
    """
    encoder, decoder = tiny_autoencoder(compute)
    sampling = sampling_of(options)
    denoiser = LatentSyncDenoiser(compute.place(filled(UNet3D(UNET3D))), compute, sampling)
    spec, sizes = spec_of(options.latentsync, sampling), LatentOptions(CROP_SIZES[version], clip_length=TINY_CLIP)
    paste = None if spec.pasted is None else paste_kept
    return LatentGenerator(encoder, decoder, denoiser, compute, sizes, spec, hide_painted, paste)
