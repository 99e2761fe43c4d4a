"""Clips per second of LatentSync's network on a GPU, and its memory; run by `hybrid --device cuda`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common import machine, table
from benchmarks.flops import Stopwatch, matmul_rate
from benchmarks.hybrid_work import CLIP, FOLDER, LONG, call_flop, random_conditions, random_input
from hybrid.conditioning import format_for_musetalk
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.drop_in import format_for_latentsync
from hybrid.sampler import PUBLISHED, Sampling
from hybrid.unet3d.loading import load_unet3d
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.autoencoder import Autoencoder, load_autoencoder
from musetalk.runtime.device import Compute


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        sides: Of crops, in pixels.
        repeats: Runs of which the quickest counts.
        compiler: Options of torch.compile.
        sampling: Of whole clips.
        decoded: Frames decoded at once, and encoded.
    """

    sides: tuple[int, ...]
    repeats: int
    compiler: dict[str, Any]
    sampling: Sampling
    decoded: int


# "reduce-overhead" is what records CUDA graphs
FULL = Plan((256, 512), 5, {"mode": "reduce-overhead"}, PUBLISHED, 8)
SMOKE = Plan((64,), 1, {"backend": "eager"}, Sampling(steps=2), 2)


def measure(models: Path, compute: Compute, plan: Plan) -> str:
    """Measure all; the page.

    Args:
        models: With the networks.
        compute: What to run on.
        plan: How much.
    """
    on_gpu = compute.device.type == "cuda"
    watch = Stopwatch(plan.repeats, compute.device)
    rate = matmul_rate(watch, compute.dtype)
    unet = load_unet3d(models / FOLDER, dtype=compute.dtype)
    steps = [row for side in plan.sides for row in _step_rows(unet, side, compute, plan, rate)]
    autoencoder = load_autoencoder(models, compute, "sd", None)
    with torch.inference_mode():
        clips = [_clip_row(unet, autoencoder, side, compute, plan) for side in plan.sides]
        peaks = [_peak_row(unet, side, compute, plan) for side in plan.sides] if on_gpu else []
    name = torch.cuda.get_device_name(compute.device) if on_gpu else "CPU"
    return f"""# LatentSync on a GPU

{name}, {str(compute.dtype).removeprefix("torch.")}, torch {torch.__version__}, {machine()}.
Published sizes, random weights, clips of {CLIP} frames.

## Denoising

One call for both halves of guidance, the best of {plan.repeats} runs; clips/s: of {plan.sampling.steps} such calls
each, and what they would be at the rate of the best large matrix product in this number type, {rate / 1e12:.2f}
TFLOP/s here. Compiled: torch.compile ({plan.compiler}), channels last.

{table(["crops", "way", "ms a step", "clips/s", "limit", "of limit"], steps)}
## Whole clips

Crops in, crops out, not compiled: encoding twice {CLIP} pictures, {plan.sampling.steps} guided steps, decoding; each
stage by itself, the best of {plan.repeats} runs.

{table(["crops", "encode, s", "denoise, s", "decode, s", "clips/s", "frames/s"], clips)}
## Memory

Peak GB that torch had allocated, weights included, while it painted one clip; {LONG} frames, which are four that
overlap; and {LONG} more.

{table(["crops", f"{CLIP} frames", f"{LONG} frames", f"{LONG} more"], peaks) if peaks else "Not measured."}"""


def _step_rows(unet: UNet3D, side: int, compute: Compute, plan: Plan, matmul: float) -> list[list[str]]:
    """One guided step: plain, channels last, and compiled."""
    watch = Stopwatch(plan.repeats, compute.device)
    flop = 2 * call_flop(unet.config, side)
    sample, timestep, audio = random_input(2, side, compute.device, compute.dtype)

    found: dict[str, float] = {}
    with torch.inference_mode():
        for way, layout in (("eager", torch.contiguous_format), ("channels_last", torch.channels_last)):
            # not its own method: diffusers' warn of changes of dtype
            nn.Module.to(compute.place(unet), memory_format=layout)
            found[way] = watch.warm_seconds(lambda: unet(sample, timestep, audio))
        torch.compiler.reset()
        compiled = torch.compile(unet, dynamic=False, **plan.compiler)
        found["compiled"] = watch.warm_seconds(lambda: compiled(sample, timestep, audio))
    steps, limit = plan.sampling.steps, matmul / (plan.sampling.steps * flop)
    return [
        [
            f"{side}",
            way,
            f"{1000 * seconds:.1f}",
            f"{1 / (steps * seconds):.3g}",
            f"{limit:.3g}",
            f"{1 / (steps * seconds) / limit:.0%}",
        ]
        for way, seconds in found.items()
    ]


def _clip_row(unet: UNet3D, autoencoder: Autoencoder, side: int, compute: Compute, plan: Plan) -> list[str]:
    """Seconds of a whole clip, stage by stage."""
    watch = Stopwatch(plan.repeats, compute.device)
    crops = np.random.default_rng(0).integers(0, 256, (CLIP, side, side, 3), dtype=np.uint8)
    conditions = random_conditions(CLIP, side, compute)
    denoiser = LatentSyncDenoiser(unet, compute, plan.sampling)
    latents = compute.tensor(format_for_musetalk(conditions[0].reference))
    works: tuple[Callable[[], object], ...] = (
        lambda: format_for_latentsync(crops, autoencoder.encoder, batch=plan.decoded),
        lambda: denoiser.paint(*conditions),
        lambda: [autoencoder.decoder.decode_rows(part, 0) for part in torch.split(latents, plan.decoded)],
    )
    seconds = [watch.warm_seconds(work) for work in works]
    whole = sum(seconds)
    return [f"{side}", *(f"{each:.3f}" for each in seconds), f"{1 / whole:.3g}", f"{CLIP / whole:.3g}"]


def _peak_row(unet: UNet3D, side: int, compute: Compute, plan: Plan) -> list[str]:
    """Peak memory of one clip, of four, and of four more."""
    row = [f"{side}"]
    for frames in (CLIP, LONG, LONG):
        torch.cuda.reset_peak_memory_stats(compute.device)
        LatentSyncDenoiser(unet, compute, plan.sampling).paint(*random_conditions(frames, side, compute))
        row.append(f"{torch.cuda.max_memory_allocated(compute.device) / 1e9:.2f}")
    return row
