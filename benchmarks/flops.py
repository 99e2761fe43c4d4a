"""What networks compute, by torch's own count, and how long the same convolutions and products take by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

Work = Callable[[], object]
_MATRIX_SIDES = (512, 1024, 2048)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """How work is timed: the quickest of a few runs.

    Attributes:
        repeats: Runs.
        device: What the work runs on. On the CPU it counts the seconds that this process computed, which other
            programs disturb far less than those that went by: all of them of one thread, where torch has but one.
    """

    repeats: int = 2
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def seconds(self, work: Work) -> float:
        """Seconds of one run."""
        return min(self.once(work) for _ in range(self.repeats))

    def warm_seconds(self, work: Work) -> float:
        """Seconds of one run after others: on a GPU libraries choose kernels first; graphs come in the second run."""
        for _ in range(3 if self.repeats > 1 else 1):
            work()
        return self.seconds(work)

    def once(self, work: Work) -> float:
        """Seconds of the next run."""
        if self.device.type == "cpu":
            started = time.process_time()
            work()
            return time.process_time() - started
        torch.cuda.synchronize(self.device)
        started = time.perf_counter()
        work()
        torch.cuda.synchronize(self.device)
        return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Timing:
    """One network against its own parts.

    Attributes:
        flop: Floating point operations of one run: convolutions, matrix products and attention.
        whole: Seconds of one run.
        parts: Seconds of the same convolutions, products and attention, each by itself.
    """

    flop: int
    whole: float
    parts: float

    @property
    def share(self) -> float:
        """How much of the network's time its parts explain."""
        return self.parts / self.whole


def count_flop(work: Work) -> int:
    """Floating point operations of one run; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def against_parts(work: Work, watch: Stopwatch) -> Timing:
    """Time a network, its parts, and the network again: all in one run, as machines change their pace."""
    with torch.inference_mode():
        recorder = _Recorder()
        flop = count_flop(partial(recorder.watch, work))
        before = watch.once(work)
        parts = sum(count * watch.seconds(call) for call, count in recorder.calls.values())
        return Timing(flop, min(before, watch.once(work)), parts)


def matmul_rate(watch: Stopwatch, dtype: torch.dtype = torch.float32, sides: Sequence[int] = ()) -> float:
    """FLOP per second of large matrix products, the best of a few sizes: `sides`, or those that suit the device.

    On the CPU by either of torch's libraries, through mm (MKL) and as a convolution of one pixel (oneDNN): on AMD's
    processors the first is half as fast.
    """
    usual = _MATRIX_SIDES if watch.device.type == "cpu" else (4096, 8192, 16384)
    return max(_product_rate(side, watch, dtype) for side in sides or usual)


def _product_rate(side: int, watch: Stopwatch, dtype: torch.dtype) -> float:
    a, b = (torch.randn(side, side, device=watch.device, dtype=dtype) for _ in range(2))
    works: list[Work] = [lambda: torch.mm(a, b)]
    if watch.device.type == "cpu":
        pixels = a.view(16, side // 16, 1, side).permute(0, 3, 1, 2)
        kernel = b[:, :, None, None].contiguous(memory_format=torch.channels_last)
        works.append(lambda: torch.conv2d(pixels, kernel))
    for work in works:
        work()
    return float(2 * side**3 / min(watch.seconds(work) for work in works))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps one call of each kind that the FLOP counter knows, and how many there were of it.

    Attributes:
        calls: By operation, shapes, strides and options: the call, ready to be made again, and their number.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: dict[tuple[object, ...], tuple[Work, int]] = {}

    def watch(self, work: Work) -> None:
        """Record what some work calls."""
        with self:
            work()

    def __torch_dispatch__(  # what passes through is whatever torch's operations take and return
        self,
        func: Any,  # noqa: ANN401
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        options = kwargs or {}
        if func._overloadpacket not in flop_registry:
            with self:
                parts = func.decompose(*args, **options)
            return func(*args, **options) if parts is NotImplemented else parts
        key = (func, *map(_kind, args), *((name, _kind(value)) for name, value in options.items()))
        call, count = self.calls.get(key, (lambda: func(*args, **options), 0))
        self.calls[key] = (call, count + 1)
        return func(*args, **options)


def _kind(value: object) -> object:
    return (value.shape, value.stride()) if isinstance(value, torch.Tensor) else repr(value)
