"""What the benchmarks of LatentSync's network share: sizes, and frames that mean nothing; used by `hybrid`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from benchmarks.flops import count_flop
from hybrid.conditioning import LATENT_CHANNELS, Conditioning, conditioning_of
from hybrid.mask import LATENT_PIXELS
from hybrid.sampler import PUBLISHED, NoisePredictor
from hybrid.unet3d.config import AUDIO_CHANNELS, AUDIO_STEPS, IN_CHANNELS, UNet3DConfig
from hybrid.unet3d.deep import DeepFeatures
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.upsampling import with_quick_upsampling
from musetalk.runtime.device import Compute

CLIP = PUBLISHED.clip_length
FOLDER = "latentsync-1.5"
LONG = 52  # frames in one call of the denoiser: four clips that overlap
TIMESTEP = 301


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the measured crops are; the network takes multiples of 64.

    Attributes:
        side: Pixels, where time and memory of one clip are measured.
        long_side: Pixels, where memory over many frames is.
        many_steps: Of the loop that others are held against.
    """

    side: int
    long_side: int
    many_steps: int


FULL = Sizes(256, 64, 500)
SMALL = Sizes(128, 64, 20)


def random_conditions(frames: int, side: int, compute: Compute) -> tuple[Conditioning, Tensor]:
    """Random latents and a random voice for consecutive crops of `side` pixels."""
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(frames, 2 * LATENT_CHANNELS, *[side // LATENT_PIXELS] * 2, generator=random)
    audio = torch.randn(frames, AUDIO_STEPS, AUDIO_CHANNELS, generator=random)
    return conditioning_of(*compute.tensor(latents).chunk(2, dim=1)), compute.tensor(audio)


def random_input(clips: int, side: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """What one call of the network takes, for so many clips of crops of `side` pixels."""
    cells = side // LATENT_PIXELS
    return (
        torch.randn(clips, IN_CHANNELS, CLIP, cells, cells, device=device, dtype=dtype),
        torch.tensor(TIMESTEP, device=device),
        torch.randn(clips * CLIP, AUDIO_STEPS, AUDIO_CHANNELS, device=device, dtype=dtype),
    )


@cache
@dataclass(frozen=True, slots=True)
class StepFlop:
    """Floating point operations of one step of a clip, as the CPU computes it.

    Attributes:
        alone: At guidance 1.
        guided: Both halves in one call.
        kept: The same where the deep features are kept of the step before.
    """

    alone: int
    guided: int
    kept: int


def step_flop(config: UNet3DConfig, side: int) -> StepFlop:
    """Count a step of a clip of crops of `side` pixels; computes nothing."""
    meta = torch.device("meta")
    with meta:
        unet = with_quick_upsampling(UNet3D(config))
    sample, timestep, voice = random_input(1, side, meta, torch.float32)
    both, deep = torch.cat([voice, voice]), DeepFeatures()
    with torch.inference_mode():
        alone = count_flop(lambda: unet(sample, timestep, voice))
        guided, kept = (count_flop(lambda: unet(sample, timestep, both, silent=1, deep=deep)) for _ in range(2))
    return StepFlop(alone, guided, kept)


def call_flop(config: UNet3DConfig, side: int) -> int:
    """Floating point operations of one call for one clip of crops of `side` pixels; computes nothing."""
    meta = torch.device("meta")
    with meta:
        unet: NoisePredictor = UNet3D(config)
    given = random_input(1, side, meta, torch.float32)
    with torch.inference_mode():
        return count_flop(lambda: unet(*given))
