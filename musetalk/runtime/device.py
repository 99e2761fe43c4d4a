"""What networks run on: the device, the number type, and how many frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psutil
import torch
from torch import nn

from musetalk.errors import DeviceError, OutOfMemoryError
from musetalk.runtime.speed import cpu_numbers, multiplies_int8
from musetalk.runtime.stop_points import with_stop_points

_T = TypeVar("_T")
_Module = TypeVar("_Module", bound=nn.Module)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_SHARE_OF_FREE = 0.5  # of the free memory that one batch may take: others use the device, and peaks are estimates
LESS_MEMORY = "close other programs, or choose a backend that needs less"  # what to do where it runs out
# How torch words a failed allocation where it raises a plain RuntimeError: its CPU allocator, cuBLAS, and cuDNN before
# version 9 and since.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")


@dataclass(frozen=True, slots=True)
class Compute:
    """Where, and with which numbers, a network computes.

    Attributes:
        device: As torch names it.
        dtype: float32, float16 or bfloat16.
        int8: Whether networks that can do so multiply in int8, and calculate in float32 otherwise (see `in_int8`).
    """

    device: torch.device
    dtype: torch.dtype
    int8: bool = False

    def place(self, module: _Module) -> _Module:
        """Move a network there, ready for inference: no gradients, no dropout, in the layout that suits the device."""
        module.requires_grad_(False).eval()
        # Not the method itself: diffusers overrides it to warn of every change of dtype, needed or not.
        nn.Module.to(module, device=self.device, dtype=self.dtype)
        return with_stop_points(nn.Module.to(module, memory_format=self._layout))

    def compile(self, *networks: nn.Module) -> None:
        """Let torch compile networks when they are first called.

        Raises:
            DeviceError: They multiply in int8: torch compiles no such layers.
        """
        if self.int8:
            raise DeviceError(
                "networks that multiply in int8 cannot be compiled", "choose another number type, or do not compile"
            )
        for network in networks:
            network.compile()

    def tensor(self, values: torch.Tensor) -> torch.Tensor:
        """Move values there, in its number type; pictures [N, C, H, W] in the layout that suits the device."""
        layout = self._layout if values.ndim == 4 else torch.preserve_format
        return values.to(device=self.device, dtype=self.dtype, memory_format=layout)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it, a sentence each."""
        if self.int8:
            return (
                "networks multiplied in int8 where they can, which costs digits (about 40 dB); --dtype fp32 is exact",
            )
        if self.device.type != "cpu" or self.dtype != torch.bfloat16:
            return ()
        return ("the networks calculated in bfloat16, which costs digits (about 40 dB); --dtype fp32 is exact",)

    @property
    def _layout(self) -> torch.memory_format:
        """Channels last is what tensor cores read. torch's CPU GroupNorm loses three digits in it."""
        return torch.contiguous_format if self.device.type == "cpu" else torch.channels_last


def choose_compute(device: str = "auto", dtype: str = "auto") -> Compute:
    """Choose what to run on.

    Args:
        device: "auto" (the first CUDA device if there is one, else the CPU), "cpu", "cuda" or "cuda:N".
        dtype: "auto" (fp16 on CUDA, as MuseTalk is published and run; on the CPU as `cpu_numbers`), "fp32", "fp16",
            "bf16" or "int8" (on a CPU, float32 with some networks' largest layers in int8).

    Raises:
        DeviceError: There is no such device, or no such number type on it.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = ("cuda:0" if gpus else "cpu") if device == "auto" else "cuda:0" if device == "cuda" else device
    known = {"cpu", *(f"cuda:{index}" for index in range(gpus))}
    if name not in known:
        raise DeviceError(f'there is no device "{device}" here', f"choose one of: auto, {', '.join(sorted(known))}")
    number = dtype if dtype != "auto" else "fp16" if name != "cpu" else cpu_numbers()
    if number == "int8":
        return _int8_on(name)
    if number not in _DTYPES:
        raise DeviceError(f'there is no number type "{dtype}"', f"choose one of: auto, {', '.join(_DTYPES)}, int8")
    if name == "cpu" and number == "fp16":
        raise DeviceError("fp16 is for GPUs", "choose fp32, or bf16 where the processor has it")
    return Compute(torch.device(name), _DTYPES[number])


def _int8_on(device: str) -> Compute:
    if device != "cpu":
        raise DeviceError("int8 is for CPUs", "choose auto, or fp16")
    if not multiplies_int8():
        raise DeviceError("this processor does not multiply int8 (it has no VNNI), or this torch cannot", "choose auto")
    return Compute(torch.device(device), torch.float32, int8=True)


def free_memory(device: torch.device) -> int:
    """Bytes that could be allocated on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def frames_that_fit(device: torch.device, bytes_per_frame: int, most: int) -> int:
    """Return how many frames to put through a network at once: at least 1, at most `most`.

    Args:
        device: Where.
        bytes_per_frame: What one frame's feature maps take at their peak.
        most: Beyond which a larger batch is no faster.
    """
    return max(1, min(most, int(free_memory(device) * _SHARE_OF_FREE) // bytes_per_frame))


@contextmanager
def out_of_memory_as(error: OutOfMemoryError) -> Iterator[None]:
    """Raise this error where memory runs out inside the `with` block; leave every other one alone."""
    try:
        yield
    except (RuntimeError, MemoryError) as failure:
        if not is_out_of_memory(failure):
            raise
        raise error from failure


class Batches:
    """Works through items a batch at a time; where memory runs out, in halves, and so from then on.

    Args:
        size: Items in a batch, to begin with.
    """

    def __init__(self, size: int) -> None:
        self._size = max(1, size)

    @property
    def size(self) -> int:
        """Items in a batch, as far as is known to fit."""
        return self._size

    def run(self, fn: Callable[[int, int], _T], n: int, check: Callable[[], None] | None = None) -> list[_T]:
        """Call `fn(start, stop)` for consecutive ranges that cover [0, n); return the results in order.

        A range that runs out of memory is tried again in halves; results of others are kept. `check` is called before
        each range, and may raise to end the work.

        Raises:
            OutOfMemoryError: One item alone does not fit.
        """
        results: list[_T] = []
        start = 0
        while start < n:
            if check is not None:
                check()
            stop = min(n, start + self._size)
            try:
                result = fn(start, stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if stop - start == 1:
                    raise OutOfMemoryError("there is not enough memory for a single frame", LESS_MEMORY) from error
                self._size = (stop - start) // 2
            else:
                results.append(result)
                start = stop
                continue
            # Out here the failed call's frames, and the tensors they held, are gone.
            release_memory()
        return results


def release_memory() -> None:
    """Give back to the device what torch keeps of it without need."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in _OUT_OF_MEMORY)
