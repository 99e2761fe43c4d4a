"""Watches what networks are given and whether they return numbers, from outside: whatever calls them, none can hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from musetalk.backends.check import NetworkCall


@contextmanager
def watched(networks: Mapping[str, nn.Module]) -> Iterator[list[NetworkCall]]:
    """A list that fills with the calls of some networks while the `with` block runs, in order.

    Args:
        networks: By name.
    """
    calls: list[NetworkCall] = []
    with ExitStack() as hooks:
        for name, network in networks.items():
            hook = network.register_forward_hook(_noting(name, calls), with_kwargs=True)
            hooks.callback(hook.remove)
        yield calls


def _noting(name: str, calls: list[NetworkCall]) -> Any:  # noqa: ANN401 - a hook, which torch does not type
    def note(_module: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any], returned: Any) -> None:  # noqa: ANN401
        tensors = [value for value in (*given, *named.values()) if isinstance(value, torch.Tensor)]
        result = returned[0] if isinstance(returned, tuple) else returned
        kept = tuple(tensor.detach().to("cpu", torch.float32) for tensor in tensors)
        calls.append(NetworkCall(name, kept, bool(torch.isfinite(result).all())))

    return note
