"""The surgical call: LatentSync gets what it was trained on; what it cannot paint falls back, mistakes never do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hybrid.conditioning import format_for_latentsync
from hybrid.inference import (
    LatentSyncDenoiser,
    SurgicalTools,
    conditions_of,
    lighter_sampling,
    surgical_unet3d_inference,
)
from hybrid.mask import hide_painted, latent_mask
from hybrid.sampler import PUBLISHED, NoisePredictor, Sampling
from hybrid.unet3d.unet import UNet3D
from musetalk.arrays import UInt8Array
from musetalk.errors import Cancelled, GeneratorError
from musetalk.generators.vae import to_pixels
from musetalk.progress import CancelToken
from tests.filled import CPU, filled
from tests.tiny_checkpoints import UNET3D

SIDE, LATENT = 64, 8
PLAIN = replace(UNET3D, motion="none")
QUICK = Sampling(steps=2)
ZERO = torch.zeros(1, dtype=torch.long)


class Shrinker:
    """Encodes by averaging blocks of 8 x 8: enough to tell pictures apart."""

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        small = torch.nn.functional.avg_pool2d(pixels, 8)
        return torch.cat([small, small.mean(dim=1, keepdim=True)], dim=1)


class Recorder:
    """A network that tells no noise, keeps what it was given, and runs out of memory above a size."""

    def __init__(self, most: float = np.inf, value: float = 0.0) -> None:
        self.most, self.value = most, value
        self.seen: list[Tensor] = []

    def __call__(self, sample: Tensor, timestep: Tensor, audio: Tensor) -> Tensor:
        self.seen.append(sample)
        if sample.shape[0] * sample.shape[2] > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return torch.full_like(sample[:, :4], self.value)


class MuseTalk:
    """MuseTalk's network: adds up what it is shown and told."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self, sample: Tensor, timestep: Tensor, *, encoder_hidden_states: Tensor, return_dict: bool
    ) -> tuple[Tensor, ...]:
        self.calls += 1
        assert not return_dict
        assert int(timestep) == 0
        return (sample[:, :4] + encoder_hidden_states.mean(),)


def crops(count: int) -> UInt8Array:
    return np.random.default_rng(7).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def tools(predict: NoisePredictor, sampling: Sampling = QUICK) -> SurgicalTools:
    return SurgicalTools(LatentSyncDenoiser(predict, CPU, sampling), Shrinker(), CPU)


def voice(count: int) -> Tensor:
    return torch.randn((count, 50, 384), generator=torch.Generator().manual_seed(1))


def musetalks_latents(count: int) -> Tensor:
    return torch.randn((count, 8, LATENT, LATENT), generator=torch.Generator().manual_seed(2))


def test_the_network_gets_its_thirteen_channels() -> None:
    network, pictures = Recorder(), crops(5)
    done = surgical_unet3d_inference(musetalks_latents(5), voice(5), ZERO, tools=tools(network), face_crops=pictures)
    assert done.shape == (5, 4, LATENT, LATENT)
    sample = network.seen[0]
    assert sample.shape == (2, 13, 16, LATENT, LATENT)
    pixels, encoder = to_pixels(pictures), Shrinker()
    assert torch.equal(sample[0, 4, 0], torch.tensor(latent_mask(SIDE)))
    assert torch.allclose(sample[0, 5:9, :5].transpose(0, 1), encoder.encode(hide_painted(pixels)))
    assert torch.allclose(sample[0, 9:, :5].transpose(0, 1), encoder.encode(pixels))


def test_musetalks_latents_do_not_reach_the_result() -> None:
    unet = filled(UNet3D(PLAIN), 3)
    call = tools(unet, replace(QUICK, steps=1))
    pictures, heard = crops(2), voice(2)
    one, other = (
        surgical_unet3d_inference(latents, heard, ZERO, tools=call, face_crops=pictures)
        for latents in (musetalks_latents(2), torch.zeros(2, 8, LATENT, LATENT))
    )
    assert torch.equal(one, other)
    assert torch.isfinite(one).all()
    silent = surgical_unet3d_inference(musetalks_latents(2), 0 * heard, ZERO, tools=call, face_crops=pictures)
    assert not torch.equal(one, silent)


def test_latents_of_its_own_are_taken_as_they_are() -> None:
    known = format_for_latentsync(crops(3), Shrinker())
    own = torch.cat([known.masked, known.reference], dim=1)[0].transpose(0, 1)
    given, encoded = (
        surgical_unet3d_inference(own, voice(3), ZERO, tools=tools(Recorder(value=0.1)), **which)  # type: ignore[arg-type]
        for which in ({"own_latents": True}, {"face_crops": crops(3)})
    )
    assert torch.equal(given, encoded)


@pytest.mark.parametrize("fallback", [None, MuseTalk()])
def test_the_naive_handover_is_an_error_and_no_fallback(fallback: MuseTalk | None) -> None:
    """What forks do: MuseTalk's 8 channels to a network of 13. It never ends as MuseTalk's result."""
    heard = voice(2)
    with pytest.raises(ValueError, match=r"8 channels .* hand over face_crops"):
        surgical_unet3d_inference(
            musetalks_latents(2), heard, ZERO, fallback, tools=tools(Recorder()), fallback_audio=heard
        )
    unet = filled(UNet3D(PLAIN), 3)
    with pytest.raises(ValueError, match=r"takes 13 channels .* not 8"):
        unet(musetalks_latents(2).transpose(0, 1)[None], ZERO, heard)
    assert fallback is None or fallback.calls == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"latent_batch": torch.zeros(2, 4, LATENT, LATENT)}, "latent_batch must be"),
        ({"audio_features": voice(3)}, "audio_features must be"),
        ({"face_crops": crops(3)}, "face_crops must be"),
        ({"face_crops": crops(2)[:, :32, :32]}, "face_crops must be"),
        ({"fallback_audio": None}, "fallback_unet needs fallback_audio"),
        ({"own_latents": True}, "come without face_crops"),
        ({"face_crops": crops(2).astype(np.float32)}, "crops must be uint8"),
    ],
)
def test_mistakes_are_told_and_never_swallowed(change: dict[str, object], told: str) -> None:
    musetalk = MuseTalk()
    call: dict[str, object] = {
        "latent_batch": musetalks_latents(2),
        "audio_features": voice(2),
        "timesteps": ZERO,
        "fallback_unet": musetalk,
        "tools": tools(Recorder()),
        "face_crops": crops(2),
        "fallback_audio": voice(2),
        **change,
    }
    with pytest.raises(ValueError, match=told):
        surgical_unet3d_inference(**call)  # type: ignore[arg-type]
    assert musetalk.calls == 0


@pytest.mark.parametrize("error", [ValueError("wrong shape"), TypeError("wrong type"), RuntimeError("bad kernel")])
def test_errors_of_the_program_are_not_taken_for_a_lack_of_memory(error: Exception) -> None:
    def broken(sample: Tensor, timestep: Tensor, audio: Tensor) -> Tensor:
        raise error

    with pytest.raises(type(error), match=str(error)):
        surgical_unet3d_inference(
            musetalks_latents(2),
            voice(2),
            ZERO,
            MuseTalk(),
            tools=tools(broken),
            face_crops=crops(2),
            fallback_audio=voice(2),
        )


@pytest.mark.parametrize(
    ("network", "why"),
    [(lambda: Recorder(most=4), "not enough memory"), (lambda: Recorder(value=np.nan), "not a number")],
)
def test_memory_and_numbers_fall_back_with_the_reason(network: Callable[[], Recorder], why: str) -> None:
    musetalk, latents, heard, reasons = MuseTalk(), musetalks_latents(3), voice(3), list[str]()
    with pytest.raises(GeneratorError, match=why):
        surgical_unet3d_inference(latents, heard, ZERO, tools=tools(network()), face_crops=crops(3))
    done = surgical_unet3d_inference(
        latents,
        0 * heard,
        ZERO,
        musetalk,
        tools=tools(network()),
        face_crops=crops(3),
        fallback_audio=heard,
        on_fallback=reasons.append,
    )
    assert torch.equal(done, latents[:, :4] + heard.mean())
    assert musetalk.calls == len(reasons) == 1
    assert why in reasons[0]


@pytest.mark.parametrize(("most", "length", "paired"), [(32, 16, True), (16, 16, False), (8, 8, False)])
def test_less_memory_means_smaller_calls_from_then_on(most: int, length: int, paired: bool) -> None:
    network = Recorder(most, value=0.2)
    denoiser = LatentSyncDenoiser(network, CPU, QUICK)
    latents, heard = torch.randn(20, 8, LATENT, LATENT), voice(20)
    done = denoiser.denoise(latents, heard, crops(20), lambda: None)
    whole = LatentSyncDenoiser(Recorder(value=0.2), CPU, QUICK).denoise(latents, heard, crops(20), lambda: None)
    assert torch.allclose(done, whole, atol=1e-5)
    assert (denoiser.sampling.clip_length, denoiser.sampling.paired) == (length, paired)
    tried = len(network.seen)
    denoiser.denoise(latents, heard, crops(20), lambda: None)
    assert all(sample.shape[0] * sample.shape[2] <= most for sample in network.seen[tried:])


def test_lighter_samplings_can_always_be_cut_and_end() -> None:
    for overlap in (0, 4, 12):
        sampling: Sampling | None = replace(PUBLISHED, overlap=overlap)
        steps = 0
        while sampling is not None:
            assert sampling.overlap < sampling.clip_length >= 8
            sampling, steps = lighter_sampling(sampling), steps + 1
        assert steps == 3
    assert lighter_sampling(replace(PUBLISHED, guidance=1.0)) == replace(PUBLISHED, guidance=1.0, clip_length=8)


def test_cancelling_ends_the_call() -> None:
    token, network = CancelToken(), Recorder()
    token.cancel()
    with pytest.raises(Cancelled):
        surgical_unet3d_inference(
            musetalks_latents(2), voice(2), ZERO, tools=tools(network), face_crops=crops(2), check=token.check
        )
    assert network.seen == []


def test_latents_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"latents must be \[N, 8, h, w\]"):
        conditions_of(torch.zeros(2, 4, 8, 8), voice(2))
    with pytest.raises(ValueError, match="beside"):
        conditions_of(torch.zeros(2, 8, 8, 8), voice(3))
