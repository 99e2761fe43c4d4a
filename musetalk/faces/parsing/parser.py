"""Labels every pixel of a face: skin, lips, brows, hair and what else `FaceLabel` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from musetalk.faces.parsing.bisenet import FIRST, WIDTH, BiSeNet, fold_norms
from musetalk.faces.parsing.labels import LABEL_SIDE
from musetalk.runtime.checkpoint import fill, load_state_dict
from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.variants import preferred
from musetalk.weights.verify import short_digest

_REVISION = 1  # raise with every change that moves labels: they are kept by it
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of values between 0 and 1
_ACCELERATOR_BATCH = 16  # crops at once; on a CPU one at a time is as fast


class LogitsNetwork(Protocol):
    """What the parser asks of a network: `BiSeNet.forward`."""

    def __call__(self, x: Tensor) -> Tensor:
        """From float [B, 3, 512, 512] to logits [B, labels, 512, 512]."""
        ...


class BiSeNetParser:
    """Labels crops of faces; safe to share between threads.

    Args:
        network: On `device`, in evaluation mode.
        device: Where it runs.
        weights: What tells these weights from others, for the fingerprint.
    """

    def __init__(self, network: LogitsNetwork, *, device: torch.device, weights: str = "") -> None:
        self._network = network
        self._weights = weights
        self._device = device
        mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in (_MEAN, _DEVIATION))
        self._scale, self._shift = 1 / (255 * deviation), -mean / deviation

    @property
    def fingerprint(self) -> str:
        """Name, revision, weights, and the kind of device, of which each rounds in its own way."""
        return f"bisenet-{_REVISION} weights={self._weights} {self._device.type}"

    @property
    def at_once(self) -> int:
        """Faces that are labelled together; more are labelled one lot after the other."""
        return 1 if self._device.type == "cpu" else _ACCELERATOR_BATCH

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        """Label each pixel.

        Args:
            crops: uint8 RGB [S, S, 3] each, S its own: a face with some surroundings.

        Returns:
            uint8 [N, 512, 512], values of `FaceLabel`.
        """
        found = np.empty((len(crops), LABEL_SIDE, LABEL_SIDE), np.uint8)
        size = self.at_once
        for start in range(0, len(crops), size):
            with torch.inference_mode():
                logits = self._network(self.network_input(crops[start : start + size]))
                found[start : start + size] = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return found

    def network_input(self, crops: Sequence[UInt8Array]) -> Tensor:
        """Resize and normalise: float32 [N, 3, 512, 512] on the device.

        Resized on the CPU and in whole grey levels, as upstream does with Pillow: the same on every device.
        """
        pixels = torch.cat([_scaled(crop) for crop in crops])
        # float() keeps the order of the pixels in memory, and that is the one the convolutions are fastest with
        return pixels.to(self._device).float().mul_(self._scale).add_(self._shift)


def _scaled(crop: UInt8Array) -> Tensor:
    """Return one crop in the network's size: uint8 [1, 3, 512, 512], channels last in memory."""
    pixels = torch.from_numpy(np.ascontiguousarray(crop))[None].permute(0, 3, 1, 2)
    size = (LABEL_SIDE, LABEL_SIDE)
    if pixels.shape[2:] == size:
        return pixels
    return functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)


def _width(state: Mapping[str, Tensor]) -> int:
    """Return how wide the network of a file is: as published, or narrower; what is neither, filling it refuses."""
    first = state.get(FIRST)
    width = first.shape[0] if first is not None and first.ndim else WIDTH
    return width if 0 < width < WIDTH else WIDTH


def load_parser(path: Path, device: torch.device | str) -> BiSeNetParser:
    """Load the parser, in float32 whatever the file holds.

    Args:
        path: 79999_iter.pth; its lean copy is read where that stands for it.
        device: Where it is to run.

    Raises:
        BackendError: The file is missing, damaged, or another network's.
    """
    place, source = torch.device(device), preferred(path)
    state = load_state_dict(source)
    network = BiSeNet(_width(state))
    counters = {name for name in network.state_dict() if name.endswith(".num_batches_tracked")}
    fill(network, state, source, optional=counters)  # files of old releases have no counters, and nothing reads them
    network.eval().requires_grad_(False)
    fold_norms(network)
    placed = network.to(place).to(memory_format=torch.channels_last)
    return BiSeNetParser(with_stop_points(placed), device=place, weights=short_digest(source))
