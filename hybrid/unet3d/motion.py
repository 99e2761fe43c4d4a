"""The temporal modules that AnimateDiff brought: attention of every place to itself in the clip's other frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from diffusers.models.attention import FeedForward
from torch import nn

from musetalk.backends.latent.positional_encoding import position_table

GROUPS = 32  # whatever the rest of the network has
HEADS = 8
_ATTENTIONS = 2  # both of them to the same frames
_NORM_EPS = 1e-6


class MotionModule(nn.Module):
    """Lets frames see each other.

    Args:
        channels: Of the feature maps.
        positions: Most frames in a clip.
    """

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.temporal_transformer = _TemporalTransformer(channels, positions)

    def forward(self, features: torch.Tensor, frames: int) -> torch.Tensor:
        """Return what is to be shown instead: [(b f), c, h, w], as given.

        Args:
            features: [(b f), c, h, w].
            frames: f.
        """
        moved: torch.Tensor = self.temporal_transformer(features, frames)
        return moved


class _TemporalTransformer(nn.Module):
    """Normalises each frame by itself, then mixes frames place by place."""

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=_NORM_EPS)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([_TemporalBlock(channels, positions)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, features: torch.Tensor, frames: int) -> torch.Tensor:
        height, width = features.shape[2:]
        places = self.norm(features).unflatten(0, (-1, frames)).permute(0, 3, 4, 1, 2).flatten(0, 2)  # [(b h w), f, c]
        places = self.proj_in(places.contiguous())  # of one clip they are a view, on which the CPU's products are slow
        for block in self.transformer_blocks:
            places = block(places)
        places = self.proj_out(places).unflatten(0, (-1, height, width))  # [b, h, w, f, c]
        moved: torch.Tensor = features + places.permute(0, 3, 4, 1, 2).flatten(0, 1)
        return moved


class _TemporalBlock(nn.Module):
    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList([_TemporalAttention(channels, positions) for _ in range(_ATTENTIONS)])
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in range(_ATTENTIONS)])
        self.ff = FeedForward(channels, activation_fn="geglu")
        self.ff_norm = nn.LayerNorm(channels)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        for attend, norm in zip(self.attention_blocks, self.norms, strict=True):
            places = places + attend(norm(places))
        moved: torch.Tensor = places + self.ff(self.ff_norm(places))
        return moved


class _TemporalAttention(nn.Module):
    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.pos_encoder = _Positions(channels, positions)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        placed = self.pos_encoder(places)
        query, key, value = (
            project(placed).unflatten(2, (HEADS, -1)).transpose(1, 2) for project in (self.to_q, self.to_k, self.to_v)
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        mixed: torch.Tensor = self.to_out[0](seen.transpose(1, 2).flatten(2))
        return mixed


class _Positions(nn.Module):
    """Adds to each frame where in the clip it is. The table is not trained, but kept with the weights."""

    pe: torch.Tensor

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        self.register_buffer("pe", position_table(positions, channels)[None])

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        return places + self.pe[:, : places.shape[1]]
