"""Small networks of the real classes, filled with drawn numbers, for where weights are not here.

Everything around them is real: what makes crops into latents, what conditions them, and the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL
from torch import nn

from musetalk.backends.latent.vae import VaeDecoder, VaeEncoder
from musetalk.runtime.device import Compute

_Network = TypeVar("_Network", bound=nn.Module)

# As narrow as its class allows; all else as published.
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
TINY_CLIP = 16  # frames in a clip of a generator around small networks
_SEED = 5


def tiny_autoencoder(compute: Compute) -> tuple[VaeEncoder, VaeDecoder]:
    """Return a small autoencoder of Stable Diffusion's class."""
    vae = compute.place(filled(AutoencoderKL.from_config(dict(VAE))))
    return VaeEncoder(vae, compute), VaeDecoder(vae, compute)


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
