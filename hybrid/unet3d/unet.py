"""LatentSync's UNet3D: predicts the noise in a clip's latents from the clip's conditioning and its voice."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import nn

from hybrid.unet3d.blocks import NORM_EPS, DownLevel, Middle, UpLevel, Voices, norm_over_frames, time_channels
from hybrid.unet3d.config import AUDIO_CHANNELS, IN_CHANNELS, OUT_CHANNELS, UNet3DConfig
from hybrid.unet3d.deep import DeepFeatures


class UNet3D(nn.Module):
    """Stable Diffusion's UNet over the frames of a clip; tensors are named and shaped as in LatentSync's checkpoints.

    Args:
        config: Its sizes.
    """

    def __init__(self, config: UNet3DConfig) -> None:
        super().__init__()
        self.config = config
        first, levels = config.channels[0], range(len(config.channels))
        self.conv_in = nn.Conv2d(IN_CHANNELS, first, 3, padding=1)
        self.time_proj = Timesteps(first, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(first, time_channels(config))
        self.down_blocks = nn.ModuleList([DownLevel(config, level) for level in levels])
        self.mid_block = Middle(config)
        self.up_blocks = nn.ModuleList([UpLevel(config, level) for level in reversed(levels)])
        self.conv_norm_out = nn.GroupNorm(config.groups, first, eps=NORM_EPS)
        self.conv_out = nn.Conv2d(first, OUT_CHANNELS, 3, padding=1)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        audio: torch.Tensor,
        *,
        silent: int = 0,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """Tell the noise.

        Args:
            sample: float [b, 13, f, h, w]: noise 4, mask 1, masked image 4 and reference 4. Height and width are
                multiples of 8 (of 2 for each level but one).
            timestep: int64 [] or [b], 0 to 999.
            audio: float [(n f), 50, 384]: clip by clip, and in each clip frame by frame. Where it is of several times
                as many clips as the sample, all of these are told again and again, and what no voice has touched yet is
                computed once.
            silent: Clips at the beginning of `audio` that are zeros, which spares what attention to them would take.
            deep: What is kept of one call for the next ones, of the same clips at other timesteps: where it is empty,
                the levels below the uppermost fill it; where it is not, it stands for them.

        Returns:
            float [n, 4, f, h, w].

        Raises:
            ValueError: The inputs are other than that.
        """
        self._check(sample, audio, silent)
        clips, _, frames = sample.shape[:3]
        voices = Voices(audio, silent * frames)
        told = self.time_proj(timestep.reshape(-1).expand(clips)).to(sample.dtype)
        time = F.silu(self.time_embedding(told))  # [b, t]: every residual block would begin with this SiLU
        handed = [self.conv_in(sample.transpose(1, 2).flatten(0, 1))]  # [(b f), c, h, w] from here
        handed.extend(self.down_blocks[0](handed[-1], time, voices, frames))
        features = None if deep is None else deep.features
        if features is None:
            features = self._below(handed, time, voices, frames)
            if deep is not None:
                deep.features = features
        features = self.up_blocks[-1](features, handed[: self.config.layers + 1], time, voices, frames)
        features = F.silu(norm_over_frames(self.conv_norm_out, features, frames))
        noise: torch.Tensor = torch.unflatten(self.conv_out(features), 0, (-1, frames)).transpose(1, 2)
        return noise

    def _below(self, handed: list[torch.Tensor], time: torch.Tensor, voices: Voices, frames: int) -> torch.Tensor:
        """Return what the levels below the uppermost make of what it hands down, as it takes it on the way up."""
        handed = handed.copy()
        for down in self.down_blocks[1:]:
            handed.extend(down(handed[-1], time, voices, frames))
        features: torch.Tensor = self.mid_block(handed[-1], time, voices, frames)
        for up in self.up_blocks[:-1]:
            features = up(features, handed, time, voices, frames)
        return features

    def _check(self, sample: torch.Tensor, audio: torch.Tensor, silent: int) -> None:
        if sample.ndim != 5:
            raise ValueError(f"clips are [b, {IN_CHANNELS}, f, h, w], not {list(sample.shape)}")
        clips, channels, frames, height, width = sample.shape
        if channels != IN_CHANNELS:
            raise ValueError(
                f"this network takes {IN_CHANNELS} channels (noise 4, mask 1, masked image 4, reference 4), "
                f"not {channels}: MuseTalk's latents have to be conditioned for it first"
            )
        rows = clips * frames
        if audio.ndim != 3 or not len(audio) or len(audio) % rows or audio.shape[2] != AUDIO_CHANNELS:
            raise ValueError(
                f"audio for {clips} x {frames} frames is [{rows}, 50, {AUDIO_CHANNELS}], or several times as many, "
                f"not {list(audio.shape)}"
            )
        if not 0 <= silent * frames <= len(audio):
            raise ValueError(f"of {len(audio) // frames} clips of audio, {silent} cannot be silent")
        if self.config.motion != "none" and frames > self.config.positions:
            raise ValueError(f"{frames} frames are more than the {self.config.positions} that a clip may have")
        step = 2 ** (len(self.config.channels) - 1)
        if height % step or width % step:
            raise ValueError(f"latents of {height} x {width} are no multiple of {step} on both sides")
