"""The levels of the network: diffusers' blocks for pictures, led over the frames of a clip.

Frames are folded into the batch, [(b f), c, h, w], so that whatever looks at one frame at a time is diffusers' own.
What does not is here: the residual blocks normalise a clip's frames together, also where there are no motion modules;
and the transformers hear several voices beside the same picture (see `Voices`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import nn

from hybrid.unet3d.config import AUDIO_CHANNELS, UNet3DConfig
from hybrid.unet3d.motion import MotionModule

NORM_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Voices:
    """What clips are told in their cross-attention, the only place where a voice comes in.

    Up to the first of these, clips that show the same and are told different voices are one clip.

    Attributes:
        audio: float [(n f), 50, 384], of n clips.
        silent: Frames at its beginning that are told zeros.
    """

    audio: torch.Tensor
    silent: int


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
        time: [b, t], after its SiLU; or of fewer clips, whose number divides b.
        frames: f.

    Returns:
        [(b f), c', h, w].
    """
    inner = resnet.conv1(F.silu(norm_over_frames(resnet.norm1, features, frames)))
    shift = repeated(resnet.time_emb_proj(time).repeat_interleave(frames, dim=0), len(features))
    inner = resnet.conv2(F.silu(norm_over_frames(resnet.norm2, inner + shift[:, :, None, None], frames)))
    kept = features if resnet.conv_shortcut is None else resnet.conv_shortcut(features)
    changed: torch.Tensor = kept + inner
    return changed


def run_transformer(transformer: Transformer2DModel, features: torch.Tensor, voices: Voices) -> torch.Tensor:
    """Let the places of each frame see each other, then hear the voice.

    Args:
        transformer: Its layers.
        features: [(b f), c, h, w].
        voices: Of b clips, or of several times as many.

    Returns:
        [(n f), c, h, w], a clip for each voice.
    """
    height, width = features.shape[2:]
    places = transformer.proj_in(transformer.norm(features)).permute(0, 2, 3, 1).flatten(1, 2)  # [(b f), (h w), c]
    for block in transformer.transformer_blocks:
        places = places + block.attn1(block.norm1(places))
        places = _hear(block, repeated(places, len(voices.audio)), voices)
        places = places + block.ff(block.norm3(places))
    maps = places.unflatten(1, (height, width)).permute(0, 3, 1, 2).contiguous()
    changed: torch.Tensor = repeated(features, len(maps)) + transformer.proj_out(maps)
    return changed


def _hear(block: BasicTransformerBlock, places: torch.Tensor, voices: Voices) -> torch.Tensor:
    """Add what cross-attention hears: float [(n f), (h w), c].

    Of zeros its keys and values, which have no bias, are zeros, and the last layer's bias is all that comes of them.
    """
    hushed, spoken = places[: voices.silent], places[voices.silent :]
    parts = []
    if len(hushed):
        parts.append(hushed + block.attn2.to_out[0].bias)
    if len(spoken):
        parts.append(spoken + block.attn2(block.norm2(spoken), encoder_hidden_states=voices.audio[voices.silent :]))
    return torch.cat(parts)


def repeated(values: torch.Tensor, count: int) -> torch.Tensor:
    """Repeat the rows of a tensor, all of them in their order each time, until there are `count`."""
    return values if len(values) == count else values.repeat(count // len(values), *[1] * (values.ndim - 1))


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
        self, index: int, features: torch.Tensor, time: torch.Tensor, voices: Voices, frames: int
    ) -> torch.Tensor:
        """Run one residual block and what follows it."""
        features = run_resnet(self.resnets[index], features, time, frames)
        if len(self.attentions) > 0:
            features = run_transformer(self.attentions[index], features, voices)
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

    def forward(self, features: torch.Tensor, time: torch.Tensor, voices: Voices, frames: int) -> list[torch.Tensor]:
        """Return what each layer made, and the smaller map after them: each is handed across to the way up."""
        made = []
        for index in range(len(self.resnets)):
            features = self.layer(index, features, time, voices, frames)
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
        self, features: torch.Tensor, handed: list[torch.Tensor], time: torch.Tensor, voices: Voices, frames: int
    ) -> torch.Tensor:
        """Return the map for the next level up; takes what was handed across off the end of the list."""
        for index in range(len(self.resnets)):
            joined = torch.cat([features, repeated(handed.pop(), len(features))], dim=1)
            features = self.layer(index, joined, time, voices, frames)
        for double in self.upsamplers:
            features = double(features)
        return features


class Middle(Layers):
    """Two residual blocks with a transformer between them; never motion modules."""

    def __init__(self, config: UNet3DConfig) -> None:
        width = config.channels[-1]
        super().__init__(config, (width,), width, attends=True, moves=False)
        self.resnets.append(resnet_of(config, width, width))

    def forward(self, features: torch.Tensor, time: torch.Tensor, voices: Voices, frames: int) -> torch.Tensor:
        """Return the map, changed."""
        return run_resnet(self.resnets[1], self.layer(0, features, time, voices, frames), time, frames)


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
