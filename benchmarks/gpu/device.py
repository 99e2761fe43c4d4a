"""What the parts ask of a GPU, and what stands for it on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch

from benchmarks.flops import Work
from musetalk.runtime.device import is_out_of_memory, release_memory

_WARM_UPS = 3  # before a graph is recorded: libraries choose kernels first, and take their own memory


def captured(work: Work, device: torch.device) -> Work:
    """Record what some work launches, as one CUDA graph; what is returned launches it again, on the same values.

    On a CPU the work itself.
    """
    if device.type == "cpu":
        return work
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        for _ in range(_WARM_UPS):
            work()
    torch.cuda.current_stream(device).wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def device_title(device: torch.device) -> str:
    """What it is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def memory_of(device: torch.device) -> dict[str, float]:
    """GB: what torch has allocated there and keeps, at their peaks too; on a CPU nothing; and this process."""
    own = {"process": psutil.Process().memory_info().rss / 1e9}
    if device.type == "cpu":
        return {"allocated": 0.0, "peak": 0.0, "kept": 0.0, **own}
    return {
        "allocated": torch.cuda.memory_allocated(device) / 1e9,
        "peak": torch.cuda.max_memory_allocated(device) / 1e9,
        "kept": torch.cuda.memory_reserved(device) / 1e9,
        **own,
    }


def forget_peaks(device: torch.device) -> None:
    """Let peaks count from here."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


@contextmanager
def exact_floats(*, wanted: bool = True) -> Iterator[None]:
    """Let float32 be multiplied as such while the `with` block runs, or, unwanted, as TF32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    _multiply("highest" if wanted else "high", tf32=not wanted)
    try:
        yield
    finally:
        _multiply(before[0], tf32=before[1])


def _multiply(precision: str, *, tf32: bool) -> None:
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32


def fits(work: Callable[[], float]) -> float | None:
    """What some work returns; None: memory ran out."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Out here what it held is gone.
    release_memory()
    return None
