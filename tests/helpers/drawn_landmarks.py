"""68 landmarks of a mean face, as fractions of a `FaceBox`, and checkpoints of the network that finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from musetalk.faces.landmarks.fan_network import FAN
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import Float64Array
from musetalk.weights.catalog import LANDMARKS


def mean_landmarks(box: FaceBox) -> Float64Array:
    """Landmarks of an upright face in a box: float64 [68, 2], in pixels of its frame."""
    around = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.4 * np.cos(around), 0.45 + 0.55 * np.sin(around)], axis=1)
    brows = [np.stack([np.linspace(a, b, 5), np.full(5, 0.27)], axis=1) for a, b in ((0.2, 0.42), (0.58, 0.8))]
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.38, 0.59, 4)], axis=1)
    wings = np.stack([np.linspace(0.42, 0.58, 5), np.full(5, 0.63)], axis=1)
    turns = np.linspace(np.pi, -np.pi, 6, endpoint=False)
    eyes = [np.stack([x + 0.07 * np.cos(turns), 0.387 - 0.03 * np.sin(turns)], axis=1) for x in (0.3, 0.7)]
    outer = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    lips = np.stack([0.5 + 0.16 * np.cos(outer), 0.775 - 0.06 * np.sin(outer)], axis=1)
    inner = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    mouth = np.stack([0.5 + 0.12 * np.cos(inner), 0.775 - 0.02 * np.sin(inner)], axis=1)
    parts = np.concatenate([jaw, *brows, bridge, wings, *eyes, lips, mouth])
    return np.asarray(parts * (box.width, box.height) + (box.x0, box.y0))


def write_landmarks(models_dir: Path, **changed: torch.Tensor | None) -> Path:
    """A checkpoint with the published names and shapes, all zeros: a few kilobytes on disk.

    Args:
        models_dir: Where to.
        changed: Tensors in place of some, by name with `__` for dots; None leaves one out.
    """
    with torch.device("meta"):
        wanted = FAN().state_dict()
    state = {
        name: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for name, value in wanted.items()
        if not name.endswith("num_batches_tracked")
    }
    for name, value in changed.items():
        state.pop(name.replace("__", "."))
        if value is not None:
            state[name.replace("__", ".")] = value
    path = models_dir / LANDMARKS.path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path, _use_new_zipfile_serialization=False)  # as files of its time are
    return path
