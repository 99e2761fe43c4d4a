"""In which numbers the CPU computes: asked of the processor, and measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from musetalk.runtime import speed
from musetalk.runtime.speed import cpu_numbers, matmul_rate, multiplies_bf16


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    forget = speed._measured_numbers.cache_clear
    forget()
    yield
    forget()


def processor(monkeypatch: pytest.MonkeyPatch, gain: float, **capabilities: bool) -> None:
    """A processor that can do this, and on which bfloat16 is so many times as quick as float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    seconds = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr(speed, "_product_seconds", lambda left: seconds[left.dtype])


@pytest.mark.parametrize(
    ("gain", "capabilities", "numbers"),
    [
        (2.1, {"avx512_bf16": True}, "bf16"),
        (7.0, {"amx_bf16": True}, "bf16"),
        (1.9, {"neon": True, "bf16": True}, "bf16"),
        (0.5, {"avx512_bf16": True, "amx_bf16": False}, "fp32"),  # an Intel without AMX
        (1.1, {"avx512_bf16": True}, "fp32"),
        (2.1, {"avx2": True, "avx512_bf16": False}, "fp32"),
        (2.1, {}, "fp32"),
    ],
)
def test_bfloat16_where_the_processor_has_it_and_it_gains(
    monkeypatch: pytest.MonkeyPatch, gain: float, capabilities: dict[str, bool], numbers: str
) -> None:
    processor(monkeypatch, gain, **capabilities)
    assert cpu_numbers() == numbers


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, 9.0)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bf16()
    assert cpu_numbers() == "fp32"


def test_who_asks_while_another_thread_measures_waits_for_what_that_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, 2.1, avx512_bf16=True)
    tell, other, measured_by = speed._product_seconds, threading.Thread(target=cpu_numbers), []

    def measure(left: torch.Tensor) -> float:
        measured_by.append(threading.current_thread())
        if len(measured_by) == 1:
            other.start()
            other.join(0.1)  # it would be through by now, had it not to wait
        return tell(left)

    monkeypatch.setattr(speed, "_product_seconds", measure)
    assert cpu_numbers() == "bf16"
    other.join()
    assert set(measured_by) == {threading.current_thread()}


def test_this_machine_has_a_rate() -> None:
    assert matmul_rate("cpu") > 0
    assert cpu_numbers() == "fp32" or multiplies_bf16()
