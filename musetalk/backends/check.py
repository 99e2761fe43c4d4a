"""What a backend provides for the doctor: which networks to watch, and how to judge their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from musetalk.backends.types import FaceGenerator
from musetalk.utils.arrays import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what was found.

    Attributes:
        name: What was looked at.
        said: What was seen.
        failed: Whether that is wrong.
    """

    name: str
    said: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class NetworkCall:
    """One call of a network.

    Attributes:
        network: Which, as the backend names it.
        given: The tensors it was called with, in their order: float32, on the CPU.
        finite: Whether all that it returned is finite.
    """

    network: str
    given: tuple[torch.Tensor, ...]
    finite: bool


@dataclass(frozen=True, slots=True)
class WatchedClip:
    """What was painted while the networks were watched.

    Attributes:
        calls: Of all of them, in order.
        crops: uint8 RGB [N, S, S, 3], what was to be repainted.
        speech: float32 [N, ...], what it was to be spoken with.
        options: What the generator was loaded with: the backend's own part of the settings.
    """

    calls: Sequence[NetworkCall]
    crops: UInt8Array
    speech: Float32Array
    options: Any


class BackendCheck(Protocol):
    """What a backend's networks are held to."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings, as plain values, with which painting a clip of 16 frames takes seconds."""
        ...

    def networks(self, generator: FaceGenerator) -> Mapping[str, nn.Module]:
        """Return the networks to watch, by name."""
        ...

    def findings(self, clip: WatchedClip) -> Sequence[Finding]:
        """Return what the networks were given, held against what they were trained on."""
        ...


def judged(name: str, said: str, problems: Sequence[str]) -> Finding:
    """Return a line that is wrong where there are problems, and then names them, too."""
    return Finding(name, "; ".join([*problems, said]) if problems else said, bool(problems))


def shape_of(values: object) -> str:
    """Return the shape of an array or a tensor, for people: "[16, 256, 256, 3]"."""
    return str(list(getattr(values, "shape", ())))


def counted(number: int, what: str) -> str:
    """Return a number of things, for people: "1 call", "2 calls"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
