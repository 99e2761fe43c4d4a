"""How the latent generator's work ends before its time: because somebody asked, or because its numbers broke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from musetalk.audio.types import MUSETALK_FEATURES
from musetalk.backends.latent.generator import LatentGenerator, LatentOptions
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import Cancelled, NotFiniteError
from musetalk.runtime.device import Compute
from tests.helpers.errors import raises_kind

CPU = Compute(torch.device("cpu"), torch.float32)
SIZE, FRAMES = 16, 4
CLIP = Clip(
    np.random.default_rng(1).integers(0, 256, (FRAMES, SIZE, SIZE, 3), np.uint8),
    np.zeros((FRAMES, 50, 384), np.float32),
    (),
)


class Parts:
    """Encoder, denoiser and decoder in one, counting pieces of work."""

    def __init__(self, *, broken: bool = False) -> None:
        self.done: list[str] = []
        self.broken = broken

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.done.append("encode")
        return torch.zeros(len(pixels), 4, SIZE // 8, SIZE // 8)

    def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
        self.done.append("denoise")
        return latents[:, :4]

    def decode_rows(self, latents: torch.Tensor, top: int) -> torch.Tensor:
        self.done.append("decode")
        return torch.full((len(latents), 3, SIZE - top, SIZE), float("nan") if self.broken else 0.0)


def generator(parts: Parts) -> LatentGenerator:
    spec = GeneratorSpec(MUSETALK_FEATURES, "halved")
    return LatentGenerator(parts, parts, parts, CPU, LatentOptions(SIZE, clip_length=FRAMES), spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", range(2 * FRAMES))
def test_work_ends_at_the_next_frame_when_asked(after: int) -> None:
    parts = Parts()
    asked = 0

    def check() -> None:
        nonlocal asked
        if asked == after:
            raise Cancelled
        asked += 1

    with pytest.raises(Cancelled):
        generator(parts).generate(replace(CLIP, check=check))
    assert len([piece for piece in parts.done if piece != "denoise"]) == after


def test_pixels_are_not_made_of_what_is_no_number() -> None:
    assert generator(Parts()).generate(CLIP).shape == CLIP.crops.shape
    with raises_kind(NotFiniteError):
        generator(Parts(broken=True)).generate(CLIP)
