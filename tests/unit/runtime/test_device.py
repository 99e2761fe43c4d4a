"""What networks run on, and how much of it at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import DeviceError, OutOfMemoryError
from musetalk.runtime import device
from musetalk.runtime.device import Batches, choose_compute, frames_that_fit
from tests.helpers.errors import raises_kind
from tests.helpers.filled import CPU


def limited(most: int, seen: list[tuple[int, int]]) -> Callable[[int, int], list[int]]:
    """Work that runs out of memory over `most` items."""

    def work(start: int, stop: int) -> list[int]:
        if stop - start > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append((start, stop))
        return list(range(start, stop))

    return work


@given(n=st.integers(0, 40), size=st.integers(1, 50), most=st.integers(1, 50))
def test_batches_cover_everything_once_and_in_order(n: int, size: int, most: int) -> None:
    seen: list[tuple[int, int]] = []
    done = Batches(size).run(limited(most, seen), n)
    assert [item for batch in done for item in batch] == list(range(n))
    assert sum(stop - start for start, stop in seen) == n  # nothing that was done is done again


@pytest.mark.parametrize(
    "said",
    [
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_a_batch_that_did_not_fit_is_not_tried_again(said: str) -> None:
    tried: list[int] = []

    def work(start: int, stop: int) -> int:
        tried.append(stop - start)
        if stop - start > 3:
            raise RuntimeError(said)
        return stop - start

    batches = Batches(8)
    assert batches.run(work, 8) == [2, 2, 2, 2]
    assert batches.run(work, 4) == [2, 2]
    assert tried == [8, 4, 2, 2, 2, 2, 2, 2]
    assert batches.size == 2


def test_one_frame_that_does_not_fit_is_an_error_that_says_so() -> None:
    with raises_kind(OutOfMemoryError):
        Batches(4).run(limited(0, []), 4)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def work(start: int, stop: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Batches(4).run(work, 4)


@pytest.mark.parametrize(("quickest", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_cpu_computes_in_what_it_is_quickest_in_unless_told(
    monkeypatch: pytest.MonkeyPatch, quickest: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(device, "cpu_numbers", lambda: quickest)
    assert choose_compute("cpu").dtype == dtype
    assert choose_compute("cpu", "fp32") == CPU
    assert choose_compute("cpu", "bf16").dtype == torch.bfloat16
    assert bool(choose_compute("cpu").notes) == (quickest == "bf16")


@pytest.mark.parametrize(("device", "dtype"), [("tpu", "auto"), ("cuda:99", "auto"), ("cpu", "fp8"), ("cpu", "fp16")])
def test_what_is_not_there_cannot_be_chosen(device: str, dtype: str) -> None:
    with raises_kind(DeviceError) as caught:
        choose_compute(device, dtype)
    assert (dtype if device == "cpu" else device) in caught.value.problem
    assert "choose" in caught.value.remedy


def test_a_batch_has_at_least_one_frame_and_no_more_than_help() -> None:
    assert frames_that_fit(torch.device("cpu"), 2**60, most=8) == 1
    assert frames_that_fit(torch.device("cpu"), 1, most=8) == 8
