"""Watches what networks are given and what they return, from outside: whatever loads and calls them, none can hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

NetworkKind: TypeAlias = Literal["encoder", "unet", "unet3d"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a network.

    Attributes:
        network: "encoder": Stable Diffusion's; "unet": MuseTalk's; "unet3d": LatentSync's.
        sample: Pictures, float [N, 3, S, S], or latents, float [N, c, h, w] or [b, c, f, h, w].
        timestep: Of the two that have one; None: the encoder.
        audio: What it heard, float [N, 50, 384]; None: the encoder.
        finite: Whether all that it returned are numbers.
    """

    network: NetworkKind
    sample: torch.Tensor
    timestep: int | None
    audio: torch.Tensor | None
    finite: bool


@contextmanager
def watched() -> Iterator[list[Call]]:
    """A list that fills with the calls of these networks while the `with` block runs, in order."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415 - slow to import
    from diffusers.models.autoencoders.vae import Encoder  # noqa: PLC0415

    from hybrid.unet3d.unet import UNet3D  # noqa: PLC0415

    calls: list[Call] = []

    def look(module: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any], returned: Any) -> None:  # noqa: ANN401
        if isinstance(module, Encoder):
            calls.append(Call("encoder", _kept(given[0]), None, None, _finite(returned)))
        elif isinstance(module, UNet2DConditionModel):
            audio = named["encoder_hidden_states"]
            calls.append(Call("unet", _kept(given[0]), int(given[1]), _kept(audio), _finite(returned[0])))
        elif isinstance(module, UNet3D):
            calls.append(Call("unet3d", _kept(given[0]), int(given[1]), _kept(given[2]), _finite(returned)))

    handle = torch.nn.modules.module.register_module_forward_hook(look, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()
        # torch keeps this of a hook that is gone, and warns of it wherever a network is compiled from then on.
        torch.nn.modules.module._global_forward_hooks_with_kwargs.pop(handle.id, None)


def _kept(values: torch.Tensor) -> torch.Tensor:
    return values.detach().to("cpu", torch.float32)


def _finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())
