"""The denoising loop: clips that meet without a jump, the same result every time, and a way out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from hybrid.clips import as_clip, as_frames, clip_weights, plan_clips
from hybrid.conditioning import Conditioning, draw_noise
from hybrid.sampler import FAST, PUBLISHED, NoisePredictor, Sampler, Sampling, Solver, make_scheduler
from hybrid.unet3d.deep import DeepFeatures
from musetalk.errors import Cancelled
from musetalk.progress import CancelToken
from musetalk.runtime.device import Compute

CPU = Compute(torch.device("cpu"), torch.float32)
SIDE = 8
KEPT = make_scheduler("ddim", 20).alphas_cumprod  # how much of the picture is left at each timestep
UNGUIDED = replace(PUBLISHED, guidance=1.0)


def noise_around(shown: Tensor, sample: Tensor, timestep: Tensor) -> Tensor:
    """What a network says that knows what the picture is."""
    kept = KEPT[int(timestep)]
    return (sample[:, :4] - kept.sqrt() * shown) / (1 - kept).sqrt()


def knows_each_frame(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
    """Frames by themselves: the reference, raised by what is heard."""
    heard = audio.mean(dim=(1, 2)).view(-1, 1, sample.shape[2], 1, 1)
    return noise_around(sample[:, 9:] + heard, sample, timestep)


def leans_on_its_clip(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
    """The reference, moved by what the clip shows as a whole: it jumps where one clip ends and the next begins."""
    reference = sample[:, 9:]
    return noise_around(reference + 2 * reference.mean(dim=2, keepdim=True), sample, timestep)


def settles(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
    """One above or one below the reference, every clip as its noisy latents lean already."""
    kept, reference = KEPT[int(timestep)], sample[:, 9:]
    leans = (sample[:, :4] - kept.sqrt() * reference).mean(dim=2, keepdim=True)
    nudge = reference.mean(dim=2, keepdim=True)
    return noise_around(reference + torch.tanh(kept.sqrt() * leans / (1.02 - kept) + nudge), sample, timestep)


@dataclass(frozen=True)
class Frames:
    """What is known of frames, one after the other: a mask that keeps all, latents, and the voice."""

    masked: Tensor
    reference: Tensor
    audio: Tensor

    def __getitem__(self, which: slice) -> Frames:
        return Frames(self.masked[which], self.reference[which], self.audio[which])

    def conditioning(self, seed: int) -> Conditioning:
        mask = torch.ones(1, 1, len(self.masked), SIDE, SIDE)
        return Conditioning(draw_noise(seed, SIDE, SIDE), mask, as_clip(self.masked), as_clip(self.reference))


def painted(
    predict: NoisePredictor,
    known: Frames,
    sampling: Sampling = UNGUIDED,
    compute: Compute = CPU,
    **how: Any,  # noqa: ANN401
) -> Tensor:
    """What the loop makes of frames: float32 [N, 4, h, w]."""
    made = Sampler(predict, compute, sampling).sample(known.conditioning(sampling.seed), known.audio, **how)
    return as_frames(made)


def frames(count: int) -> Frames:
    """Frames whose values swing, each at its own pace, and a voice that grows louder."""
    drawn = torch.rand((2, 4, SIDE, SIDE), generator=torch.Generator().manual_seed(3))
    time = torch.arange(count).view(-1, 1, 1, 1)
    reference = torch.sin(2 * math.pi * (drawn[0] + time / (8 + 12 * drawn[1])))
    audio = (torch.arange(count) / 10).view(-1, 1, 1).expand(-1, 50, 384)
    return Frames(-reference, reference, audio)


def shared(clips: tuple[range, ...]) -> list[int]:
    """Where frame i and frame i + 1 are not of one clip alone."""
    return [frame for before, after in itertools.pairwise(clips) for frame in range(after.start - 1, before.stop)]


def jump(latents: Tensor, clips: tuple[range, ...]) -> float:
    """Mean change from frame to frame where clips meet, over that inside them."""
    change = (latents[1:] - latents[:-1]).abs().mean(dim=(1, 2, 3))
    borders = shared(clips)
    inside = [frame for frame in range(len(change)) if frame not in borders]
    return float(change[borders].mean() / change[inside].mean())


def test_without_overlap_the_stand_in_jumps_and_with_it_does_not() -> None:
    jumps = {}
    for overlap in (0, 4, 8):
        latents = painted(leans_on_its_clip, frames(64), replace(UNGUIDED, overlap=overlap))
        jumps[overlap] = jump(latents, plan_clips(64, 16, overlap))
    assert jumps[0] > 1.5
    assert 0.9 < jumps[4] < 1.1
    assert 0.9 < jumps[8] < 1.1


def test_clips_joined_at_every_step_settle_together() -> None:
    everything = frames(100)
    sampling = replace(UNGUIDED, overlap=8)
    together = painted(settles, everything, sampling)
    clips = plan_clips(100, 16, 8)
    apart = torch.zeros_like(together)
    for clip, weight in zip(clips, clip_weights(clips), strict=True):
        alone = painted(settles, everything[clip.start : clip.stop], sampling)
        apart[clip.start : clip.stop] += weight.view(-1, 1, 1, 1) * alone

    def undecided(latents: Tensor) -> float:
        return float(((latents - everything.reference).abs() - 1).abs().mean())

    assert undecided(together) < 0.7 * undecided(apart)


@pytest.mark.parametrize("count", [1, 5, 15, 16, 17, 40])
def test_every_frame_gets_its_own_latents(count: int) -> None:
    conditions = frames(count)
    latents = painted(knows_each_frame, conditions, UNGUIDED)
    heard = conditions.audio.mean(dim=(1, 2)).view(-1, 1, 1, 1)
    assert latents.shape == (count, 4, SIDE, SIDE)
    assert latents.dtype == torch.float32
    assert torch.allclose(latents, conditions.reference + heard, atol=0.15)  # DDIM ends where a little noise is left


def test_a_short_run_is_one_whole_clip() -> None:
    seen: list[tuple[int, ...]] = []

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        seen.append((*sample.shape, len(audio)))
        return torch.cat([sample[:, :4]] * 2)

    conditions = frames(3)
    painted(predict, conditions, Sampling(steps=2))
    assert seen == [(1, 13, 16, SIDE, SIDE, 32)] * 2


def test_the_network_is_given_what_it_was_trained_on() -> None:
    calls: list[tuple[Tensor, int, Tensor]] = []

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        calls.append((sample.clone(), int(timestep), audio.clone()))
        return torch.zeros_like(torch.cat([sample[:, :4]] * 2))

    conditions = frames(16)
    painted(predict, conditions, Sampling(steps=4))
    sample, timestep, audio = calls[0]
    assert [call[1] for call in calls] == [751, 501, 251, 1]
    assert timestep == 751
    assert len(sample) == 1  # of both halves of guidance
    assert torch.equal(sample[0, :4], draw_noise(PUBLISHED.seed, SIDE, SIDE)[0].expand(4, 16, SIDE, SIDE))
    assert (sample[0, 4] == 1).all()
    assert torch.equal(sample[0, 5:9].transpose(0, 1), conditions.masked)
    assert torch.equal(sample[0, 9:].transpose(0, 1), conditions.reference)
    assert not audio[:16].any()
    assert torch.equal(audio[16:], conditions.audio)


@pytest.mark.parametrize("paired", [True, False])
def test_guidance_goes_beyond_what_the_voice_says(paired: bool) -> None:
    conditions = frames(16)
    plain, guided = (
        painted(knows_each_frame, conditions, Sampling(guidance=guidance, paired=paired)) for guidance in (1.0, 2.0)
    )
    heard = conditions.audio.mean(dim=(1, 2)).view(-1, 1, 1, 1)
    assert torch.allclose(guided - plain, heard.expand_as(plain), atol=0.1)


@pytest.mark.parametrize(("guidance", "paired", "clips"), [(1.5, True, [2]), (1.5, False, [1, 1]), (1.0, True, [1])])
def test_what_a_step_costs(guidance: float, paired: bool, clips: list[int]) -> None:
    seen: list[int] = []

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        seen.append(len(audio) // 16)
        return torch.cat([sample[:, :4]] * seen[-1])

    painted(predict, frames(16), Sampling(steps=1, guidance=guidance, paired=paired))
    assert seen == clips


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_kept_of_a_clip_is_its_own_and_renewed_at_every_nth_step(paired: bool) -> None:
    renewed: list[bool] = []

    def predict(
        sample: Tensor, timestep: Tensor, audio: Tensor, *, silent: int = 0, deep: DeepFeatures | None = None
    ) -> Tensor:
        which = torch.stack([sample[:, 9:].mean(), audio.mean()])  # of which clip, and of which half
        assert deep is not None
        renewed.append(deep.features is None)
        if deep.features is None:
            deep.features = which
        assert torch.equal(deep.features, which)
        return sample[:, :4].repeat(len(audio) // 16, 1, 1, 1, 1)

    painted(predict, frames(28), Sampling(steps=5, cache=2, paired=paired))
    calls = 2 if paired else 4  # of two clips, a step
    assert renewed == [step % 2 == 0 for step in range(5) for _ in range(calls)]


@pytest.mark.parametrize(("count", "stride"), [(80, 2), (75, 2), (33, 2), (20, 2), (130, 5), (3, 4), (1, 2)])
def test_every_nth_frame_is_painted_as_if_the_others_were_not_there(count: int, stride: int) -> None:
    everything, sampling = frames(count), replace(UNGUIDED, steps=3)
    whole = painted(settles, everything, sampling, stride=stride)
    assert whole.shape == (count, 4, SIDE, SIDE)
    for first in range(min(stride, count)):
        own = slice(first, None, stride)
        assert torch.allclose(whole[own], painted(settles, everything[own], sampling), atol=1e-5)


def test_twice_the_rate_takes_no_more_work_than_twice_the_frames() -> None:
    seen: list[Tensor] = []

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        seen.append(sample)
        return sample[:, :4]

    everything = frames(104)
    painted(predict, everything, replace(UNGUIDED, steps=1), stride=2)
    assert len(seen) == 8  # as many as two calls of 52 take
    assert {sample.shape[2] for sample in seen} == {16}
    assert torch.equal(seen[0][0, 9:].transpose(0, 1), everything.reference[0:32:2])
    assert torch.equal(seen[4][0, 9:].transpose(0, 1), everything.reference[1:33:2])
    assert all(torch.equal(sample[0, :4], seen[0][0, :4]) for sample in seen)  # one noise for all


def test_the_same_seed_paints_the_same_and_another_does_not() -> None:
    def run(seed: int) -> Tensor:
        return painted(settles, frames(20), replace(UNGUIDED, steps=3, seed=seed))

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_every_frame_begins_with_its_own_noise_where_it_has_some() -> None:
    seen: list[Tensor] = []

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        seen.append(sample[:, :4])
        return sample[:, :4]

    known = frames(20)
    noise = torch.randn(1, 4, 20, SIDE, SIDE)
    sampler = Sampler(predict, CPU, replace(UNGUIDED, steps=1))
    sampler.sample(replace(known.conditioning(1), noise=noise), known.audio)
    assert torch.equal(seen[0], noise[:, :, :16])
    assert torch.equal(seen[1], noise[:, :, 4:])


def exact(centres: Tensor, spread: float) -> Callable[[Tensor, int], Tensor]:
    """The noise that a perfect network tells where pictures are a mixture of normal distributions."""

    def predict(noisy: Tensor, timestep: int) -> Tensor:
        kept = KEPT[timestep].double()
        away = noisy - kept.sqrt() * centres[:, None]
        variance = kept * spread**2 + 1 - kept
        likely = (-(away**2) / (2 * variance)).softmax(0)
        shown = (likely * (centres[:, None] + spread**2 * kept.sqrt() / variance * away)).sum(0)
        return (noisy - kept.sqrt() * shown) / (1 - kept).sqrt()

    return predict


def ends(predict: Callable[[Tensor, int], Tensor], solver: Solver, steps: int) -> Tensor:
    scheduler = make_scheduler(solver, steps)
    noisy = torch.randn(4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for timestep in scheduler.timesteps:
        noisy = scheduler.step(predict(noisy, int(timestep)), timestep, noisy, return_dict=False)[0].double()
    return noisy


def test_the_fast_preset_ends_no_further_off_than_the_published_one() -> None:
    predict = exact(torch.tensor([-0.2, 0.4], dtype=torch.float64), 0.1)
    right = ends(predict, "ddim", 500)
    fast, published, as_few = (
        float((ends(predict, solver, steps) - right).abs().mean())
        for solver, steps in (
            (FAST.solver, FAST.steps),
            (PUBLISHED.solver, PUBLISHED.steps),
            (PUBLISHED.solver, FAST.steps),
        )
    )
    assert fast <= published
    assert fast < 0.5 * as_few
    assert FAST.steps <= PUBLISHED.steps / 2


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_however_few_steps_end_where_the_network_points(steps: int) -> None:
    everything = frames(16)
    made = painted(knows_each_frame, everything, replace(UNGUIDED, steps=steps))
    heard = everything.audio.mean(dim=(1, 2)).view(-1, 1, 1, 1)
    assert float((made - everything.reference - heard).abs().max()) < 0.2


def test_the_fast_preset_paints_too() -> None:
    conditions = frames(20)
    latents = painted(knows_each_frame, conditions, replace(FAST, guidance=1.0))
    heard = conditions.audio.mean(dim=(1, 2)).view(-1, 1, 1, 1)
    assert torch.allclose(latents, conditions.reference + heard, atol=0.05)


def test_steps_are_told_and_cancelling_ends_the_loop_before_the_next_call() -> None:
    told: list[tuple[int, int]] = []
    calls: list[int] = []
    token = CancelToken()

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        calls.append(int(timestep))
        return torch.cat([sample[:, :4]] * 2)

    def on_step(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        painted(predict, frames(28), Sampling(steps=5), on_step=on_step, check=token.check)
    assert told == [(1, 5), (2, 5)]
    assert len(calls) == 4  # two clips at two steps


def test_the_network_computes_in_its_own_numbers_and_the_loop_in_wide_ones() -> None:
    seen: set[torch.dtype] = set()

    def predict(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        seen.update((sample.dtype, audio.dtype))
        return knows_each_frame(sample, timestep, audio).to(sample.dtype)

    narrow = Compute(torch.device("cpu"), torch.bfloat16)
    latents = painted(predict, frames(16), UNGUIDED, narrow)
    assert seen == {torch.bfloat16}
    assert latents.dtype == torch.float32


@pytest.mark.parametrize(("solver", "steps"), [("euler", 20), ("ddim", 0), ("dpm++", 1001)])
def test_settings_without_sense_are_refused(solver: Solver, steps: int) -> None:
    with pytest.raises(ValueError, match=r"there is no solver|no number of steps"):
        make_scheduler(solver, steps)
