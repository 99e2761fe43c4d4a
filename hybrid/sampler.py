"""The denoising loop, its guidance and its schedulers: from noise to the latents of a mouth, over all frames of a face.

At every step the network sees the frames clip by clip, and what it says of frames that clips share is cross-faded
before the step is taken (as MultiDiffusion does in space: https://arxiv.org/abs/2302.08113). So all clips move along
one path, and agree where they meet. To cross-fade only the finished latents costs as much, but mixes mouths that have
settled apart: with a stand-in that has to settle for one of two, it leaves up to four times as much in between.

Borders between two calls are not softened: whoever cuts frames into calls lets these overlap, too, or makes them long
(52 frames are four clips that meet softly).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import torch

from hybrid.clips import clip_weights, mirrored, phases, plan_clips
from hybrid.conditioning import PUBLISHED_SEED, Conditioning
from hybrid.unet3d.deep import DeepFeatures
from musetalk.runtime.device import Compute
from musetalk.settings import PRESET_STEPS
from musetalk.utils.modules import importing

Solver: TypeAlias = Literal["ddim", "dpm++"]
StepCallback: TypeAlias = Callable[[int, int], None]

# How the network was trained to see noise (LatentSync's configs/scheduler_config.json).
_SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}


class NoisePredictor(Protocol):
    """LatentSync's network, or what stands in for it."""

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        audio: torch.Tensor,
        *,
        silent: int = 0,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """Tell the noise in a clip, as each of some voices has it.

        Args:
            sample: float [1, 13, f, h, w]: noisy latents 4, mask 1, masked image 4, reference 4.
            timestep: int64 [].
            audio: float [(n f), 50, 384], of n voices.
            silent: Voices at the beginning of `audio` that are zeros.
            deep: Filled where it is empty; else what it holds stands for most of the network's work.

        Returns:
            float [n, 4, f, h, w].
        """
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the loop runs.

    Attributes:
        solver: "ddim", as LatentSync is published; or "dpm++", DPM-Solver++ of second order at Karras's noise levels,
            for fewer steps: on smooth distributions whose noise is known exactly, 8 end nearer than 20 of DDIM's;
            on one of three narrow heaps as near as about 12.
        steps: How many.
        guidance: How far to go beyond what the voice says, from what silence says; 1: no further, at half the work.
        seed: Of the noise.
        clip_length: Frames that the network sees together: 16, as it was trained, at most 24.
        overlap: Frames that each clip at least shares with the one before.
        paired: Whether both halves of guidance are one call. Two calls give the same, in half the memory.
        cache: At how many steps the network's deep features are used: 1: they are computed at each; 2: at every other.
    """

    solver: Solver = "ddim"
    steps: int = PRESET_STEPS["published"]
    guidance: float = 1.5
    seed: int = PUBLISHED_SEED
    clip_length: int = 16
    overlap: int = 4
    paired: bool = True
    cache: int = 1


PUBLISHED = Sampling()
FAST = Sampling(solver="dpm++", steps=PRESET_STEPS["fast"])


class Sampler:
    """Runs the loop. Keeps nothing between calls: the same frames and the same noise give the same latents.

    Args:
        predict: The network, placed on `compute`.
        compute: What it runs on. The loop itself computes in float32.
        sampling: How.
    """

    def __init__(self, predict: NoisePredictor, compute: Compute, sampling: Sampling = PUBLISHED) -> None:
        self._predict, self._compute, self._sampling = predict, compute, sampling

    def sample(
        self,
        conditioning: Conditioning,
        audio: torch.Tensor,
        *,
        stride: int = 1,
        on_step: StepCallback | None = None,
        check: Callable[[], None] | None = None,
    ) -> torch.Tensor:
        """Paint the mouths of N consecutive frames. Call it inside `torch.inference_mode`.

        Args:
            conditioning: What they are painted from. Fewer frames than a clip has are mirrored to fill one, so that
                the network's norms see no more and no other frames than they were trained on.
            audio: float [N, 50, 384], Whisper's features.
            stride: From one frame of a clip to the next: with more than 1, the frames are painted as so many runs that
                lie in between each other (see `phases`), all from the same noise, at no more work.
            on_step: Told how many steps are done, and of how many, after each.
            check: Called before each call of the network; raises where the work is to end.

        Returns:
            float32 [1, 4, N, h, w], scaled latents, on the device.

        Raises:
            ValueError: The voice is of other frames, or settings make no sense.
        """
        count = conditioning.frames
        if len(audio) != count:
            raise ValueError(f"audio must be [{count}, 50, 384] beside {count} frames, not {list(audio.shape)}")
        runs = phases(count, stride)
        filled = [[run[place] for place in mirrored(len(run), self._sampling.clip_length)] for run in runs]
        order = [frame for run in filled for frame in run]
        clips = self._prepare(conditioning, audio, filled)
        scheduler = make_scheduler(self._sampling.solver, self._sampling.steps)
        latents: torch.Tensor = conditioning.start(order).to(self._compute.device) * scheduler.init_noise_sigma
        # For the network, all at once: each move would wait for what the device has to do. The scheduler has its own.
        times = scheduler.timesteps.to(self._compute.device)
        for step, timestep in enumerate(scheduler.timesteps):
            if step % self._sampling.cache == 0:
                for clip in clips:
                    clip.forget()
            told = torch.zeros_like(latents)
            for clip in clips:
                if check is not None:
                    check()
                told[:, :, clip.frames] += self._guided(latents[:, :, clip.frames], times[step], clip) * clip.weight
            latents = scheduler.step(told, timestep, latents, return_dict=False)[0]
            if on_step is not None:
                on_step(step + 1, self._sampling.steps)
        places = {frame: place for place, frame in reversed([*enumerate(order)])}  # the first of those mirrored
        return latents[:, :, [places[frame] for frame in range(count)]]

    def _prepare(self, conditioning: Conditioning, audio: torch.Tensor, runs: list[list[int]]) -> list[_Clip]:
        """Return what each clip is told at every step; the runs' frames lie one run after the other."""
        order, planned = list[int](), list[tuple[range, torch.Tensor]]()
        for run in runs:
            clips = plan_clips(len(run), self._sampling.clip_length, self._sampling.overlap)
            moved = (range(len(order) + clip.start, len(order) + clip.stop) for clip in clips)
            planned += zip(moved, clip_weights(clips), strict=True)
            order += run
        known = self._compute.tensor(conditioning.known(order))
        heard = self._compute.tensor(audio[order])
        return [
            _Clip(
                slice(clip.start, clip.stop),
                known[:, :, clip.start : clip.stop],
                heard[clip.start : clip.stop],
                weight.to(self._compute.device)[:, None, None],
            )
            for clip, weight in planned
        ]

    def _guided(self, latents: torch.Tensor, timestep: torch.Tensor, clip: _Clip) -> torch.Tensor:
        """Noise of a clip, away from what silence says (https://arxiv.org/abs/2207.12598): float32 [1, 4, f, h, w]."""
        guidance = self._sampling.guidance
        sample = torch.cat([self._compute.tensor(latents), clip.known], dim=1)
        of_silence, of_voice = clip.deep if self._sampling.cache > 1 else (None, None)
        if guidance == 1:
            return self._predict(sample, timestep, clip.audio, deep=of_voice).float()
        silence = torch.zeros_like(clip.audio)
        if self._sampling.paired:
            both = self._predict(sample, timestep, torch.cat([silence, clip.audio]), silent=1, deep=of_voice)
            without, heard = both.float().chunk(2)
        else:
            without = self._predict(sample, timestep, silence, silent=1, deep=of_silence).float()
            heard = self._predict(sample, timestep, clip.audio, deep=of_voice).float()
        return without + guidance * (heard - without)


@dataclass(frozen=True, slots=True)
class _Clip:
    """Frames that the network sees together, what it is told of them, and how much its word counts for each.

    And what is kept of one step for the next: of silence, and of the voice; the latter of both where they are one call.
    """

    frames: slice
    known: torch.Tensor
    audio: torch.Tensor
    weight: torch.Tensor
    deep: tuple[DeepFeatures, DeepFeatures] = field(default_factory=lambda: (DeepFeatures(), DeepFeatures()))

    def forget(self) -> None:
        """Let the next step compute everything anew."""
        for each in self.deep:
            each.features = None


def make_scheduler(solver: Solver, steps: int) -> Any:  # noqa: ANN401 - diffusers is untyped
    """Make one of diffusers' schedulers, for one run: DPM-Solver++ remembers its last step.

    Args:
        solver: Which.
        steps: In how many steps.

    Raises:
        ValueError: There is no such solver, or no such number of steps.
    """
    with importing():
        from diffusers import DDIMScheduler, DPMSolverMultistepScheduler  # noqa: PLC0415 - slow to import

    if not 1 <= steps <= 1000:
        raise ValueError(f"{steps} is no number of steps: 1 to 1000 are")
    scheduler: Any
    if solver == "ddim":
        # One step from where there is next to no noise, as spacing from the front has it, would leave all of it.
        spacing = "leading" if steps > 1 else "trailing"
        scheduler = DDIMScheduler(
            **_SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing=spacing
        )
    elif solver == "dpm++":
        scheduler = DPMSolverMultistepScheduler(**_SCHEDULE, use_karras_sigmas=True)
    else:
        raise ValueError(f'there is no solver "{solver}"')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy's, at how diffusers hands it torch's tensors
        scheduler.set_timesteps(steps)
    return scheduler
