"""From the outputs of the S3FD network to boxes, and from its tall boxes to the squares that all detectors return."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from musetalk.faces.detection.s3fd_network import Heads
from musetalk.faces.proportions import TYPICAL_PROPORTIONS
from musetalk.faces.types import FaceBox

_STRIDES = (4, 8, 16, 32, 64, 128)
_ANCHOR = 4  # side of an anchor, in strides
_PLACE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2  # units of the offsets, against the anchor
_LEAST_SCORE = 0.5  # upstream suppresses from 0.05 up and then drops what is below: the same, as the best box wins
_MOST_BOXES = 5000  # compared with each other, the best ones: a picture full of faces has fewer, noise may have 30,000
_OVERLAP = 0.3  # intersection over union above which two boxes are one face

# S3FD learned WIDER FACE's tall boxes, which hold forehead, chin and cheeks tightly. With a forehead as high as a third
# of the face, the line across the nose lies at 0.54 of their height; boxes that cut the hairline lower it to 0.51.
_LINE = 0.53


def find_boxes(heads: Heads) -> list[Tensor]:
    """Turn the network's outputs into the faces of each picture.

    Args:
        heads: Logits [B, 2, h, w] and offsets [B, 4, h, w] per stride, as `S3FD.forward` returns them.

    Returns:
        Per picture float [n, 5]: x0, y0, x1, y1 in pixels of the network's input, and the score; best first. These
        are S3FD's own boxes, tall and tight.
    """
    scores = torch.cat([(cls[:, 1] - cls[:, 0]).sigmoid().flatten(1) for cls, _ in heads], dim=1)  # [B, anchors]
    offsets = torch.cat([reg.flatten(2) for _, reg in heads], dim=2)  # [B, 4, anchors]
    anchors = torch.cat([_anchors(reg, stride) for (_, reg), stride in zip(heads, _STRIDES, strict=True)])
    picture, anchor = (scores > _LEAST_SCORE).nonzero(as_tuple=True)
    boxes = decode_boxes(offsets[picture, :, anchor], anchors[anchor])
    chosen = torch.cat([boxes, scores[picture, anchor, None]], dim=1)
    return [_suppressed(chosen[picture == index]) for index in range(len(scores))]


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Apply offsets to anchors.

    Args:
        offsets: float [n, 4] as (x, y, log width, log height), in variances of the anchor.
        anchors: float [n, 4] as (centre x, centre y, width, height), in pixels.

    Returns:
        float [n, 4] as (x0, y0, x1, y1), in pixels.
    """
    centers = anchors[:, :2] + offsets[:, :2] * _PLACE_VARIANCE * anchors[:, 2:]
    halves = anchors[:, 2:] * (offsets[:, 2:] * _SIZE_VARIANCE).exp() / 2
    return torch.cat([centers - halves, centers + halves], dim=1)


def square_box(tight: FaceBox) -> FaceBox:
    """Turn one of S3FD's own boxes into the square that `FaceBox` speaks of.

    Its side is the mean of what the cheeks ask for (they are the tight box's sides) and what the distance from the line
    across the nose to the chin does; it stands on the chin, around the tight box's middle column.
    """
    usual = TYPICAL_PROPORTIONS
    by_cheeks = tight.width / (usual.right - usual.left)
    by_chin = tight.height * (1 - _LINE) / (usual.chin - usual.line)
    half, (middle, _) = (by_cheeks + by_chin) / 4, tight.center
    bottom = tight.y1 + (1 - usual.chin) * 2 * half
    return FaceBox(middle - half, bottom - 2 * half, middle + half, bottom, tight.score)


def tight_box(square: FaceBox) -> FaceBox:
    """Return the tall box that S3FD would usually draw where `square_box` makes this square of it."""
    usual, side = TYPICAL_PROPORTIONS, (square.width + square.height) / 2
    half, middle = side * (usual.right - usual.left) / 2, square.center[0]
    bottom = square.y1 - (1 - usual.chin) * side
    top = bottom - side * (usual.chin - usual.line) / (1 - _LINE)
    return FaceBox(middle - half, top, middle + half, bottom, square.score)


def _anchors(offsets: Tensor, stride: int) -> Tensor:
    """Return one level's anchors, row by row: float [h * w, 4] as (centre x, centre y, width, height)."""
    height, width = offsets.shape[2:]
    y, x = (stride * (torch.arange(n, dtype=torch.float32, device=offsets.device) + 0.5) for n in (height, width))
    centers = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1).reshape(-1, 2)
    return torch.cat([centers, torch.full_like(centers, _ANCHOR * stride)], dim=1)


def _suppressed(boxes: Tensor) -> Tensor:
    """Of boxes [n, 5] that overlap keep the best; best first."""
    if len(boxes) > _MOST_BOXES:
        boxes = boxes[boxes[:, 4].topk(_MOST_BOXES).indices]
    edges = boxes[:, :4] + boxes.new_tensor((0.0, 0.0, 1.0, 1.0))  # a box counts its last pixel as upstream has it
    return boxes[nms(edges, boxes[:, 4], _OVERLAP)]
