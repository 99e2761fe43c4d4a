"""Faces by the S3FD network: any pose and light, at the price of a VGG per frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from musetalk.arrays import UInt8Array
from musetalk.errors import BackendError
from musetalk.faces.s3fd_network import S3FD, Heads
from musetalk.faces.types import FaceBox
from musetalk.networks.checkpoint import fill, load_state_dict

LONGEST = 640  # pixels of the first look's longer side; faces of 16 pixels and more are found at that size

_REVISION = 1  # raise with every change that moves boxes: saved plans are keyed by it
_MEAN = (104, 117, 123)  # taken off red, green and blue in that order: so MuseTalk calls it
_STEP = 16  # sides are filled up to multiples of it, or the poolings down to stride 16 drop rows and columns
_LEAST_SIDE = 32  # a smaller picture vanishes in the last pooling
_STRIDES = (4, 8, 16, 32, 64, 128)
_ANCHOR = 4  # side of an anchor, in strides
_PLACE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2  # units of the offsets, against the anchor
_LEAST_SCORE = 0.5  # upstream suppresses from 0.05 up and then drops what is below: the same, as the best box wins
_OVERLAP = 0.3  # intersection over union above which two boxes are one face
_ACCELERATOR_BATCH = 8  # frames at once; on a CPU one at a time is as fast, and takes an eighth of the memory


class HeadsNetwork(Protocol):
    """What the detector asks of a network: `S3FD.forward`."""

    def __call__(self, x: Tensor) -> Heads:
        """From float [B, 3, H, W] to logits and offsets per stride; see `S3FD.forward`."""
        ...


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a frame is brought to the network's size: shrunk, never enlarged, and filled up at its right and bottom.

    Attributes:
        frame: (width, height) of the frame, in pixels.
        inner: (width, height) of the frame as the network sees it.
        outer: (width, height) with what it is filled up with.
    """

    frame: tuple[int, int]
    inner: tuple[int, int]
    outer: tuple[int, int]

    @classmethod
    def fit(cls, width: int, height: int, longest: int) -> Letterbox:
        """Fit a frame's longer side into `longest` pixels."""
        scale = min(1.0, longest / max(width, height))
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        outer_width, outer_height = (max(_LEAST_SIDE, -(-side // _STEP) * _STEP) for side in inner)
        return cls((width, height), inner, (outer_width, outer_height))

    def apply(self, frames: Sequence[UInt8Array]) -> UInt8Array:
        """Bring frames to size: uint8 RGB [B, outer height, outer width, 3], filled with the mean colour."""
        width, height = self.inner
        batch = np.empty((len(frames), self.outer[1], self.outer[0], 3), np.uint8)
        batch[:, height:] = _MEAN
        batch[:, :height, width:] = _MEAN
        for place, frame in zip(batch, frames, strict=True):
            same = self.inner == self.frame
            place[:height, :width] = frame if same else cv2.resize(frame, self.inner, interpolation=cv2.INTER_AREA)
        return batch

    def box_in_frame(self, edges: Sequence[float], score: float) -> FaceBox:
        """Bring (x0, y0, x1, y1) from the network's pixels back to the frame's."""
        kx, ky = self.frame[0] / self.inner[0], self.frame[1] / self.inner[1]
        x0, y0, x1, y1 = edges
        return FaceBox(x0 * kx, y0 * ky, x1 * kx, y1 * ky, score)


class S3FDDetector:
    """Finds faces in two looks: all frames at a handy size, and those that seem empty once more at full size.

    Boxes reach from forehead to chin and may lie partly beyond the frame; scores are probabilities above 0.5. Safe to
    share between threads.

    Args:
        network: On `device`, in evaluation mode.
        device: Where it runs.
        longest: Longer side of frames in the first look, in pixels.
        weights: What tells these weights from others, for the fingerprint.
    """

    def __init__(
        self, network: HeadsNetwork, *, device: torch.device, longest: int = LONGEST, weights: str = ""
    ) -> None:
        self._network = network
        self._device = device
        self._longest = longest
        self._weights = weights
        self._mean = torch.tensor(_MEAN, dtype=torch.float32, device=device)[:, None, None]

    @property
    def fingerprint(self) -> str:
        """Name, revision, settings and weights."""
        return f"s3fd-{_REVISION} longest={self._longest} weights={self._weights}"

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.

        Returns:
            Per frame its faces, in pixels of that frame, best score first.

        Raises:
            BackendError: The frames are of several sizes.
        """
        if not frames:
            return []
        if len({frame.shape for frame in frames}) > 1:
            raise BackendError("the face detector was given frames of several sizes")
        height, width = frames[0].shape[:2]
        size = 1 if self._device.type == "cpu" else _ACCELERATOR_BATCH
        first = Letterbox.fit(width, height, self._longest)
        found = [
            boxes for start in range(0, len(frames), size) for boxes in self._look(first, frames[start : start + size])
        ]
        full = Letterbox.fit(width, height, max(width, height))
        if full.inner != first.inner:
            for index, boxes in enumerate(found):
                if not boxes:  # one at a time: a large frame fills gigabytes with activations
                    found[index] = self._look(full, frames[index : index + 1])[0]
        return found

    def _look(self, letterbox: Letterbox, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        with torch.inference_mode():
            pixels = torch.from_numpy(letterbox.apply(frames)).to(self._device)
            # float() keeps the order of the pixels in memory, and that is the one the convolutions are fastest with
            heads = self._network(pixels.permute(0, 3, 1, 2).float().sub_(self._mean))
            rows = [boxes.tolist() for boxes in find_boxes(heads)]
        return [[letterbox.box_in_frame(edges, score) for *edges, score in boxes] for boxes in rows]


def load_s3fd(path: Path, device: torch.device | str, *, longest: int = LONGEST) -> S3FDDetector:
    """Load the detector.

    Args:
        path: s3fd-619a316812.pth.
        device: Where it is to run.
        longest: Longer side of frames in the first look, in pixels.

    Raises:
        BackendError: The file is missing, damaged, or another network's.
    """
    place = torch.device(device)
    state = load_state_dict(path)
    with torch.device("meta"):
        network = S3FD()
    fill(network, state, path)
    return S3FDDetector(prepared(network, place), device=place, longest=longest, weights=_digest(path))


def prepared(network: nn.Module, device: torch.device) -> nn.Module:
    """Make a filled network ready for inference: frozen, on the device, weights in the order that is fastest."""
    moved = network.eval().requires_grad_(False).to(device)
    return moved.to(memory_format=torch.channels_last)


def find_boxes(heads: Heads) -> list[Tensor]:
    """Turn the network's outputs into the faces of each picture.

    Args:
        heads: Logits [B, 2, h, w] and offsets [B, 4, h, w] per stride, as `S3FD.forward` returns them.

    Returns:
        Per picture float [n, 5]: x0, y0, x1, y1 in pixels of the network's input, and the score; best first.
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


def _anchors(offsets: Tensor, stride: int) -> Tensor:
    """One level's anchors, row by row: float [h * w, 4] as (centre x, centre y, width, height)."""
    height, width = offsets.shape[2:]
    y, x = (stride * (torch.arange(n, dtype=torch.float32, device=offsets.device) + 0.5) for n in (height, width))
    centers = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1).reshape(-1, 2)
    return torch.cat([centers, torch.full_like(centers, _ANCHOR * stride)], dim=1)


def _suppressed(boxes: Tensor) -> Tensor:
    """Of boxes [n, 5] that overlap keep the best; best first."""
    edges = boxes[:, :4] + boxes.new_tensor((0.0, 0.0, 1.0, 1.0))  # a box counts its last pixel as upstream has it
    return boxes[nms(edges, boxes[:, 4], _OVERLAP)]


def _digest(path: Path) -> str:
    """Start of the file's SHA-256, enough to tell weights apart."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:12]
