"""How quickly this machine computes: measured once, in a moment."""

from __future__ import annotations

import functools
import time

_ROUNDS = 24  # the best one counts
_SIDE_ON_CPU, _SIDE_ON_GPU = 512, 4096  # on the CPU so short that other work does not fall into each of them


@functools.cache
def matmul_rate(device: str = "auto") -> float:
    """GFLOP/s in large matrix products, in the numbers that networks run with here: fp16 on a GPU, fp32 on the CPU.

    Args:
        device: As settings name it; "auto": a GPU where there is one.
    """
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    on_gpu = device != "cpu" and torch.cuda.is_available()
    side = _SIDE_ON_GPU if on_gpu else _SIDE_ON_CPU
    device, dtype = ("cuda", torch.float16) if on_gpu else ("cpu", torch.float32)
    with torch.inference_mode():
        left = torch.rand(side, side, device=device, dtype=dtype)
        best = float("inf")
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            product = left @ left
            product[0, 0].item()  # waits for it
            best = min(best, time.perf_counter() - started)
    return 2 * side**3 / max(best, 1e-6) / 1e9
