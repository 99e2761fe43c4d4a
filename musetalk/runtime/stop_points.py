"""Networks that end in the middle of a call: on a CPU one call takes seconds, or minutes."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from musetalk.utils.stopping import stop_point

_Module = TypeVar("_Module", bound=nn.Module)


def with_stop_points(network: _Module) -> _Module:
    """Let a network look before each of its layers whether the work is to end; see `stopping.stop_point`.

    Some microseconds a layer. Compiled networks do not look: Python does not run between their layers. Nor do networks
    on a GPU: its layers take microseconds, too, and Python is ahead of them, so that looking would slow it down and end
    nothing. Whoever works with one looks between its calls.

    Args:
        network: Placed where it is to run.
    """
    if any(values.device.type != "cpu" for values in network.parameters()):
        return network
    for module in network.modules():
        if not any(True for _ in module.children()):
            module.register_forward_pre_hook(_look)
    return network


def _look(_module: nn.Module, _inputs: object) -> None:
    if not torch.compiler.is_compiling():
        stop_point()
