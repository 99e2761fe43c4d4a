"""ONNX models as bytes: which nodes they have, and what is added to them before they are loaded.

A network that speaks knows how long each of its letters is, and draws the noise of its sound, and neither can be seen
from outside. Both lie in tensors of its graph. The format is of protocol buffers, and little of it is needed here: a
`ModelProto` holds a `graph` (field 7), that holds a `node` (1) for each operation, `initializer` (5), `input` (11) and
`output` (12); a node holds the names of its `input` (1) and `output` (2) and its `op_type` (4).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetalk.errors import PATH, CheckpointError

NOISE = "noise"  # the input that replaces what a network draws: float32 [n], long enough
_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT = 7, 1, 5, 11, 12
_FLOAT, _INT64 = 1, 7  # ONNX's numbers of types
_DRAWS = "RandomNormalLike"


@dataclass(frozen=True, slots=True)
class Node:
    """An operation of a graph.

    Attributes:
        kind: Which.
        inputs: The tensors that it takes.
        outputs: Those that it makes.
        start: Where its field begins, in the bytes of the model.
        stop: Where it ends.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    start: int
    stop: int


def disable_telemetry() -> None:
    """Let ONNX Runtime tell its makers nothing of its use, and leave no file in the temporary folder for that.

    From version 1.32 on it does either as it is imported, so this comes before; whoever has set the variable decides.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def open_model(path: Path, lengths: Sequence[str]) -> tuple[Any, str]:
    """Load a model that says how long its letters are, and leaves it to who calls it to draw noise.

    Args:
        path: The ONNX file.
        lengths: The operations, one after another, of which the last one makes the lengths; they occur once.

    Returns:
        An `onnxruntime.InferenceSession`, with an input `NOISE` where the model drew some; and what the tensor of the
        lengths is called, which is one of the outputs; empty: there is none.

    Raises:
        CheckpointError: It is no ONNX model, or damaged.
    """
    disable_telemetry()
    import onnxruntime  # noqa: PLC0415 - takes 0.2 s

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        model = path.read_bytes()
        nodes = read_nodes(model)
        tensor = output_of(nodes, lengths)
        model = with_given_noise(model, nodes)
        if tensor and tensor not in read_outputs(model):
            model = with_output(model, tensor)
        session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        problem = f"{PATH} cannot be read ({error.strerror})"
        raise CheckpointError(problem, "make it readable", path=path) from error
    except Exception as error:  # the library has a class of its own for each of its states
        raise CheckpointError(f"{PATH} is no ONNX model, or damaged", path=path) from error
    return session, tensor


def read_nodes(model: bytes) -> tuple[Node, ...]:
    """Return the operations of a model, in order.

    Raises:
        ValueError: It is none, or cut off.
    """
    start, stop = _graph(model)
    nodes = list[Node]()
    for number, begins, content, ends in _fields(model, start, stop):
        if number == _NODE:
            texts: dict[int, list[str]] = {1: [], 2: [], 4: []}
            for part, _, first, last in _fields(model, content, ends):
                if part in texts:
                    texts[part].append(model[first:last].decode())
            nodes.append(Node("".join(texts[4]), tuple(texts[1]), tuple(texts[2]), begins, ends))
    return tuple(nodes)


def read_outputs(model: bytes) -> tuple[str, ...]:
    """Return what the outputs of a model are called.

    Raises:
        ValueError: It is none, or cut off.
    """
    names = list[str]()
    for number, _, content, ends in _fields(model, *_graph(model)):
        if number == _OUTPUT:
            names += [model[first:last].decode() for part, _, first, last in _fields(model, content, ends) if part == 1]
    return tuple(names)


def output_of(nodes: Sequence[Node], kinds: Sequence[str]) -> str:
    """Return the tensor that a chain of operations makes; empty: it does not occur, or several times."""
    made = {node.outputs[0] for node in nodes if node.kind == kinds[0] and node.outputs}
    for kind in kinds[1:]:
        made = {node.outputs[0] for node in nodes if node.kind == kind and made & set(node.inputs)}
    return made.pop() if len(made) == 1 else ""


def with_output(model: bytes, tensor: str) -> bytes:
    """Return an ONNX model that also returns one of its inner tensors.

    Messages of protocol buffers can be put one behind the other: fields that may be there once are merged, lists are
    joined. So a `ModelProto` that holds nothing but a `graph` with one `output` of a `name` adds it.
    """
    return model + _field(_GRAPH, _field(_OUTPUT, _field(1, tensor.encode())))


def with_given_noise(model: bytes, nodes: Sequence[Node]) -> bytes:
    """Return a model that takes the noise that it would draw as an input, `NOISE`; as it is where it draws none.

    What a network draws itself goes on from call to call, so that no text would sound the same twice. Each draw takes
    as much from the beginning of the input as it needs.
    """
    draws = [node for node in nodes if node.kind == _DRAWS]
    if not draws:
        return model
    start, stop = _graph(model)
    graph, at = list[bytes](), start
    for node in draws:
        graph += [model[at : node.start], _taken(node)]
        at = node.stop
    zero = _number(1, 1) + _number(2, _INT64) + _field(8, b"noise/zero") + _field(9, bytes(8))
    shape = _field(2, _field(1, _field(2, b"noise_length")))
    given = _field(1, NOISE.encode()) + _field(2, _field(1, _number(1, _FLOAT) + shape))
    graph += [model[at:stop], _field(_INITIALIZER, zero), _field(_INPUT, given)]
    before = next(begins for number, begins, _, _ in _fields(model, 0, len(model)) if number == _GRAPH)
    return b"".join([model[:before], _field(_GRAPH, b"".join(graph)), model[stop:]])


def _taken(node: Node) -> bytes:
    """Return nodes that make what a draw made: the beginning of the noise, in the shape of what it draws like."""
    like, made = node.inputs[0], node.outputs[0]
    steps = (
        ("Shape", (like,), f"{made}/shape"),
        ("ReduceProd", (f"{made}/shape",), f"{made}/count"),
        ("Slice", (NOISE, "noise/zero", f"{made}/count"), f"{made}/part"),
        ("Reshape", (f"{made}/part", f"{made}/shape"), made),
    )
    nodes = list[bytes]()
    for kind, inputs, output in steps:
        ends = [*(_field(1, name.encode()) for name in inputs), _field(2, output.encode())]
        nodes.append(_field(_NODE, b"".join(ends) + _field(4, kind.encode())))
    return b"".join(nodes)


def _graph(model: bytes) -> tuple[int, int]:
    found = [(content, ends) for number, _, content, ends in _fields(model, 0, len(model)) if number == _GRAPH]
    if len(found) != 1:
        raise ValueError("there is not one graph in it")
    return found[0]


def _fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of a message: number, where it begins, where its content does, and where it ends."""
    at = start
    while at < stop:
        begins = at
        tag, at = _read_varint(data, at, stop)
        content, wire = at, tag & 7
        if wire == 0:
            _, at = _read_varint(data, at, stop)
        elif wire == 2:
            length, content = _read_varint(data, at, stop)
            at = content + length
        elif wire in {1, 5}:
            at += 8 if wire == 1 else 4
        else:
            raise ValueError("it has a field of no known kind")
        if at > stop:
            raise ValueError("it is cut off")
        yield tag >> 3, begins, content, at


def _read_varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while at < stop and shift < 64:
        digit = data[at]
        value |= (digit & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if digit < 0x80:
            return value, at
    raise ValueError("it is cut off")


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content  # 2: of a stated length


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
