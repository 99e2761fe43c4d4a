"""What LatentSync's network takes when it is loaded and paints one clip, then many; run by `hybrid`.

python -m benchmarks.hybrid_memory MODELS SIDE LONG_SIDE
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.hybrid_work import CLIP, FOLDER, LONG, random_conditions
from benchmarks.networks_memory import Memory
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.sampler import PUBLISHED
from hybrid.unet3d.loading import place_unet3d
from musetalk.runtime.device import choose_compute


def main() -> None:
    """Measure; write JSON to stdout: peak bytes, resident and without files, of each phase."""
    import diffusers.models  # noqa: F401, PLC0415 - so that "start" holds what imports take

    torch.set_num_threads(os.cpu_count() or 1)
    models, side, long_side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    compute = choose_compute("cpu")
    step = replace(PUBLISHED, steps=1)
    alone, both = replace(step, guidance=1), step
    # Short before long: memory that the allocator keeps of a large phase must not hide a later one.
    phases = [
        (f"{CLIP} frames of {long_side} pixels", CLIP, long_side, alone),
        (f"{LONG} frames of {long_side} pixels", LONG, long_side, alone),
        (f"{LONG} more", LONG, long_side, alone),
        (f"{CLIP} frames of {side} pixels, guidance 1", CLIP, side, alone),
        (f"{CLIP} frames of {side} pixels, guided", CLIP, side, both),
    ]
    with Memory() as memory, torch.inference_mode():
        memory.phase = "load"
        unet = place_unet3d(models / FOLDER, compute)
        for name, frames, pixels, sampling in phases:
            memory.phase = name
            LatentSyncDenoiser(unet, compute, sampling).paint(*random_conditions(frames, pixels, compute))
    weights = sum(tensor.nbytes for tensor in unet.state_dict().values())
    names = ("load", *(name for name, *_ in phases))
    found = {name: (memory.resident[name], memory.own[name]) for name in names}
    sys.stdout.write(json.dumps({"weights": weights, "peaks": found}))


if __name__ == "__main__":
    main()
