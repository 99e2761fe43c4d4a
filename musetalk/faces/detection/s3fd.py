"""Face detection by S3FD: any pose and light, at the cost of a VGG for each pass over a whole frame.

A look finds the faces; a closer one at each, cut out of the frame, places it. The same closer look follows a known face
from frame to frame, at a sixth of the cost of the first look or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from musetalk.faces.detection.boxes import distinct, same_face
from musetalk.faces.detection.s3fd_boxes import find_boxes, square_box
from musetalk.faces.detection.s3fd_network import S3FD, Heads
from musetalk.faces.detection.s3fd_preprocess import MEAN, Cutout, Letterbox
from musetalk.faces.types import FaceBox, Sought
from musetalk.runtime.checkpoint import fill, load_state_dict
from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.stopping import left_alone
from musetalk.weights.variants import preferred
from musetalk.weights.verify import short_digest

LONGEST = 640  # pixels of the first look's longer side; faces of 16 pixels and more are found at that size
MAX_SIDE = 1920  # pixels of the second look's longer side: at 1920 x 1080 it takes 1.1 GB, at 4K it would take 4.4

_REVISION = 3  # raise with every change that moves boxes: saved plans are keyed by it
_MOST_FACES = 256  # in a frame, best first: more are noise
_ACCELERATOR_BATCH = 8  # frames at once; on a CPU one at a time is as fast, and takes an eighth of the memory
_ACCELERATOR_CUTS = 32  # cutouts at once


class HeadsNetwork(Protocol):
    """What the detector asks of a network: `S3FD.forward`."""

    def __call__(self, x: Tensor) -> Heads:
        """From float [B, 3, H, W] to logits and offsets per stride; see `S3FD.forward`."""
        ...


class S3FDDetector:
    """Finds faces in two looks: all frames at a handy size, and those that seem empty once more at full size.

    Boxes may lie partly beyond the frame; scores are probabilities above 0.5. Safe to share between threads. Each call
    stands alone: nothing is remembered of other frames.

    Args:
        network: On `device`, in evaluation mode, float32.
        device: Where it runs.
        longest: Longer side of frames in the first look, in pixels.
        smallest: Smaller faces are passed over; as a fraction of the frame's shorter side.
        weights: What tells these weights from others, for the fingerprint.
    """

    def __init__(
        self,
        network: HeadsNetwork,
        *,
        device: torch.device,
        longest: int = LONGEST,
        smallest: float = 0.0,
        weights: str = "",
    ) -> None:
        self._network = network
        self._device = device
        self._longest = longest
        self._smallest = smallest
        self._weights = weights
        self._mean = torch.tensor(MEAN, dtype=torch.float32, device=device)[:, None, None]

    @property
    def fingerprint(self) -> str:
        """Name, revision, settings and weights, and beside CPUs the kind of device: each rounds in its own way."""
        device = "" if self._device.type == "cpu" else f" {self._device.type}"
        sizes = f"longest={self._longest} min_face={self._smallest:g}"
        return f"s3fd-{_REVISION} {sizes} weights={self._weights}{device}"

    @property
    def max_side(self) -> int:
        """Longer side of frames in the second look, in pixels."""
        return max(MAX_SIDE, self._longest)

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole, and measure what was found as `follow` does, so that both agree.

        Args:
            frames: uint8 RGB [H, W, 3] each, of one size.

        Returns:
            Per frame its faces, in pixels of that frame, best score first.

        Raises:
            ValueError: The frames are of several sizes.
        """
        found: list[list[FaceBox]] = []
        for frame, rough in zip(frames, self.search(frames), strict=True):
            close = self.follow(frame, rough)
            found.append(distinct(old if new is None else new for old, new in zip(rough, close, strict=True)))
        return found

    def search(self, frames: Sequence[UInt8Array], sought: Sought | None = None) -> list[list[FaceBox]]:
        """As `detect`, without measuring what was found; see `SearchingDetector`. Each face costs next to nothing."""
        del sought  # the network shows all of them at once
        found = []
        for frame, boxes in zip(frames, self.tight_boxes(frames), strict=True):
            least = self._smallest * min(frame.shape[:2])
            squares = (square_box(box) for box in boxes)
            found.append(distinct(islice((square for square in squares if square.height >= least), _MOST_FACES)))
        return found

    def tight_boxes(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Search each frame as a whole, for boxes as S3FD draws them: tall, from forehead to chin and cheek to cheek.

        Args, order of the results and errors as of `detect`.
        """
        if not frames:
            return []
        if len({frame.shape for frame in frames}) > 1:
            raise ValueError("the face detector was given frames of several sizes")
        height, width = frames[0].shape[:2]
        size = self._at_once(_ACCELERATOR_BATCH)
        first = Letterbox.fit(width, height, self._longest)
        found = [
            boxes for start in range(0, len(frames), size) for boxes in self._look(first, frames[start : start + size])
        ]
        full = Letterbox.fit(width, height, self.max_side)
        if full.inner != first.inner:
            for index, boxes in enumerate(found):
                if not boxes:  # one at a time: a large frame fills gigabytes with activations
                    found[index] = self._look(full, frames[index : index + 1])[0]
        return found

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        """Look for known faces near where they were; see `FollowingDetector`."""
        scale = min(1.0, self._longest / max(frame.shape[:2]))
        cutouts = [Cutout.around(box, scale) for box in boxes]
        found: list[FaceBox | None] = [None] * len(boxes)
        for side in sorted({cutout.side for cutout in cutouts}):
            alike = [index for index, cutout in enumerate(cutouts) if cutout.side == side]
            pixels = [cutouts[index].apply(frame) for index in alike]
            for index, rows in zip(alike, self._rows(pixels), strict=True):
                faces = [square_box(cutouts[index].box_in_frame(edges, score)) for *edges, score in rows]
                found[index] = _nearest(faces, boxes[index])
        return found

    def _look(self, letterbox: Letterbox, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        rows = self._run(letterbox.apply(frames))
        return [[letterbox.box_in_frame(edges, score) for *edges, score in boxes] for boxes in rows]

    def _rows(self, pictures: Sequence[UInt8Array]) -> list[list[list[float]]]:
        """Return the boxes of cutouts, all of one size, in as few runs as the device likes."""
        size = self._at_once(_ACCELERATOR_CUTS)
        starts = range(0, len(pictures), size)
        return [rows for start in starts for rows in self._run(np.stack(pictures[start : start + size]))]

    def _run(self, batch: UInt8Array) -> list[list[list[float]]]:
        """From uint8 RGB [B, H, W, 3] to rows of (x0, y0, x1, y1, score) per picture, in its pixels.

        A CPU takes seconds for one layer at full size: it is not waited for where the work is to end.
        """
        return left_alone(lambda: self._rows_of(batch))

    def _rows_of(self, batch: UInt8Array) -> list[list[list[float]]]:
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device)
            # float() keeps the order of the pixels in memory, and that is the one the convolutions are fastest with
            bgr = pixels.permute(0, 3, 1, 2).flip(1).float()
            heads = self._network(bgr.sub_(self._mean))
            return [boxes.tolist() for boxes in find_boxes(heads)]

    def _at_once(self, most: int) -> int:
        return 1 if self._device.type == "cpu" else most


def load_s3fd(path: Path, device: torch.device | str, *, longest: int = LONGEST, smallest: float = 0.0) -> S3FDDetector:
    """Load the detector, in float32 whatever the file holds.

    Args:
        path: s3fd-619a316812.pth; its lean copy is read where that stands for it.
        device: Where it is to run.
        longest: Longer side of frames in the first look, in pixels.
        smallest: See `S3FDDetector`.

    Raises:
        BackendError: The file is missing, damaged, or another network's.
    """
    place, source = torch.device(device), preferred(path)
    state = load_state_dict(source)
    with torch.device("meta"):
        network = S3FD()
    fill(network, state, source)
    return S3FDDetector(
        prepared(network, place), device=place, longest=longest, smallest=smallest, weights=short_digest(source)
    )


def prepared(network: nn.Module, device: torch.device) -> nn.Module:
    """Make a filled network ready for inference: frozen, on the device, weights in the order that is fastest."""
    moved = network.eval().requires_grad_(False).to(device)
    return with_stop_points(moved.to(memory_format=torch.channels_last))


def _nearest(faces: Sequence[FaceBox], known: FaceBox) -> FaceBox | None:
    """Of all faces that may be the known one, that which covers it best."""
    alike = [face for face in faces if same_face(face, known)]
    return max(alike, key=lambda face: _agreement(face, known), default=None)


def _agreement(a: FaceBox, b: FaceBox) -> float:
    """Intersection over union of two boxes that overlap."""
    shared = (min(a.x1, b.x1) - max(a.x0, b.x0)) * (min(a.y1, b.y1) - max(a.y0, b.y0))
    return shared / (a.area + b.area - shared)
