"""Upsampling and convolving in one."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.upsampling import Upsample2D
from torch import nn

from musetalk.backends.latent.tiny import VAE
from musetalk.backends.latent.upsampling import UpsampledConv, with_quick_upsampling
from tests.helpers.filled import filled


@pytest.mark.parametrize("bias", [True, False])
def test_the_same_as_first_upsampling_and_then_convolving(bias: bool) -> None:
    layer = filled(Upsample2D(6, use_conv=True, out_channels=5, bias=bias), seed=3)
    assert isinstance(layer.conv, nn.Conv2d)
    features = torch.randn(2, 6, 7, 4, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        made, wanted = UpsampledConv(layer.conv)(features), layer(features)
    assert made.shape == (2, 5, 14, 8)
    torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-5)


def test_a_decoder_keeps_its_picture_and_has_no_other_upsampling_left() -> None:
    plain = filled(AutoencoderKL.from_config(dict(VAE)), seed=4).decoder
    quick = with_quick_upsampling(copy.deepcopy(plain))
    assert sum(isinstance(layer, UpsampledConv) for layer in quick.modules()) == 3
    assert not any(isinstance(layer, Upsample2D) for layer in quick.modules())
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(quick(latents), plain(latents), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        Upsample2D(4),  # nothing convolves
        Upsample2D(4, use_conv_transpose=True),
        Upsample2D(4, use_conv=True, norm_type="ln_norm", elementwise_affine=True),
        Upsample2D(4, use_conv=True, kernel_size=5, padding=2),
    ],
)
def test_layers_that_do_something_else_stay(layer: Upsample2D) -> None:
    network = with_quick_upsampling(nn.Sequential(layer))
    assert network[0] is layer
