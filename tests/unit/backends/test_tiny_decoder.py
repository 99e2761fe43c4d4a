"""The tiny decoder: diffusers' picture, of the rows that are wanted alone."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderTiny

from musetalk.backends.latent.vae import TinyDecoder
from tests.helpers.filled import CPU, filled

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny() -> AutoencoderTiny:
    return filled(AutoencoderTiny(), 11)


def test_the_tiny_decoder_is_diffusers(tiny: AutoencoderTiny) -> None:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, theirs = TinyDecoder(tiny, CPU).decode_rows(latents, 0), tiny.decode(latents).sample
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("top", [1, 7, 8, 32, 61, 64, 95, 127])
def test_rows_of_the_tiny_decoder_do_not_need_those_above(tiny: AutoencoderTiny, top: int) -> None:
    latents = torch.randn(1, 4, 16, 4, generator=torch.Generator().manual_seed(top))
    decoder = TinyDecoder(tiny, CPU)
    with torch.inference_mode():
        whole, below = decoder.decode_rows(latents, 0), decoder.decode_rows(latents, top)
    assert below.shape == (1, 3, 128 - top, 32)
    assert float((below - whole[:, :, top:]).abs().max()) <= 1e-6


def test_rows_that_are_not_wanted_are_not_computed(tiny: AutoencoderTiny) -> None:
    heights: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: heights.append(output.shape[2]))
        for layer in tiny.decoder.layers
    ]
    with torch.inference_mode():
        TinyDecoder(tiny, CPU).decode_rows(torch.zeros(1, 4, 32, 4), 128)
    for hook in hooks:
        hook.remove()
    assert max(heights) < 256 * 0.6
    assert heights[-1] <= 128 + 1
