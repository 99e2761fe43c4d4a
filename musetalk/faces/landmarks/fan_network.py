"""The Face Alignment Network: four stacked hourglasses; names as in 2DFAN4-11f355bf06.pth.tar.

Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?", 2017 (BSD-3-Clause).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LANDMARKS = 68
INPUT_SIDE, MAP_SIDE = 256, 64  # pixels of a crop, and of its heat maps

_HOURGLASSES = 4
_LEVELS = 4  # halvings inside an hourglass
_WIDTH = 256  # channels


class ResidualBlock(nn.Module):
    """Three convolutions, each of what the one before made, side by side; added to the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv3(inputs, outputs // 2)
        self.bn2 = nn.BatchNorm2d(outputs // 2)
        self.conv2 = _conv3(outputs // 2, outputs // 4)
        self.bn3 = nn.BatchNorm2d(outputs // 4)
        self.conv3 = _conv3(outputs // 4, outputs // 4)
        self.downsample = None if inputs == outputs else _widened(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """From [B, inputs, h, w] to [B, outputs, h, w]."""
        first = self.conv1(functional.relu(self.bn1(x)))
        second = self.conv2(functional.relu(self.bn2(first)))
        third = self.conv3(functional.relu(self.bn3(second)))
        made = torch.cat([first, second, third], dim=1)
        return made + (x if self.downsample is None else self.downsample(x))


class Hourglass(nn.Module):
    """Looks at a map at several sizes, each half as large as the one before, and adds up what it sees."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(_LEVELS, 0, -1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}", ResidualBlock(_WIDTH, _WIDTH))
        self.add_module("b2_plus_1", ResidualBlock(_WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """From and to [B, 256, h, w], h and w divisible by 16."""
        return self._at(_LEVELS, x)

    def _at(self, level: int, x: Tensor) -> Tensor:
        low = self._part(f"b2_{level}", functional.avg_pool2d(x, 2))
        low = self._at(level - 1, low) if level > 1 else self._part("b2_plus_1", low)
        low = self._part(f"b3_{level}", low)
        same: Tensor = self._part(f"b1_{level}", x)
        return same + functional.interpolate(low, scale_factor=2, mode="nearest")

    def _part(self, name: str, x: Tensor) -> Tensor:
        made: Tensor = self.get_submodule(name)(x)
        return made


class FAN(nn.Module):
    """The network: every hourglass corrects the heat maps of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = ResidualBlock(64, 128)
        self.conv3 = ResidualBlock(128, 128)
        self.conv4 = ResidualBlock(128, _WIDTH)
        for number in range(_HOURGLASSES):
            self.add_module(f"m{number}", Hourglass())
            self.add_module(f"top_m_{number}", ResidualBlock(_WIDTH, _WIDTH))
            self.add_module(f"conv_last{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
            self.add_module(f"bn_end{number}", nn.BatchNorm2d(_WIDTH))
            self.add_module(f"l{number}", nn.Conv2d(_WIDTH, LANDMARKS, 1))
            if number < _HOURGLASSES - 1:
                self.add_module(f"bl{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
                self.add_module(f"al{number}", nn.Conv2d(LANDMARKS, _WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Args:
            x: float [B, 3, 256, 256], RGB from 0 to 1.

        Returns:
            Heat maps of the last hourglass, float [B, 68, 64, 64]; about 1 where the landmark is.
        """
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.avg_pool2d(self.conv2(x), 2)
        x = self.conv4(self.conv3(x))
        maps = x
        for number in range(_HOURGLASSES):
            seen = self._part(f"top_m_{number}", self._part(f"m{number}", x))
            seen = functional.relu(self._part(f"bn_end{number}", self._part(f"conv_last{number}", seen)))
            maps = self._part(f"l{number}", seen)
            if number < _HOURGLASSES - 1:
                x = x + self._part(f"bl{number}", seen) + self._part(f"al{number}", maps)
        return maps

    def _part(self, name: str, x: Tensor) -> Tensor:
        made: Tensor = self.get_submodule(name)(x)
        return made


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _widened(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))
