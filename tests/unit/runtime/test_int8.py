"""Networks that multiply in int8."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.activations import GEGLU
from diffusers.models.resnet import ResnetBlock2D
from torch import nn
from torch.nn import functional

from musetalk.backends.latent.generator import finite
from musetalk.backends.latent.tiny import VAE
from musetalk.errors import DeviceError, NotFiniteError
from musetalk.runtime import device
from musetalk.runtime.device import choose_compute
from musetalk.runtime.int8 import Int8Conv, Int8Linear, in_int8
from tests.helpers.errors import raises_kind
from tests.helpers.filled import INT8, filled, needs_int8


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def decibels(made: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(20 * torch.log10(wanted.std() / (made - wanted).std()))


@needs_int8
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_loses_two_digits_whatever_the_layout(layout: torch.memory_format, bias: bool) -> None:
    conv = filled(nn.Conv2d(32, 48, 3, padding=1, bias=bias), seed=1)
    features = functional.silu(drawn(3, 32, 9, 11)).contiguous(memory_format=layout)
    with torch.inference_mode():
        made, wanted = Int8Conv(conv)(features), conv(features)
    assert made.shape == wanted.shape
    assert decibels(made, wanted) > 36


@needs_int8
def test_each_frame_has_a_scale_of_its_own() -> None:
    conv, linear = filled(nn.Conv2d(32, 32, 3, padding=1), seed=2), filled(nn.Linear(32, 40), seed=3)
    quiet, loud = functional.silu(drawn(1, 32, 8, 8)), 500 * functional.silu(drawn(1, 32, 8, 8).flip(1))
    for layer, mates in (
        (Int8Conv(conv), torch.cat([quiet, loud])),
        (Int8Linear(linear), torch.cat([quiet, loud]).flatten(2).transpose(1, 2)),
    ):
        with torch.inference_mode():
            torch.testing.assert_close(layer(mates)[:1], layer(mates[:1]), rtol=1e-6, atol=1e-6)


@needs_int8
def test_a_linear_layer_loses_two_digits() -> None:
    linear = filled(nn.Linear(64, 40), seed=4)
    tokens = drawn(2, 24, 64)
    with torch.inference_mode():
        assert decibels(Int8Linear(linear)(tokens), linear(tokens)) > 36


@needs_int8
def test_nothing_at_all_stays_nothing() -> None:
    conv = filled(nn.Conv2d(8, 8, 3, padding=1), seed=5)
    with torch.inference_mode():
        zeros = torch.zeros(1, 8, 4, 4)
        torch.testing.assert_close(Int8Conv(conv)(zeros), conv(zeros), rtol=1e-5, atol=1e-5)


@needs_int8
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_rounded_to_one(bad: float) -> None:
    conv = filled(nn.Conv2d(8, 8, 3, padding=1), seed=5)
    features = functional.silu(drawn(1, 8, 4, 4))
    features[0, 3, 2, 2] = bad
    with torch.inference_mode(), raises_kind(NotFiniteError):
        finite(Int8Conv(conv)(features))


@needs_int8
def test_only_the_branches_of_a_network_are_rounded() -> None:
    plain = filled(AutoencoderKL.from_config(dict(VAE)), seed=6).decoder
    rounded = in_int8(copy.deepcopy(plain))
    layers = {name: layer for name, layer in rounded.named_modules() if isinstance(layer, (nn.Conv2d, Int8Conv))}
    assert {name for name, layer in layers.items() if isinstance(layer, Int8Conv)} == {
        f"{name}.{part}"
        for name, block in rounded.named_modules()
        if isinstance(block, ResnetBlock2D)
        for part in ("conv1", "conv2")
    }
    latents = drawn(1, 4, 8, 8)
    with torch.inference_mode():
        made, wanted = rounded(latents), plain(latents)
    assert not torch.equal(made, wanted)
    assert decibels(made, wanted) > 25


@needs_int8
def test_of_a_feed_forward_branch_the_first_layer_is_rounded() -> None:
    network = in_int8(nn.Sequential(filled(GEGLU(32, 64), seed=7), filled(nn.Linear(64, 32), seed=8)))
    assert isinstance(network[0].proj, Int8Linear)
    assert isinstance(network[1], nn.Linear)


@needs_int8
def test_it_is_for_cpus_chosen_by_name_said_and_not_compiled() -> None:
    compute = choose_compute("cpu", "int8")
    assert compute == INT8
    assert "int8" in compute.notes[0]
    with raises_kind(DeviceError):
        compute.compile(nn.Linear(2, 2))


def test_a_processor_that_cannot_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_vnni": False}, raising=False)
    with raises_kind(DeviceError) as caught:
        choose_compute("cpu", "int8")
    assert "int8" in caught.value.problem


def test_a_gpu_is_not_for_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 1)
    with raises_kind(DeviceError) as caught:
        choose_compute("cuda", "int8")
    assert "CPU" in caught.value.problem
