"""What the machine is, how quickly it multiplies, and how quickly it copies."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.common import machine
from benchmarks.flops import Stopwatch, matmul_rate
from benchmarks.gpu.device import device_title, exact_floats
from benchmarks.gpu.part import Task
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.pipeline.report import versions

_NUMBERS: tuple[tuple[str, torch.dtype, bool], ...] = (
    ("fp32", torch.float32, True),
    ("TF32", torch.float32, False),
    ("fp16", torch.float16, True),
    ("bf16", torch.bfloat16, True),
)
_QUERY = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,driver_version,power.limit,clocks.max.sm",
    "--format=csv,noheader",
)


def measure(task: Task) -> None:
    """Look, multiply and copy."""
    findings = task.findings
    findings.attempt("the machine's parts", partial(_parts, task))
    findings.attempt("matrix products", partial(_products, task))
    findings.attempt("copies", partial(_copies, task))


def _parts(task: Task) -> None:
    findings, device = task.findings, task.device
    findings.head("what", "")
    findings.row("card", device_title(device))
    if device.type == "cuda":
        sizes = torch.cuda.get_device_properties(device)
        findings.row("memory", f"{sizes.total_memory / 1e9:.1f} GB")
        findings.row(
            "multiprocessors", f"{sizes.multi_processor_count}, compute capability {sizes.major}.{sizes.minor}"
        )
        findings.row("nvidia-smi", _said(*_QUERY))
        cudnn: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        findings.row("cuDNN", cudnn)
    findings.row("CUDA of torch", torch.version.cuda)
    findings.row("machine", f"{machine()}, {platform.release()}")
    for name, version in versions().items():
        findings.row(name, version)
    for what, option in (("encoders", "h264_nvenc"), ("hwaccels", "cuda")):
        has = option in _said(ffmpeg_executable(), "-hide_banner", f"-{what}").split()
        findings.row(f"ffmpeg: {option}", "built in" if has else "not built in")


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"cannot be asked ({type(error).__name__})"


def _products(task: Task) -> None:
    """Rates of the best of some large products, on random values."""
    watch, sides = Stopwatch(1 if task.smoke else 10, task.device), (64,) if task.smoke else ()
    task.findings.head("numbers", "matrix products, TFLOP/s")
    for name, dtype, exact in _NUMBERS:
        with exact_floats(wanted=exact):
            task.findings.row(name, f"{matmul_rate(watch, dtype, sides) / 1e12:.3g}")


def _copies(task: Task) -> None:
    """Rates of copies up and down: of one clip's crops, and of a large block."""
    on_gpu = task.device.type == "cuda"
    watch = Stopwatch(10 if on_gpu else 1, task.device)
    clip, block = 16 * 256 * 256 * 3, 2**28 if on_gpu else 2**20
    task.findings.head("copy", "one clip's crops (3 MB), GB/s", "a large block, GB/s")
    for name in ("up", "up, pinned", "down", "down, pinned", "on the card"):
        rates = (_copy_rate(name, size, task.device, watch) for size in (clip, block))
        task.findings.row(name, *(f"{rate / 1e9:.2f}" for rate in rates))


def _copy_rate(name: str, size: int, device: torch.device, watch: Stopwatch) -> float:
    """Bytes a second."""
    here = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    if name.endswith("pinned") and device.type == "cuda":
        here = here.pin_memory()
    there, other = here.to(device), torch.empty(size, dtype=torch.uint8, device=device)
    works: dict[str, Callable[[], object]] = {
        "up": lambda: there.copy_(here, non_blocking=True),
        "down": lambda: here.copy_(there, non_blocking=True),
        "on the card": lambda: other.copy_(there),
    }
    return size / max(watch.warm_seconds(works[name.removesuffix(", pinned")]), 1e-9)
