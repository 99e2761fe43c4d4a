"""Deterministic weights for comparing two implementations of one network.

The real checkpoints cannot be shipped, so a network is proved compatible by
filling the reference module and our module with the same tensors and comparing
their outputs. Only the *names* and *shapes* of a state dict are needed: every
tensor follows from ``(seed, key, shape)`` alone, independent of the order of
the keys, of the module that owns them and of the platform.

Needs numpy and torch only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch

__all__ = ["fill_state_dict", "shapes_of"]

#: Last part of the name of a buffer that a module computes by itself (the
#: sinusoidal tables of both projects). Such a buffer is never drawn.
COMPUTED_BUFFERS = frozenset({"pe"})


def fill_state_dict(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Draw a tensor for every key of a state dict.

    For each key, standard normals ``n`` (float32) are drawn from
    ``numpy.random.Generator(PCG64(s))`` where ``s`` is the little-endian integer
    of the first 8 bytes of ``sha256("{seed}:{key}")``. They are then scaled by
    the first rule that fits the last dotted part of the key ("name") so that
    activations stay near unit size in deep networks:

    ==============================  ========================================
    name ``num_batches_tracked``    zeros, int64 (nothing is drawn)
    name ``running_mean``           ``0.1 * n``
    name ``running_var``            ``1 + 0.1 * |n|``
    name ends with ``bias``         ``0.05 * n`` (any number of dimensions)
    name ends with ``weight``, 1-D  ``1 + 0.1 * n`` (norm scales, gains)
    name ends with ``weight``       ``n / sqrt(prod(shape[1:]))``
    anything else                   ``n`` (stored noise, network inputs)
    ==============================  ========================================

    The last rule makes the function a source of network inputs, too:
    ``fill_state_dict({"audio": (32, 50, 384)}, seed)["audio"]`` is plain
    standard-normal noise that need not be stored.

    Args:
        shapes: key -> shape, e.g. from :func:`shapes_of`. Leave out buffers that
            the module computes by itself (positional tables): those keep the
            values with which the module was built.
        seed: any integer; a golden file states the one it was made with.

    Returns:
        key -> contiguous CPU tensor, float32 except ``num_batches_tracked``, in
        sorted key order.
    """
    filled: dict[str, torch.Tensor] = {}
    for key in sorted(shapes):
        shape = tuple(int(n) for n in shapes[key])
        name = key.rpartition(".")[2]
        if name == "num_batches_tracked":
            filled[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))
        n = generator.standard_normal(shape, dtype=np.float32)
        if name == "running_mean":
            values = n * np.float32(0.1)
        elif name == "running_var":
            values = np.float32(1) + np.float32(0.1) * np.abs(n)
        elif name.endswith("bias"):
            values = n * np.float32(0.05)
        elif name.endswith("weight") and len(shape) == 1:
            values = np.float32(1) + np.float32(0.1) * n
        elif name.endswith("weight"):
            values = n * np.float32(1 / math.sqrt(math.prod(shape[1:])))
        else:
            values = n
        filled[key] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return filled


def shapes_of(state_dict: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes of a state dict as :func:`fill_state_dict` takes them.

    Buffers that a module computes by itself (last dotted part of the key in
    ``COMPUTED_BUFFERS``) are left out. Load the result with ``strict=False``
    and check that nothing else is missing.
    """
    return {
        key: tuple(value.shape) for key, value in state_dict.items() if key.rpartition(".")[2] not in COMPUTED_BUFFERS
    }
