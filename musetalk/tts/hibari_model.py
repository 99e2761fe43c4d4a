"""Hibari's network, which is asked for the length of every phoneme besides the sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.utils.arrays import Float32Array

DURATIONS = "/Clip_output_0"  # the tensor in the graph of hibari-tts 0.2.1: a phoneme's length in units, pads included
UNIT = 600  # samples, 25 ms
# What is heard begins so many units earlier than the lengths add up to, as with Kokoro, from which the network learned.
LEAD = 3


class HibariModel:
    """Makes the spectra of a sentence, and says how long each phoneme is.

    Args:
        path: The ONNX file.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - takes 0.2 s

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = with_output(path.read_bytes(), DURATIONS)
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, ids: Sequence[int], speed: float) -> tuple[list[Float32Array], Float32Array]:
        """Return what `hibari.dsp.synth` takes, and the lengths.

        Args:
            ids: Of phonemes, with a 0 at both ends.
            speed: 1: as usual; larger: faster.

        Returns:
            Five spectra float32 [601, F] and the pitch float32 [F]; and float32 [len(ids)], units, whole numbers that
            add up to F / 2.
        """
        given = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *sound, lengths = self._session.run(None, given)
        return [each[0] for each in sound], lengths


def with_output(model: bytes, tensor: str) -> bytes:
    """Return an ONNX model that also returns one of its inner tensors.

    Messages of protocol buffers can be put one behind the other: fields that may be there once are merged, lists are
    joined. So a `ModelProto` that holds nothing but a `graph` (field 7) with one `output` (12) of a `name` (1) adds it.
    """
    return model + _field(7, _field(12, _field(1, tensor.encode())))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content  # 2: of a stated length


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
