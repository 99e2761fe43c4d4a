"""Stand-ins for networks, and inputs for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybrid.denoiser import LatentSyncDenoiser
from hybrid.drop_in import SurgicalTools
from hybrid.sampler import NoisePredictor, Sampling
from hybrid.unet3d.config import UNet3DConfig, config_of
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.types import Clip
from musetalk.utils.arrays import UInt8Array
from tests.golden.fill import fill_state_dict
from tests.helpers.filled import CPU

SIDE, LATENT = 64, 8
QUICK = Sampling(steps=2)
ZERO = torch.zeros(1, dtype=torch.long)
SMALL = UNet3DConfig(channels=(32, 32), layers=1)


class Shrinker:
    """Encodes by averaging blocks of 8 x 8: enough to tell pictures apart."""

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        small = torch.nn.functional.avg_pool2d(pixels, 8)
        return torch.cat([small, small.mean(dim=1, keepdim=True)], dim=1)


class Recorder:
    """A network that tells no noise, keeps what it was given, and runs out of memory above a size."""

    def __init__(self, most: float = np.inf, value: float = 0.0) -> None:
        self.most, self.value = most, value
        self.seen: list[Tensor] = []
        self.told: list[int] = []  # frames of voices, in each call

    def __call__(self, sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        self.seen.append(sample)
        self.told.append(len(audio))
        if len(audio) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return torch.full_like(latents_alone(sample, audio), self.value)


class MuseTalk:
    """MuseTalk's network: adds up what it is shown and told."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self, sample: Tensor, timestep: Tensor, *, encoder_hidden_states: Tensor, return_dict: bool
    ) -> tuple[Tensor, ...]:
        self.calls += 1
        assert not return_dict
        assert int(timestep) == 0
        return (sample[:, :4] + encoder_hidden_states.mean(),)


def crops(count: int) -> UInt8Array:
    return np.random.default_rng(7).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def clip(count: int) -> Clip:
    return Clip(crops(count), np.zeros((count, 50, 384), np.float32), ())


def tools(predict: NoisePredictor, sampling: Sampling = QUICK) -> SurgicalTools:
    return SurgicalTools(LatentSyncDenoiser(predict, CPU, sampling), Shrinker(), CPU)


def voice(count: int) -> Tensor:
    return torch.randn((count, 50, 384), generator=torch.Generator().manual_seed(1))


def musetalks_latents(count: int) -> Tensor:
    return torch.randn((count, 8, LATENT, LATENT), generator=torch.Generator().manual_seed(2))


def inputs(frames: int = 3, clips: int = 1, side: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    drawn = fill_state_dict({"sample": (clips, 13, frames, side, side), "audio": (clips * frames, 50, 384)}, 6)
    return drawn["sample"], torch.tensor(301), drawn["audio"]


def network_of(state: dict[str, Tensor]) -> UNet3D:
    """A network of these weights."""
    unet = UNet3D(config_of({name: tuple(tensor.shape) for name, tensor in state.items()}))
    unet.load_state_dict(state)
    return unet.eval().requires_grad_(False)


def latents_alone(sample: Tensor, audio: Tensor) -> Tensor:
    """What a network that tells the noisy latents themselves says, a clip for each voice."""
    return sample[:, :4].repeat(len(audio) // sample.shape[2], 1, 1, 1, 1)
