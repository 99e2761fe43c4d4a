"""The levels of the network: diffusers' blocks for pictures, led over the frames of a clip.

Frames are folded into the batch, [(b f), c, h, w], so that whatever looks at one frame at a time is diffusers' own.
What does not is here: the residual blocks normalise a clip's frames together, also where there are no motion modules.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import nn

from hybrid.unet3d.config import AUDIO_CHANNELS, UNet3DConfig
from hybrid.unet3d.motion import MotionModule

NORM_EPS = 1e-5


def norm_over_frames(norm: nn.GroupNorm, features: torch.Tensor, frames: int) -> torch.Tensor:
    """Normalise groups of channels over all places of all frames of a clip.

    Args:
        norm: Number of groups, scale and shift.
        features: [(b f), c, h, w]. Where they are channels last, nothing is copied: they already are [b, c, f, h, w],
            channels last.
        frames: f.

    Returns:
        [(b f), c, h, w].
    """
    clips: torch.Tensor = norm(torch.unflatten(features, 0, (-1, frames)).transpose(1, 2))
    return clips.transpose(1, 2).flatten(0, 1)


def run_resnet(resnet: ResnetBlock2D, features: torch.Tensor, time: torch.Tensor, frames: int) -> torch.Tensor:
    """Return a residual block whose norms see all frames of a clip.

    Args:
        resnet: Its layers; what it would do itself, frame by frame, is not asked of it.
        features: [(b f), c, h, w].
        time: [b, t], after its SiLU.
        frames: f.

    Returns:
        [(b f), c', h, w].
    """
    inner = resnet.conv1(F.silu(norm_over_frames(resnet.norm1, features, frames)))
    shift = resnet.time_emb_proj(time).repeat_interleave(frames, dim=0)
    inner = resnet.conv2(F.silu(norm_over_frames(resnet.norm2, inner + shift[:, :, None, None], frames)))
    kept = features if resnet.conv_shortcut is None else resnet.conv_shortcut(features)
    changed: torch.Tensor = kept + inner
    return changed


class Layers(nn.Module):
    """Residual blocks, each with a transformer and a motion module after it, where the level has them.

    Args:
        config: The network's.
        ins: Channels that each residual block takes.
        out: Channels that they give.
        attends: Whether there are transformers.
        moves: Whether there are motion modules.
    """

    def __init__(self, config: UNet3DConfig, ins: tuple[int, ...], out: int, *, attends: bool, moves: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([resnet_of(config, width, out) for width in ins])
        self.attentions = nn.ModuleList([transformer_of(config, out) for _ in ins if attends])
        self.motion_modules = nn.ModuleList([MotionModule(out, config.positions) for _ in ins if moves])

    def layer(
        self, index: int, features: torch.Tensor, time: torch.Tensor, audio: torch.Tensor, frames: int
    ) -> torch.Tensor:
        """Run one residual block and what follows it."""
        features = run_resnet(self.resnets[index], features, time, frames)
        if len(self.attentions) > 0:
            features = self.attentions[index](features, encoder_hidden_states=audio, return_dict=False)[0]
        if len(self.motion_modules) > 0:
            features = self.motion_modules[index](features, frames)
        return features


class DownLevel(Layers):
    """A level on the way down. All but the last halve the resolution at their end."""

    def __init__(self, config: UNet3DConfig, level: int) -> None:
        out = config.channels[level]
        first = config.channels[max(0, level - 1)]
        lowest = level == len(config.channels) - 1
        ins = (first, *[out] * (config.layers - 1))
        super().__init__(config, ins, out, attends=not lowest, moves=config.motion == "all")
        halvers = [] if lowest else [Downsample2D(out, use_conv=True, out_channels=out, padding=1, name="op")]
        self.downsamplers = nn.ModuleList(halvers)

    def forward(
        self, features: torch.Tensor, time: torch.Tensor, audio: torch.Tensor, frames: int
    ) -> list[torch.Tensor]:
        """Return what each layer made, and the smaller map after them: each is handed across to the way up."""
        made = []
        for index in range(len(self.resnets)):
            features = self.layer(index, features, time, audio, frames)
            made.append(features)
        for halve in self.downsamplers:
            made.append(halve(made[-1]))
        return made


class UpLevel(Layers):
    """A level on the way up, counted as on the way down. All but the first double the resolution at their end."""

    def __init__(self, config: UNet3DConfig, level: int) -> None:
        channels = config.channels
        out, above, below = channels[level], channels[max(0, level - 1)], channels[min(level + 1, len(channels) - 1)]
        handed = (*[out] * config.layers, above)
        ins = tuple(width + across for width, across in zip((below, *[out] * config.layers), handed, strict=True))
        lowest = level == len(channels) - 1
        super().__init__(config, ins, out, attends=not lowest, moves=config.motion != "none")
        doublers = [] if level == 0 else [Upsample2D(out, use_conv=True, out_channels=out)]
        self.upsamplers = nn.ModuleList(doublers)

    def forward(
        self, features: torch.Tensor, handed: list[torch.Tensor], time: torch.Tensor, audio: torch.Tensor, frames: int
    ) -> torch.Tensor:
        """Return the map for the next level up; takes what was handed across off the end of the list."""
        for index in range(len(self.resnets)):
            features = self.layer(index, torch.cat([features, handed.pop()], dim=1), time, audio, frames)
        for double in self.upsamplers:
            features = double(features)
        return features


class Middle(Layers):
    """Two residual blocks with a transformer between them; never motion modules."""

    def __init__(self, config: UNet3DConfig) -> None:
        width = config.channels[-1]
        super().__init__(config, (width,), width, attends=True, moves=False)
        self.resnets.append(resnet_of(config, width, width))

    def forward(self, features: torch.Tensor, time: torch.Tensor, audio: torch.Tensor, frames: int) -> torch.Tensor:
        """Return the map, changed."""
        return run_resnet(self.resnets[1], self.layer(0, features, time, audio, frames), time, frames)


def resnet_of(config: UNet3DConfig, width: int, out: int) -> ResnetBlock2D:
    """Return a residual block's layers, from `width` channels to `out`."""
    time = time_channels(config)
    return ResnetBlock2D(in_channels=width, out_channels=out, temb_channels=time, groups=config.groups, eps=NORM_EPS)


def transformer_of(config: UNet3DConfig, channels: int) -> Transformer2DModel:
    """Return a transformer of one frame at a time: its places see each other, then the audio."""
    return Transformer2DModel(
        num_attention_heads=config.heads,
        attention_head_dim=channels // config.heads,
        in_channels=channels,
        norm_num_groups=config.groups,
        cross_attention_dim=AUDIO_CHANNELS,
    )


def time_channels(config: UNet3DConfig) -> int:
    """Channels in which a timestep is told."""
    return config.channels[0] * 4
