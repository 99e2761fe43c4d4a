"""Weights are never resident twice, once in their file's mapping and once in the network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from musetalk.runtime.checkpoint import fill, load_state_dict

LAYERS, SIDE = 8, 512


def resident(path: Path) -> int:
    """Bytes of a file that this process's mappings hold in memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("name", "save"), [("net.pth", torch.save), ("net.safetensors", save_file)])
def test_pages_are_given_back_once_copied(name: str, save: Callable[[object, Path], None], tmp_path: Path) -> None:
    path = tmp_path / name
    values = {f"{layer}.weight": torch.randn(SIDE, SIDE) for layer in range(LAYERS)}
    save(values, path)
    with torch.device("meta"):
        network = torch.nn.Sequential(*(torch.nn.Linear(SIDE, SIDE, bias=False) for _ in range(LAYERS)))
    state = load_state_dict(path)
    assert sum(float(value.sum()) for value in state.values()) != 0  # all of it has been read
    assert resident(path) > LAYERS * SIDE * SIDE * 4 / 2
    fill(network, state, path)
    assert resident(path) < SIDE * SIDE * 4
    for key, value in values.items():
        assert torch.equal(network.state_dict()[key], value)
        assert torch.equal(state[key], value)  # read again from the file


def test_memory_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    own = {"weight": torch.randn(SIDE, SIDE)}
    torch.save(own, path)
    kept = own["weight"].clone()
    fill(torch.nn.Linear(SIDE, SIDE, bias=False), own, path)
    assert torch.equal(own["weight"], kept)
