"""Sinusoidal positional encoding."""

from __future__ import annotations

import math

import torch


def position_table(steps: int, channels: int) -> torch.Tensor:
    """Sinusoidal positions, float32 [steps, channels]: sine in even columns, cosine in odd (Vaswani et al. 2017)."""
    position = torch.arange(steps, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, channels, 2, dtype=torch.float32) * (-math.log(10000.0) / channels))
    table = torch.empty(steps, channels)
    table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
    return table
