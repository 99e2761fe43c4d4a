"""BiSeNet with a ResNet-18 context path, as face parsing uses it; names as in 79999_iter.pth."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

LABELS = 19
WIDTH = 64  # channels of the first layer as published; the deepest one has eight times as many
FIRST = "cp.resnet.conv1.weight"  # [width, 3, 7, 7]: says how wide the rest is


class BasicBlock(nn.Module):
    """Two convolutions around a shortcut (He et al. 2016), the first with `stride`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h / stride, w / stride]."""
        residual = self.bn2(self.conv2(functional.relu_(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu_(residual.add_(shortcut))


class ResNet18(nn.Module):
    """ResNet-18 without its classifier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(3, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _layer(width, width, 1)
        self.layer2 = _layer(width, 2 * width, 2)
        self.layer3 = _layer(2 * width, 4 * width, 2)
        self.layer4 = _layer(4 * width, 8 * width, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 3, H, W] to features at strides 8, 16 and 32: 2, 4 and 8 times `width` channels."""
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = self.layer1(functional.max_pool2d(x, 3, stride=2, padding=1))
        stride8 = self.layer2(x)
        stride16 = self.layer3(stride8)
        return stride8, stride16, self.layer4(stride16)


class ConvNormRelu(nn.Module):
    """A convolution, its normalisation, and what is above zero of it."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = _conv(inputs, outputs, kernel)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h, w]."""
        return functional.relu_(self.bn(self.conv(x)))


class AttentionRefinement(nn.Module):
    """A convolution whose channels are weighted by what the whole picture shows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvNormRelu(inputs, outputs, 3)
        self.conv_atten = _conv(outputs, outputs, 1)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, outputs, h, w]."""
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(_mean(x))))


class ContextPath(nn.Module):
    """Features that know the whole picture, brought back to strides 8 and 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        context = 2 * width
        self.resnet = ResNet18(width)
        self.arm16 = AttentionRefinement(4 * width, context)
        self.arm32 = AttentionRefinement(8 * width, context)
        self.conv_head32 = ConvNormRelu(context, context, 3)
        self.conv_head16 = ConvNormRelu(context, context, 3)
        self.conv_avg = ConvNormRelu(8 * width, context, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 3, H, W] to ResNet's features at stride 8, and context at strides 8 and 16: 2 `width` channels each."""
        stride8, stride16, stride32 = self.resnet(x)
        coarse = self.arm32(stride32) + self.conv_avg(_mean(stride32))
        context16 = self.conv_head32(_nearest(coarse, stride16))
        context8 = self.conv_head16(_nearest(self.arm16(stride16) + context16, stride8))
        return stride8, context8, context16


class FeatureFusion(nn.Module):
    """Joins detail and context, and strengthens the channels that the whole picture asks for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convblk = ConvNormRelu(4 * width, 4 * width, 1)
        self.conv1 = _conv(4 * width, width, 1)
        self.conv2 = _conv(width, 4 * width, 1)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Return two of [B, 2 width, h, w] joined: [B, 4 width, h, w]."""
        joined = self.convblk(torch.cat([detail, context], dim=1))
        weights = torch.sigmoid(self.conv2(functional.relu_(self.conv1(_mean(joined)))))
        return torch.addcmul(joined, joined, weights)


class LabelHead(nn.Module):
    """Features to logits."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        self.conv = ConvNormRelu(inputs, middle, 3)
        self.conv_out = _conv(middle, LABELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] to [B, LABELS, h, w]."""
        logits: Tensor = self.conv_out(self.conv(x))
        return logits


class BiSeNet(nn.Module):
    """BiSeNet (Yu et al. 2018) whose spatial path is ResNet's own features at stride 8.

    Args:
        width: Channels of the first layer, which all others are multiples of.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.cp = ContextPath(width)
        self.ffm = FeatureFusion(width)
        self.conv_out = LabelHead(4 * width, 4 * width)
        self.conv_out16 = LabelHead(2 * width, width)
        self.conv_out32 = LabelHead(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Label every pixel.

        Args:
            x: float [B, 3, H, W], RGB, ImageNet's mean and deviation taken out; H and W divisible by 32.

        Returns:
            Logits [B, LABELS, H, W].
        """
        detail, context, _ = self.cp(x)
        return _enlarged(self.conv_out(self.ffm(detail, context)), x)

    def auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, LABELS, H, W] of the two heads that only training used; `x` as for `forward`."""
        _, context8, context16 = self.cp(x)
        return _enlarged(self.conv_out16(context8), x), _enlarged(self.conv_out32(context16), x)


def fold_norms(module: nn.Module) -> None:
    """Work each BatchNorm2d that directly follows a convolution among a module's children into its weights.

    Changes the module in place, all its parts included; for inference only. Outputs stay the same but for rounding.
    """
    previous: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and previous is not None and isinstance(previous[1], nn.Conv2d):
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        else:
            fold_norms(child)
        previous = (name, child)


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))


def _mean(x: Tensor) -> Tensor:
    """Mean over all places: [B, C, 1, 1]."""
    return x.mean(dim=(2, 3), keepdim=True)


def _nearest(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="nearest")


def _enlarged(logits: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(logits, size=like.shape[2:], mode="bilinear", align_corners=True)
