"""Checks that autoencoder and audio features get and give what they were trained on."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from musetalk.backends.check import Finding, WatchedClip, judged
from musetalk.backends.latent.generator import LatentGenerator
from musetalk.backends.types import FaceGenerator

ENCODER = "encoder"
_Denoiser = TypeVar("_Denoiser")
_CLOSE = 2e-2  # of values around 1: what half precision leaves of them, twice over


def networks_of(generator: FaceGenerator, kind: type[_Denoiser]) -> tuple[nn.Module, _Denoiser]:
    """Return a latent generator's encoder network, and its denoiser.

    Args:
        generator: The generator.
        kind: Of its denoiser.

    Raises:
        TypeError: It is no latent generator, or its denoiser is another.
    """
    if not isinstance(generator, LatentGenerator) or not isinstance(generator.denoiser, kind):
        raise TypeError(f"{type(generator).__name__} is no latent generator with a {kind.__name__}")
    return generator.encoder.network, generator.denoiser


def encoded_finding(clip: WatchedClip, hidden: torch.Tensor, value: float, how: str) -> Finding:
    """Return whether the encoder saw each frame twice, once with what is to be painted hidden.

    Args:
        clip: What was painted.
        hidden: bool [S, S], the pixels of a crop that are hidden.
        value: What they become, from -1 to 1.
        how: The same, for people.
    """
    frames, size = clip.crops.shape[:2]
    shown = [picture for call in clip.calls if call.network == ENCODER for picture in call.given[0]]
    masked = sum(bool((picture[:, hidden] == value).all()) for picture in shown if picture.shape[-1] == size)
    problems = [] if (len(shown), masked) == (2 * frames, frames) else [f"expected {frames} of each kind"]
    return judged("encoded", f"{masked} crops with the {how}, {len(shown) - masked} whole", problems)


def unlike(heard: torch.Tensor, wanted: torch.Tensor, what: str) -> list[str]:
    """Return what is wrong with a network's audio features; empty: nothing."""
    if heard.shape == wanted.shape and torch.allclose(heard, wanted, rtol=_CLOSE, atol=_CLOSE):
        return []
    return [f"it is not the {what}"]
