"""MuseTalk with tiny networks, for the doctor and tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from diffusers import UNet2DConditionModel

from musetalk.backends.latent.frames import FrameLatentGenerator
from musetalk.backends.latent.generator import LatentOptions
from musetalk.backends.latent.tiny import TINY_CLIP, filled, tiny_autoencoder
from musetalk.backends.musetalk.generator import CROP_SIZE, MuseTalkDenoiser, Version, spec_of
from musetalk.runtime.device import Compute
from musetalk.settings import V1Speech

# As narrow as its class allows, with one head of attention: so narrow, eight take as long as all the rest. All else as
# published.
UNET: Mapping[str, Any] = MappingProxyType(
    {
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": "0.6.0.dev0",
        "act_fn": "silu",
        "attention_head_dim": 1,
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
_BATCH = 2


def tiny_musetalk(version: Version, compute: Compute, v1_speech: V1Speech = "released") -> FrameLatentGenerator:
    """Return a generator like MuseTalk's, around small filled networks.

    Args:
        version: "v1" or "v15".
        compute: What to run on.
        v1_speech: How MuseTalk 1.0 hears.
    """
    encoder, decoder = tiny_autoencoder(compute)
    unet = compute.place(filled(UNet2DConditionModel.from_config(dict(UNET))))
    denoiser, options = MuseTalkDenoiser(unet, compute, _BATCH), LatentOptions(CROP_SIZE, clip_length=TINY_CLIP)
    return FrameLatentGenerator(encoder, decoder, denoiser, compute, options, spec_of(version, v1_speech))
