"""Small ONNX files, written by hand: a face detector in YuNet's format that takes blue squares for faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path

import numpy as np

from musetalk.utils.arrays import Float32Array

SIDE = 96  # pixels of the squares it likes best
# The face that it draws around such a square, in pixels from its middle: five points, and a tight box.
POINTS = np.array([[-18.7, -10.8], [18.7, -10.8], [0, 7], [-15.4, 26.2], [15.4, 26.2]])
TIGHT = (79.4, 104.0)
_STRIDES = (8, 16, 32)
_FLOAT, _INT64 = 1, 7  # ONNX's numbers of types
_INTS = 7  # and of an attribute that is a list


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
                _tensor(f"{full}.w", weights.astype(np.float32)),
                _tensor(f"{full}.b", bias.astype(np.float32)),
                _tensor(f"{full}.shape", np.array([1, -1, len(bias)], np.int64)),
            ]
            sizes = {"kernel_shape": (kernel, kernel), "strides": (stride, stride), "pads": (pad,) * 4}
            nodes += [
                _node("Conv", ("input", f"{full}.w", f"{full}.b"), f"{full}.map", sizes),
                _node("Transpose", (f"{full}.map",), f"{full}.last", {"perm": (0, 2, 3, 1)}),
                _node("Reshape", (f"{full}.last", f"{full}.shape"), full),
            ]
            outputs.append(_value(full, (1, 1, len(bias))))
    graph = [*(_field(1, node) for node in nodes), _field(2, b"faces"), *(_field(5, each) for each in constants)]
    graph += [_field(11, _value("input", (1, 3, 640, 640))), *(_field(12, each) for each in outputs)]
    opset = _field(1, b"") + _number(2, 11)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_number(1, 6) + _field(7, b"".join(graph)) + _field(8, opset))
    return path


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _field(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _node(kind: str, inputs: Iterable[str], output: str, sizes: dict[str, Sequence[int]] | None = None) -> bytes:
    attributes = (
        _field(1, name.encode()) + b"".join(_number(8, value) for value in values) + _number(20, _INTS)
        for name, values in (sizes or {}).items()
    )
    ends = [*(_field(1, name.encode()) for name in inputs), _field(2, output.encode())]
    return b"".join([*ends, _field(4, kind.encode()), *(_field(5, each) for each in attributes)])


def _tensor(name: str, values: Float32Array | np.ndarray[tuple[int], np.dtype[np.int64]]) -> bytes:
    kind = _INT64 if values.dtype == np.int64 else _FLOAT
    dims = b"".join(_number(1, side) for side in values.shape)
    return dims + _number(2, kind) + _field(8, name.encode()) + _field(9, values.tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_field(1, _number(1, side)) for side in shape)
    tensor = _number(1, _FLOAT) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))
