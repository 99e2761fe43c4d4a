"""Small ONNX files, written by hand: a face detector in YuNet's format that takes blue squares for faces."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np

from tests.helpers.onnx_bytes import model, node, tensor, value

SIDE = 96  # pixels of the squares it likes best
# The face that it draws around such a square, in pixels from its middle: five points, and a tight box.
POINTS = np.array([[-18.7, -10.8], [18.7, -10.8], [0, 7], [-15.4, 26.2], [15.4, 26.2]])
TIGHT = (79.4, 104.0)
_STRIDES = (8, 16, 32)


def write_yunet(path: Path) -> Path:
    """Write a network with YuNet's inputs and outputs: at stride 8 the mean blue of the square around, else nothing."""
    nodes, constants, outputs = [], [], []
    for stride in _STRIDES:
        kernel, pad = (SIDE, (SIDE - stride) // 2) if stride == 8 else (stride, 0)
        blue = np.zeros((1, 3, kernel, kernel), np.float32)
        blue[:, 0] = 1 / 255 / kernel**2 if stride == 8 else 0.0
        box = np.array([0.5, 0.5, log(TIGHT[0] / stride), log(TIGHT[1] / stride)])
        heads = {
            "cls": (blue, np.zeros(1)),
            "obj": (np.zeros_like(blue), np.ones(1)),
            "bbox": (np.zeros((4, 3, kernel, kernel)), box),
            "kps": (np.zeros((10, 3, kernel, kernel)), (POINTS / stride + 0.5).reshape(-1)),
        }
        for name, (weights, bias) in heads.items():
            full = f"{name}_{stride}"
            constants += [
                tensor(f"{full}.w", weights.astype(np.float32)),
                tensor(f"{full}.b", bias.astype(np.float32)),
                tensor(f"{full}.shape", np.array([1, -1, len(bias)], np.int64)),
            ]
            sizes = {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": (pad,) * 4}
            nodes += [
                node("Conv", ("input", f"{full}.w", f"{full}.b"), f"{full}.map", sizes),
                node("Transpose", (f"{full}.map",), f"{full}.last", {"perm": (0, 2, 3, 1)}),
                node("Reshape", (f"{full}.last", f"{full}.shape"), full),
            ]
            outputs.append(value(full, (1, 1, len(bias))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model(11, nodes, constants, [value("input", (1, 3, 640, 640))], outputs))
    return path
