"""How much Stable Diffusion's autoencoder computes for a frame, counted by benchmarks/ (networks.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# GFLOP a picture of 256 pixels.
ENCODE = 545.4
DECODE: Mapping[str, float] = MappingProxyType({"sd": 527.7, "tiny": 21.5})  # by network.decoder
LARGE = 4.0  # times as much at 512 pixels
