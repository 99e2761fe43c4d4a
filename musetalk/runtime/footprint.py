"""How much memory networks take: what lies in tensors of whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import isroutine

import torch
from torch import nn

_DEEPEST = 6  # objects in one another: a generator, its denoiser, that one's network


def tensor_bytes(thing: object) -> int:
    """Return how many bytes the tensors take that an object holds, itself or in what it is made of; each once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in _tensors(thing, set(), 0)
    }
    return sum(storages.values())


def _tensors(thing: object, seen: set[int], depth: int) -> Iterator[torch.Tensor]:
    if id(thing) in seen or depth > _DEEPEST:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, nn.Module):
        yield from thing.parameters()
        yield from thing.buffers()
    else:
        for part in _parts(thing):
            yield from _tensors(part, seen, depth + 1)


def _parts(thing: object) -> Iterable[object]:
    """Return what an object is made of, as far as that is said by containers and attributes."""
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple)):
        return thing
    if isinstance(thing, type) or isroutine(thing):
        return ()
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(thing, name)]
    return [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name) for name in slots)]
