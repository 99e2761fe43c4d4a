"""Networks filled with weights for trained ones, which follow from their names (see `tests/golden/fill.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

from musetalk.runtime.device import Compute
from musetalk.runtime.speed import multiplies_int8
from tests.golden.fill import fill_state_dict, shapes_of
from tests.golden.read import Golden

CPU = Compute(torch.device("cpu"), torch.float32)
INT8 = Compute(torch.device("cpu"), torch.float32, int8=True)
needs_int8 = pytest.mark.skipif(not multiplies_int8(), reason="this processor does not multiply int8")

State = dict[str, torch.Tensor]
Network = TypeVar("Network", bound=torch.nn.Module)


def state_for(network: torch.nn.Module, seed: int) -> State:
    """Weights for every tensor of a network."""
    return fill_state_dict(shapes_of(network.state_dict()), seed)


def filled(network: Network, seed: int) -> Network:
    """The network with such weights, ready to run on the CPU."""
    network.load_state_dict(state_for(network, seed))
    return CPU.place(network)


def golden_state(golden: Golden) -> State:
    """The weights that upstream's network had, by the names of its checkpoint."""
    return fill_state_dict(golden["meta"]["state_dict"], golden["meta"]["fill_seed"])


def holding(build: Callable[[], Network], weights: State) -> Network:
    """A network of these very tensors, ready to run."""
    network = _on_meta(build)
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def shapes_by_name(build: Callable[[], torch.nn.Module]) -> dict[str, list[int]]:
    """Shapes of a network's tensors, as golden files list them."""
    return {name: list(value.shape) for name, value in _on_meta(build).state_dict().items()}


def halved(weights: State) -> State:
    """What lean copies in half precision keep of weights, in single precision again."""
    return {name: value.half().float() if value.ndim > 1 else value for name, value in weights.items()}


def _on_meta(build: Callable[[], Network]) -> Network:
    with torch.device("meta"):  # no values are drawn that would be thrown away
        return build()
