"""The S3FD face detection network: VGG-16 with six detection heads; names as in s3fd-619a316812.pth."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

Heads = list[tuple[Tensor, Tensor]]

_TINY = 1e-10  # keeps norms of dark places from dividing by zero
_BACKGROUNDS = 3  # kinds of background that the finest level tells apart


class ScaledNorm(nn.Module):
    """Brings each place's channels to unit length, then scales each channel.

    Args:
        channels: Their number.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [B, channels, h, w]."""
        length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True) + _TINY
        return x / length * self.weight[:, None, None]


class S3FD(nn.Module):
    """S3FD (Zhang et al. 2017, "Single Shot Scale-invariant Face Detector")."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1 = _conv3(3, 64)
        self.conv1_2 = _conv3(64, 64)
        self.conv2_1 = _conv3(64, 128)
        self.conv2_2 = _conv3(128, 128)
        self.conv3_1 = _conv3(128, 256)
        self.conv3_2 = _conv3(256, 256)
        self.conv3_3 = _conv3(256, 256)
        self.conv4_1 = _conv3(256, 512)
        self.conv4_2 = _conv3(512, 512)
        self.conv4_3 = _conv3(512, 512)
        self.conv5_1 = _conv3(512, 512)
        self.conv5_2 = _conv3(512, 512)
        self.conv5_3 = _conv3(512, 512)
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)  # so that maps from here on are larger than image / stride
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = _conv3(256, 512, stride=2)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = _conv3(128, 256, stride=2)
        self.conv3_3_norm = ScaledNorm(256)
        self.conv4_3_norm = ScaledNorm(512)
        self.conv5_3_norm = ScaledNorm(512)
        self.conv3_3_norm_mbox_conf = _conv3(256, _BACKGROUNDS + 1)
        self.conv3_3_norm_mbox_loc = _conv3(256, 4)
        self.conv4_3_norm_mbox_conf = _conv3(512, 2)
        self.conv4_3_norm_mbox_loc = _conv3(512, 4)
        self.conv5_3_norm_mbox_conf = _conv3(512, 2)
        self.conv5_3_norm_mbox_loc = _conv3(512, 4)
        self.fc7_mbox_conf = _conv3(1024, 2)
        self.fc7_mbox_loc = _conv3(1024, 4)
        self.conv6_2_mbox_conf = _conv3(512, 2)
        self.conv6_2_mbox_loc = _conv3(512, 4)
        self.conv7_2_mbox_conf = _conv3(256, 2)
        self.conv7_2_mbox_loc = _conv3(256, 4)

    def forward(self, x: Tensor) -> Heads:
        """Run the network.

        Args:
            x: float [B, 3, H, W], BGR minus (104, 117, 123), not scaled; H and W at least 32.

        Returns:
            For the strides 4, 8, 16, 32, 64 and 128: logits [B, 2, h, w] of background and face, and box offsets
            [B, 4, h, w] against the stride's anchors.
        """
        f3, f4, f5 = self._vgg(x)
        f7 = _relu(self.fc7(_relu(self.fc6(functional.max_pool2d(f5, 2)))))
        g6 = _relu(self.conv6_2(_relu(self.conv6_1(f7))))
        g7 = _relu(self.conv7_2(_relu(self.conv7_1(g6))))
        n3, n4, n5 = self.conv3_3_norm(f3), self.conv4_3_norm(f4), self.conv5_3_norm(f5)
        *backgrounds, face = self.conv3_3_norm_mbox_conf(n3).split([_BACKGROUNDS, 1], dim=1)
        finest = torch.cat([backgrounds[0].amax(dim=1, keepdim=True), face], dim=1)
        return [
            (finest, self.conv3_3_norm_mbox_loc(n3)),
            (self.conv4_3_norm_mbox_conf(n4), self.conv4_3_norm_mbox_loc(n4)),
            (self.conv5_3_norm_mbox_conf(n5), self.conv5_3_norm_mbox_loc(n5)),
            (self.fc7_mbox_conf(f7), self.fc7_mbox_loc(f7)),
            (self.conv6_2_mbox_conf(g6), self.conv6_2_mbox_loc(g6)),
            (self.conv7_2_mbox_conf(g7), self.conv7_2_mbox_loc(g7)),
        ]

    def _vgg(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the backbone up to stride 16: what its third, fourth and fifth blocks end with."""
        x = self.conv1_2(_relu(self.conv1_1(x)))
        x = self.conv2_2(_relu(self.conv2_1(_pooled(x))))
        f3 = _relu(self.conv3_3(_relu(self.conv3_2(_relu(self.conv3_1(_pooled(x)))))))
        f4 = functional.max_pool2d(f3, 2)
        f4 = _relu(self.conv4_3(_relu(self.conv4_2(_relu(self.conv4_1(f4))))))
        f5 = functional.max_pool2d(f4, 2)
        f5 = _relu(self.conv5_3(_relu(self.conv5_2(_relu(self.conv5_1(f5))))))
        return f3, f4, f5


def _conv3(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def _relu(x: Tensor) -> Tensor:
    return functional.relu_(x)


def _pooled(x: Tensor) -> Tensor:
    """Pool, then cut off below zero: the same as the other way around, on a quarter of the values."""
    return _relu(functional.max_pool2d(x, 2))
