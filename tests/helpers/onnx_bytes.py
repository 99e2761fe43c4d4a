"""ONNX models written by hand: the bytes of nodes, constants, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

FLOAT, INT64 = 1, 7  # ONNX's numbers of types
_INT, _INTS = 2, 7  # and of an attribute that is a number, or a list of them


def model(
    opset: int, nodes: Iterable[bytes], constants: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]
) -> bytes:
    """Return a model."""
    graph = [*(_field(1, each) for each in nodes), _field(2, b"small"), *(_field(5, each) for each in constants)]
    graph += [*(_field(11, each) for each in inputs), *(_field(12, each) for each in outputs)]
    operations = _field(1, b"") + _number(2, opset)
    return _number(1, 6) + _field(7, b"".join(graph)) + _field(8, operations)


def node(
    kind: str, inputs: Iterable[str], output: str, sizes: Mapping[str, int | Sequence[int]] | None = None
) -> bytes:
    """Return an operation; `sizes` are its attributes."""
    attributes = (
        _field(1, name.encode())
        + (
            _number(3, values) + _number(20, _INT)
            if isinstance(values, int)
            else b"".join(_number(8, value) for value in values) + _number(20, _INTS)
        )
        for name, values in (sizes or {}).items()
    )
    ends = [*(_field(1, name.encode()) for name in inputs), _field(2, output.encode())]
    return b"".join([*ends, _field(4, kind.encode()), *(_field(5, each) for each in attributes)])


def tensor(name: str, values: np.ndarray[Any, Any]) -> bytes:
    """Return a constant, float32 or int64."""
    kind = INT64 if values.dtype == np.int64 else FLOAT
    dims = b"".join(_number(1, side) for side in values.shape)
    return dims + _number(2, kind) + _field(8, name.encode()) + _field(9, values.tobytes())


def value(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    """Return an input or output; sides that are not known have names."""
    dims = b"".join(
        _field(1, _number(1, side) if isinstance(side, int) else _field(2, side.encode())) for side in shape
    )
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, dims)))


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
