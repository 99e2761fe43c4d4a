"""Small networks of the real classes, for backends whose weights are not here; filled with drawn numbers.

Everything around them is real: what makes crops into latents, what conditions them, the loop, and the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

from hybrid.denoiser import LatentSyncDenoiser
from hybrid.loading import CROP_SIZES, sampling_of, traits_of
from hybrid.loading import Version as LatentSyncVersion
from hybrid.mask import hide_painted, paste_kept
from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.generator import Denoiser, LatentGenerator, LatentOptions
from musetalk.backends.latent.vae import VaeDecoder, VaeEncoder, blacken_lower_half
from musetalk.backends.musetalk import CROP_SIZE, MuseTalkDenoiser
from musetalk.backends.musetalk import Version as MuseTalkVersion
from musetalk.backends.musetalk import traits_of as musetalk_traits
from musetalk.backends.types import FaceGenerator, Traits
from musetalk.runtime.device import Compute
from musetalk.settings import RenderSettings

_Network = TypeVar("_Network", bound=nn.Module)

# As narrow as their classes allow; all else as published.
UNET: Mapping[str, Any] = MappingProxyType(
    {
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": "0.6.0.dev0",
        "act_fn": "silu",
        "attention_head_dim": 8,
        "block_out_channels": [32, 32, 32, 32],
        "center_input_sample": False,
        "cross_attention_dim": 384,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 8,
        "layers_per_block": 1,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-05,
        "norm_num_groups": 32,
        "out_channels": 4,
        "sample_size": 64,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    }
)
VAE: Mapping[str, Any] = MappingProxyType(
    {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": "0.4.2",
        "act_fn": "silu",
        "block_out_channels": [4, 4, 8, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "in_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "out_channels": 3,
        "sample_size": 256,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
    }
)
# One level and one head: at 512 pixels, attention over all places takes nearly all of the time, and each head as much.
UNET3D = UNet3DConfig(channels=(32,), layers=1, heads=1)

_MUSETALK: Mapping[str, MuseTalkVersion] = MappingProxyType({"musetalk-v15": "v15", "musetalk-v1": "v1"})
_LATENTSYNC: Mapping[str, LatentSyncVersion] = MappingProxyType({"latentsync-1.5": "1.5", "latentsync-1.6": "1.6"})
_BATCH = 2
_SEED = 5


def stand_in(backend: str, settings: RenderSettings, compute: Compute) -> FaceGenerator:
    """A generator like a backend's, around small networks.

    Args:
        backend: Its name.
        settings: Of LatentSync, as for the real one.
        compute: What to run on.

    Raises:
        KeyError: There is no stand-in for that backend.
    """
    if backend in _MUSETALK:
        unet = compute.place(filled(UNet2DConditionModel.from_config(dict(UNET))))
        traits = musetalk_traits(_MUSETALK[backend], settings.speech)
        return _around(MuseTalkDenoiser(unet, compute, _BATCH), compute, CROP_SIZE, traits)
    version, sampling = _LATENTSYNC[backend], sampling_of(settings)
    unet3d = compute.place(filled(UNet3D(UNET3D)))
    traits = traits_of(settings.latentsync, sampling)
    return _around(LatentSyncDenoiser(unet3d, compute, sampling), compute, CROP_SIZES[version], traits)


def filled(network: _Network) -> _Network:
    """Give a network the same drawn weights every time: such that what goes through keeps about its size."""
    generator = torch.Generator().manual_seed(_SEED)
    for name, values in network.named_parameters():
        if values.ndim > 1:
            drawn = torch.randn(values.shape, generator=generator) / values[0].numel() ** 0.5
        else:
            drawn = torch.full(values.shape, 0.0 if name.endswith("bias") else 1.0)
        values.data.copy_(drawn)
    return network


def _around(denoiser: Denoiser, compute: Compute, size: int, traits: Traits) -> LatentGenerator:
    """The rest of a generator: encoder, decoder, and what the network is not to see."""
    vae = compute.place(filled(AutoencoderKL.from_config(dict(VAE))))
    hide = blacken_lower_half if traits.shown is None else hide_painted
    parts = VaeEncoder(vae, compute), VaeDecoder(vae, compute), denoiser
    paste = None if traits.pasted is None else paste_kept
    return LatentGenerator(*parts, compute, LatentOptions(size, clip_length=16), traits, hide, paste)
