"""68 landmarks of a face, by the Face Alignment Network: the crop it sees, its heat maps, and back to the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from musetalk.faces.detection.s3fd_boxes import tight_box
from musetalk.faces.landmarks.fan_network import FAN, INPUT_SIDE, LANDMARKS, MAP_SIDE
from musetalk.faces.types import FaceBox
from musetalk.progress import never_stop
from musetalk.runtime.checkpoint import fill, load_state_dict
from musetalk.utils.arrays import Float32Array, Float64Array, UInt8Array
from musetalk.weights.variants import preferred
from musetalk.weights.verify import short_digest

# Facts of 1adrianb/face-alignment: the crop lies around the middle of S3FD's tall box, moved up by 0.12 of its height,
# and is as large as 200 / 195 of its width and height together.
_RAISED = 0.12
_SPAN = 200 / 195
_QUARTER = 0.25  # of a heat map's pixel: towards the higher neighbour
_REVISION = 1  # raise with every change that moves landmarks: they are kept by it
_ACCELERATOR_BATCH = 16  # crops at once; on a CPU one at a time is as fast


class HeatMapNetwork(Protocol):
    """What the finder asks of a network: `FAN.forward`."""

    def __call__(self, x: Tensor) -> Tensor:
        """From float [B, 3, 256, 256], RGB from 0 to 1, to heat maps [B, 68, 64, 64]."""
        ...


@dataclass(frozen=True, slots=True)
class LandmarkView:
    """The square of a frame that the network sees.

    Attributes:
        x, y: Its middle, in pixels of the frame (the first pixel's middle is at 0.5).
        span: Its side in the frame, in pixels.
    """

    x: float
    y: float
    span: float

    @classmethod
    def around(cls, box: FaceBox) -> LandmarkView:
        """Place it around a face."""
        tight = tight_box(box)
        x, y = tight.center
        return cls(x, y - _RAISED * tight.height, max(1.0, _SPAN * (tight.width + tight.height)))

    def cut(self, frame: UInt8Array) -> UInt8Array:
        """Cut it out of a frame: uint8 RGB [256, 256, 3]; black beyond the frame, as upstream has it."""
        step = self.span / INPUT_SIDE
        fold = max(1, int(np.ceil(step - 0.25)))  # samples that are averaged, each way
        side, fine = INPUT_SIDE * fold, step / fold
        corner = (self.x - self.span / 2 + fine / 2 - 0.5, self.y - self.span / 2 + fine / 2 - 0.5)
        matrix = np.array([[fine, 0.0, corner[0]], [0.0, fine, corner[1]]])
        cut = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        if fold > 1:
            cut = cv2.resize(cut, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(cut, np.uint8)

    def in_frame(self, points: Float64Array) -> Float64Array:
        """Bring points in pixels of heat maps, float64 [n, 2], back to the frame's pixels."""
        return (points / MAP_SIDE - 0.5) * self.span + (self.x, self.y)


class LandmarkFinder:
    """Finds the landmarks of known faces; safe to share between threads.

    Args:
        network: On `device`, in evaluation mode.
        device: Where it runs.
        weights: What tells these weights from others, for the fingerprint.
    """

    def __init__(self, network: HeatMapNetwork, *, device: torch.device, weights: str = "") -> None:
        self._network, self._device, self._weights = network, device, weights

    @property
    def fingerprint(self) -> str:
        """Name, revision, weights, and the kind of device, of which each rounds in its own way."""
        return f"fan-{_REVISION} weights={self._weights} {self._device.type}"

    @property
    def at_once(self) -> int:
        """Faces that it likes to be given together; more are looked at one lot after the other."""
        return 1 if self._device.type == "cpu" else _ACCELERATOR_BATCH

    def crop(self, frame: UInt8Array, box: FaceBox) -> UInt8Array:
        """Return what it is to be shown of a face in a frame: uint8 RGB [256, 256, 3]."""
        return LandmarkView.around(box).cut(frame)

    def landmarks(
        self, crops: Sequence[UInt8Array], boxes: Sequence[FaceBox], check: Callable[[], None] = never_stop
    ) -> Float64Array:
        """Find the landmarks of faces.

        Args:
            crops: What `crop` cut out.
            boxes: Of the faces, as `crop` was told.
            check: Called before each lot; raises where the work is to end.

        Returns:
            float64 [N, 68, 2] as (x, y), in pixels of the frames.
        """
        found = np.empty((len(crops), LANDMARKS, 2))
        for start in range(0, len(crops), self.at_once):
            check()
            lot = np.stack(crops[start : start + self.at_once])
            with torch.inference_mode():
                pixels = torch.from_numpy(lot).to(self._device).permute(0, 3, 1, 2).float() / 255
                maps = self._network(pixels).float().cpu().numpy()
            found[start : start + len(lot)] = peaks(maps)
        views = map(LandmarkView.around, boxes)
        return np.stack([view.in_frame(each) for view, each in zip(views, found, strict=True)]) if len(found) else found


def peaks(maps: Float32Array) -> Float64Array:
    """Find the highest place of each heat map, moved by a quarter of a pixel towards its higher neighbours.

    Args:
        maps: float32 [B, n, h, w].

    Returns:
        float64 [B, n, 2] as (x, y) in pixels of the maps; the first pixel's middle is at 0.5.
    """
    height, width = maps.shape[2:]
    flat = maps.reshape(*maps.shape[:2], -1)
    rows, columns = np.divmod(flat.argmax(axis=2), width)
    first, second = np.indices(rows.shape)
    places = np.stack([columns, rows], axis=2).astype(np.float64)
    inside = (columns > 0) & (columns < width - 1) & (rows > 0) & (rows < height - 1)
    left, right = np.clip(columns - 1, 0, None), np.clip(columns + 1, None, width - 1)
    above, below = np.clip(rows - 1, 0, None), np.clip(rows + 1, None, height - 1)
    across = maps[first, second, rows, right] - maps[first, second, rows, left]
    down = maps[first, second, below, columns] - maps[first, second, above, columns]
    places += _QUARTER * np.sign(np.stack([across, down], axis=2)) * inside[..., None]
    return places + 0.5


def load_landmarks(path: Path, device: torch.device | str) -> LandmarkFinder:
    """Load the finder, in float32 whatever the file holds.

    Args:
        path: 2DFAN4-11f355bf06.pth.tar; its lean copy is read where that stands for it.
        device: Where it is to run.

    Raises:
        BackendError: The file is missing, damaged, or another network's.
    """
    place, source = torch.device(device), preferred(path)
    state = load_state_dict(source)
    network = FAN()
    counters = {name for name in network.state_dict() if name.endswith(".num_batches_tracked")}
    fill(network, state, source, optional=counters)  # files of old releases have no counters, and nothing reads them
    network.eval().requires_grad_(False)
    return LandmarkFinder(
        network.to(place).to(memory_format=torch.channels_last), device=place, weights=short_digest(source)
    )
