"""Upsampling to twice the size and the convolution after it, in less than half of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn import functional

from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.modules import importing

if TYPE_CHECKING:
    from diffusers.models.upsampling import Upsample2D

_Network = TypeVar("_Network", bound=nn.Module)

# By whether an upsampled row is an even or an odd one: which of the three rows that a kernel sees show the first source
# row of two, and which the second. Columns likewise.
_SHOWN = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])


class UpsampledConv(nn.Module):
    """A 3x3 convolution of what nearest-neighbour upsampling made twice as large.

    Of the nine pixels that the kernel sees, only four differ: so each of the four positions that a pixel becomes is a
    2x2 convolution of the small picture. That is 4/9 of the multiplications, and the same sums but for rounding.

    Args:
        conv: The convolution: 3x3, of stride 1, padded with one row of zeros.
    """

    kernels: torch.Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        shown = _SHOWN.to(weight.device)
        kernels = torch.einsum("yai,xbj,ocij->yxocab", shown, shown, weight.float())
        self.register_buffer("kernels", kernels.to(weight.dtype))
        self.bias = conv.bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Convolve: float [N, C, h, w] to [N, C', 2 h, 2 w]."""
        height, width = features.shape[2:]
        result = features.new_empty(len(features), self.kernels.shape[2], 2 * height, 2 * width)
        for row in range(2):
            for column in range(2):
                # Each of the four pads one side more than it needs: what comes of that is left out.
                made = functional.conv2d(features, self.kernels[row, column], self.bias, padding=1)
                result[:, :, row::2, column::2] = made[:, :, row : row + height, column : column + width]
        return result


def with_quick_upsampling(network: _Network) -> _Network:
    """Replace the upsampling layers of a network of diffusers' blocks by `UpsampledConv`, where that is the same."""
    with importing():
        from diffusers.models.upsampling import Upsample2D  # noqa: PLC0415 - slow to import

    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Upsample2D) and _upsamples_and_convolves(child):
                setattr(parent, name, with_stop_points(UpsampledConv(child.conv)))
    return network


def _upsamples_and_convolves(layer: Upsample2D) -> bool:
    conv = layer.conv
    plain = layer.interpolate and layer.use_conv and not layer.use_conv_transpose and layer.norm is None
    return plain and (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
