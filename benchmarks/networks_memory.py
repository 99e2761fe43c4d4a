"""What the real generator takes when it is loaded from files and shown the same crops twice; run by `networks`.

python -m benchmarks.networks_memory MODELS
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
import psutil
import torch

from benchmarks.flops import count_flop
from musetalk.backends.musetalk.generator import load_musetalk
from musetalk.backends.types import Clip
from musetalk.runtime.device import choose_compute

FRAMES = 8


class Memory:
    """Samples this process while it is entered.

    Attributes:
        phase: What is going on; set by whoever does it.
        resident: Most resident bytes of each phase.
        own: The same without pages of files, which the system takes back when it needs them.
    """

    def __init__(self) -> None:
        self.phase = "start"
        self.resident: Counter[str] = Counter()
        self.own: Counter[str] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(0.01):
            info, phase = process.memory_info(), self.phase
            self.resident[phase] = max(self.resident[phase], info.rss)
            self.own[phase] = max(self.own[phase], info.rss - getattr(info, "shared", 0))


def main() -> None:
    """Measure; write JSON to stdout."""
    import diffusers.models  # noqa: F401, PLC0415 - so that "start" holds what imports take

    torch.set_num_threads(os.cpu_count() or 1)
    models, random = Path(sys.argv[1]), np.random.default_rng(0)
    crops = random.integers(0, 256, (FRAMES, 256, 256, 3), dtype=np.uint8)
    flop = []
    with Memory() as memory:
        memory.phase = "load"
        generator = load_musetalk(models, "v15", choose_compute("cpu"))
        memory.phase = "generate"
        for _ in range(2):
            speech = random.standard_normal((FRAMES, 50, 384)).astype(np.float32)
            flop.append(count_flop(partial(generator.generate, Clip(crops, speech, ()))) / FRAMES)
    files = ("musetalkV15/unet.pth", "sd-vae/diffusion_pytorch_model.bin")
    weights = sum((models / name).stat().st_size for name in files)
    found = {"weights": weights, "resident": memory.resident, "own": memory.own, "first": flop[0], "again": flop[1]}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
