"""The denoising loop against LatentSync's own, with filled weights for trained ones."""

from __future__ import annotations

import pytest
import torch

from hybrid.conditioning import Conditioning
from hybrid.sampler import Sampler, Sampling, make_scheduler
from hybrid.unet3d.deep import DeepFeatures
from musetalk.runtime.device import Compute
from tests.unit.hybrid.test_golden_unet3d import Golden, furthest, one_thread

pytestmark = pytest.mark.slow

TOLERANCE = 1e-3
CPU = Compute(torch.device("cpu"), torch.float32)

__all__ = ["one_thread"]  # a fixture


class Overheard:
    """Passes calls on to a network, and remembers the latents of each."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network
        self.latents: list[torch.Tensor] = []
        self.clips = 0

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        audio: torch.Tensor,
        *,
        silent: int = 0,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        self.latents.append(sample[:, :4].clone())
        noise: torch.Tensor = self.network(sample, timestep, audio, silent=silent, deep=deep)
        self.clips += len(noise)
        return noise


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden("latentsync_denoise.safetensors")


def conditions(golden: Golden) -> tuple[Conditioning, torch.Tensor]:
    parts = (golden[name] for name in ("noise", "mask_latents", "masked_image_latents", "ref_latents"))
    noise, mask, masked, reference = parts
    return Conditioning(noise, mask.expand(-1, -1, reference.shape[2], -1, -1), masked, reference), golden["audio"]


@pytest.mark.parametrize(("case", "calls_for"), [("cfg", 2), ("nocfg", 1)])
def test_the_loop_ends_where_upstreams_does(golden: Golden, case: str, calls_for: int) -> None:
    facts = golden.meta["cases"][case]
    steps, guidance = facts["num_inference_steps"], facts["guidance_scale"]
    sampling = Sampling(steps=steps, guidance=guidance, clip_length=golden.meta["frames_per_batch"])
    heard = Overheard(golden.unet)
    with torch.inference_mode():
        latents = Sampler(heard, CPU, sampling).sample(*conditions(golden))
    assert heard.clips == steps * calls_for
    assert furthest(heard.latents[1], golden[f"{case}.after_first_step"]) <= TOLERANCE
    assert furthest(latents, golden[f"{case}.final_latents"]) <= TOLERANCE


@pytest.mark.parametrize("case", ["cfg", "nocfg"])
def test_the_schedule_is_upstreams(golden: Golden, case: str) -> None:
    facts = golden.meta["cases"][case]
    scheduler = make_scheduler("ddim", facts["num_inference_steps"])
    effective = golden.meta["scheduler_effective"]
    assert scheduler.timesteps.tolist() == facts["timesteps"]
    assert float(scheduler.final_alpha_cumprod) == pytest.approx(effective["final_alpha_cumprod"], abs=1e-7)
    for timestep, alpha in effective["alphas_cumprod"].items():
        assert float(scheduler.alphas_cumprod[int(timestep)]) == pytest.approx(alpha, abs=1e-7)
    assert scheduler.config.prediction_type == effective["prediction_type"]


def test_both_halves_of_guidance_may_be_calls_of_their_own(golden: Golden) -> None:
    halves = []
    for paired in (True, False):
        sampling = Sampling(steps=1, clip_length=8, paired=paired)
        heard = Overheard(golden.unet)
        with torch.inference_mode():
            halves.append(Sampler(heard, CPU, sampling).sample(*conditions(golden)))
        assert heard.clips == 2
        assert len(heard.latents) == (1 if paired else 2)
    assert furthest(*halves) <= TOLERANCE
