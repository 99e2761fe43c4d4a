"""How quickly this machine computes, and in which numbers: measured once, in a moment."""

from __future__ import annotations

import functools
import statistics
import threading
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import torch

CpuNumbers: TypeAlias = Literal["fp32", "bf16"]

_ROUNDS = 24  # the best one counts
_SIDE_ON_CPU, _SIDE_ON_GPU = 512, 4096  # on the CPU so short that other work does not fall into each of them
_BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")  # as `torch.cpu.get_capabilities` calls them
_INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni")  # those that add up without clipping in between
_INT8_OPERATIONS = ("qconv2d_pointwise", "qlinear_pointwise")  # of oneDNN, as torch calls them
_SIDE_OF_PAIRS, _PAIRS = 768, 15
_WORTH_DIGITS = 1.3  # times as quick as float32 that bfloat16, which has 8 bits for its digits, has to be


_measuring = threading.RLock()  # for all of the process: two threads that measure at once find each half the machine


def matmul_rate(device: str = "auto") -> float:
    """GFLOP/s in large matrix products, in the numbers that networks run with here: fp16 on a GPU, else `cpu_numbers`.

    Args:
        device: As settings name it; "auto": a GPU where there is one.
    """
    with _measuring:
        return _measured_rate(device)


def cpu_numbers() -> CpuNumbers:
    """Return which numbers networks are quickest in on this CPU, where that is worth the digits.

    bfloat16 is tried where the processor says that it multiplies it. Whether it gains is measured: with AMX, and on
    AMD's processors, it is about twice as quick as float32; on Intel's that have AVX-512 BF16 alone, half as quick.
    """
    with _measuring:
        return _measured_numbers()


@functools.cache
def _measured_rate(device: str) -> float:
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    if device != "cpu" and torch.cuda.is_available():
        return _rate("cuda", torch.float16, _SIDE_ON_GPU)
    return _rate("cpu", torch.bfloat16 if cpu_numbers() == "bf16" else torch.float32, _SIDE_ON_CPU)


@functools.cache
def _measured_numbers() -> CpuNumbers:
    return "bf16" if multiplies_bf16() and _gain_by_bf16() >= _WORTH_DIGITS else "fp32"


def multiplies_bf16() -> bool:
    """Return whether the processor has instructions that multiply bfloat16, as far as torch can tell."""
    return _has_one_of(_BF16_INSTRUCTIONS)


def multiplies_int8() -> bool:
    """Return whether the processor has instructions that multiply int8, and torch what uses them, as far as it says."""
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    return _has_one_of(_INT8_INSTRUCTIONS) and all(hasattr(torch.ops.onednn, name) for name in _INT8_OPERATIONS)


def _has_one_of(instructions: tuple[str, ...]) -> bool:
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    ask = getattr(torch.cpu, "get_capabilities", None)  # not every torch has it
    return ask is not None and any(ask().get(name, False) for name in instructions)


def _gain_by_bf16() -> float:
    """How many times as quick as float32 bfloat16 is: the median of pairs of products that follow each other.

    Where other programs have the processor, that comes nearer to 1, and does not change sides.
    """
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    exact = torch.rand(_SIDE_OF_PAIRS, _SIDE_OF_PAIRS)
    short = exact.bfloat16()
    return statistics.median(_product_seconds(exact) / _product_seconds(short) for _ in range(_PAIRS))


def _rate(device: str, dtype: torch.dtype, side: int) -> float:
    """GFLOP/s of the best of some products of two square matrices."""
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    left = torch.rand(side, side, device=device).to(dtype)
    return 2 * side**3 / min(_product_seconds(left) for _ in range(_ROUNDS)) / 1e9


def _product_seconds(left: torch.Tensor) -> float:
    import torch  # noqa: PLC0415 - slow to import, and only where a network is asked for

    with torch.inference_mode():
        started = time.perf_counter()
        product = left @ left
        product[0, 0].item()  # waits for it
        return max(time.perf_counter() - started, 1e-9)
