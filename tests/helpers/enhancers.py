"""Small enhancers in a published format: networks that spandrel knows as "compact", and that do as they are told."""

from __future__ import annotations

from pathlib import Path

import torch

_FEATURES = 4


def write_enhancer(path: Path, added: float = 0.0, *, sharpen: float = 0.0, scale: int = 1) -> Path:
    """Write one that adds a constant to its pictures, in parts of the range from 0 to 1 (NaN: that fails), or sharpens.

    Such networks add what they make to their input, so that where their last layer's weights are 0 no more comes of it.
    """
    out = 3 * scale * scale
    state = {
        "body.0.weight": torch.zeros(_FEATURES, 3, 3, 3),
        "body.0.bias": torch.zeros(_FEATURES),
        "body.1.weight": torch.zeros(_FEATURES),
        "body.2.weight": torch.zeros(_FEATURES, _FEATURES, 3, 3),
        "body.2.bias": torch.zeros(_FEATURES),
        "body.3.weight": torch.zeros(_FEATURES),
        "body.4.weight": torch.zeros(out, _FEATURES, 3, 3),
        "body.4.bias": torch.full((out,), added),
    }
    if sharpen:
        for name in ("body.1.weight", "body.3.weight"):
            state[name].fill_(1.0)  # no rectifying: the network is linear
        for channel in range(3):
            for name in ("body.0.weight", "body.2.weight"):
                state[name][channel, channel, 1, 1] = 1.0
            own = state["body.4.weight"][channel * scale * scale : (channel + 1) * scale * scale, channel]
            own -= sharpen / 9
            own[:, 1, 1] += sharpen
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params": state}, path)
    return path
