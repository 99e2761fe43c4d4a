"""Networks that multiply in int8 on a CPU: the branches that weigh most, rounded frame by frame.

Weights get 8 bits and a scale for each output channel, once. What they are multiplied with gets 8 bits and a scale for
each frame, at every call, so that nothing has to be calibrated and no frame's rounding follows another's range. Sums,
normalisations, attention and all that the branches are added to stay in float32: an error in a branch stays as small as
the branch, one on the way that all branches are added to would reach the picture as it is.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.modules import importing

_Network = TypeVar("_Network", bound=nn.Module)

_LEVELS = 255  # of what is multiplied: uint8
_MOST_OF_WEIGHT = 127  # of what it is multiplied with: int8, symmetric
_LEAST_OF_SILU = 0.2785  # below zero; it falls no lower
_ZERO_OF_SILU = 16  # the level that stands for 0 after a SiLU: few are needed below
_ZERO = 128  # where nothing is known of the values
_TINY = 1e-30  # no scale is 0
# What both operations of oneDNN end with: no scale and zero of the result, which is float32, and nothing after it.
_AS_FLOAT32: tuple[object, ...] = (1.0, 0, torch.float32, "none", [], "")


class Int8Conv(nn.Module):
    """A 2D convolution of what a SiLU returned, which is never far below zero.

    Args:
        conv: In float32.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self._options = (list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups)
        weight, self._scales = _rounded(conv.weight)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        self._weight = torch.ops.onednn.qconv_prepack(weight, self._scales, 1.0, _ZERO_OF_SILU, *self._options, None)
        self._bias = None if conv.bias is None else conv.bias.view(1, -1, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Convolve: float32 [N, C, h, w] to [N, C', h', w'], in channels last."""
        by_pixel = features.is_contiguous(memory_format=torch.channels_last)
        stored = features.permute(0, 2, 3, 1) if by_pixel else features.contiguous()  # in the order of memory
        scales = (stored.flatten(1).amax(1) / (_LEVELS - _ZERO_OF_SILU)).clamp_min(_LEAST_OF_SILU / _ZERO_OF_SILU)
        levels = _levels(stored, scales, _ZERO_OF_SILU)
        made: torch.Tensor = torch.ops.onednn.qconv2d_pointwise(
            levels.permute(0, 3, 1, 2) if by_pixel else levels.contiguous(memory_format=torch.channels_last),
            *(1.0, _ZERO_OF_SILU, self._weight, self._scales, self._zeros, None),
            *self._options,
            *_AS_FLOAT32,
        )
        return _scaled(made, scales.view(-1, 1, 1, 1), self._bias)


class Int8Linear(nn.Module):
    """A linear layer over the tokens of frames.

    Args:
        linear: In float32.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, self._scales = _rounded(linear.weight)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        self._weight = torch.ops.onednn.qlinear_prepack(weight, None)
        self._bias = linear.bias

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Multiply: float32 [N, tokens, C] to [N, tokens, C']."""
        tokens = tokens.contiguous()
        low, high = tokens.flatten(1).aminmax(dim=1)
        scales = torch.maximum(-low, high).clamp_min(_TINY) / (_LEVELS - _ZERO)
        levels = _levels(tokens, scales, _ZERO)
        made: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            levels, 1.0, _ZERO, self._weight, self._scales, self._zeros, None, *_AS_FLOAT32
        )
        return _scaled(made, scales.view(-1, 1, 1), self._bias)


def in_int8(network: _Network) -> _Network:
    """Let a network of diffusers' blocks multiply in int8 where that gains much and costs little.

    That is the convolutions of its residual blocks, and the first layer of its transformers' feed-forward branches. The
    second is given products of two, outliers of which 8 bits do not hold; smaller layers gain nothing.

    Args:
        network: In float32, on a CPU for which `speed.multiplies_int8`.
    """
    with importing():
        from diffusers.models.activations import GEGLU  # noqa: PLC0415 - slow to import
        from diffusers.models.resnet import ResnetBlock2D  # noqa: PLC0415

    for block in network.modules():
        if isinstance(block, ResnetBlock2D) and isinstance(block.nonlinearity, nn.SiLU):
            block.conv1, block.conv2 = (with_stop_points(Int8Conv(conv)) for conv in (block.conv1, block.conv2))
        elif isinstance(block, GEGLU):
            block.proj = with_stop_points(Int8Linear(block.proj))
    return network


def _rounded(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights as int8, and the scale of each output channel."""
    scales = weight.detach().flatten(1).abs().amax(1).clamp_min(_TINY) / _MOST_OF_WEIGHT
    return (weight.detach() / scales.view(-1, *[1] * (weight.ndim - 1))).round_().to(torch.int8), scales


def _scaled(made: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """What was multiplied, each frame on its own scale, in place."""
    return made.mul_(scales) if bias is None else torch.addcmul(bias, made, scales, out=made)


def _levels(frames: torch.Tensor, scales: torch.Tensor, zero: int) -> torch.Tensor:
    """Frames [N, ...], each on its own scale, as uint8 with a level for 0; scales are such that none is clipped."""
    per_level = scales.reciprocal().view(-1, *[1] * (frames.ndim - 1))
    middle = torch.tensor(zero + 0.5)  # half a level more: what follows cuts digits off
    return torch.addcmul(middle, frames, per_level).to(torch.uint8)
