"""Clips per second of LatentSync's network, whole clips, and its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.flops import Stopwatch, matmul_rate
from benchmarks.gpu.device import captured, fits, forget_peaks, memory_of
from benchmarks.gpu.networks import LAYOUTS
from benchmarks.gpu.part import Task
from benchmarks.hybrid_work import CLIP, FOLDER, LONG, call_flop, random_conditions, random_input
from hybrid.conditioning import format_for_musetalk
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.drop_in import format_for_latentsync
from hybrid.sampler import PUBLISHED, Sampling
from hybrid.unet3d.loading import load_unet3d
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.autoencoder import load_autoencoder
from musetalk.runtime.device import Compute

_HEAD = ("crops", "way", "clips a call", "ms a call", "clips/s", "limit", "of limit", "frames/s")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        sides: Of crops, in pixels.
        repeats: Runs of which the quickest counts.
        compiler: Options of torch.compile.
        compiling: Seconds that compiling takes at least.
        sampling: Of whole clips.
        decoded: Frames decoded at once, and encoded.
        together: Clips in one call, each with both halves of guidance; renders have one.
        matrices: Sides of those whose products are the measure; none: as usual.
    """

    sides: tuple[int, ...]
    repeats: int
    compiler: Mapping[str, Any]
    compiling: float
    sampling: Sampling
    decoded: int
    together: tuple[int, ...]
    matrices: tuple[int, ...] = ()


FULL = Plan((256, 512), 5, {}, 45.0, PUBLISHED, 8, (1, 2, 4))
SMOKE = Plan((32,), 1, {"disable": True}, 0.0, Sampling(steps=2), 2, (1, 2), (64,))


def measure(task: Task) -> None:
    """Measure all."""
    plan, compute = SMOKE if task.smoke else FULL, task.compute()
    unet = compute.place(load_unet3d(task.models / FOLDER, dtype=compute.dtype))
    bench = _Bench(task, plan, compute, unet)
    bench.steps()
    bench.clips()
    bench.peaks()
    bench.compiled()


@dataclass
class _Bench:
    """Measures one loaded network."""

    task: Task
    plan: Plan
    compute: Compute
    unet: UNet3D

    def __post_init__(self) -> None:
        self._watch = Stopwatch(self.plan.repeats, self.compute.device)
        self._rate = matmul_rate(self._watch, self.compute.dtype, self.plan.matrices)

    def steps(self) -> None:
        """One guided step."""
        findings = self.task.findings
        findings.say(
            f"Clips of {CLIP} frames, both halves of guidance in one call; renders have one clip a call. The best of "
            f"{self.plan.repeats} runs; clips/s: of {self.plan.sampling.steps} steps each, and what they would be at "
            f"the rate of the best large matrix product in this number type, {self._rate / 1e12:.4g} TFLOP/s here. "
            "Frames/s: of a long stretch, where clips share a quarter of their frames; the goal on an H100 is 50 at "
            "256 pixels."
        )
        findings.head(*_HEAD)
        for side in self.plan.sides:
            for way, layout in LAYOUTS.items():
                findings.attempt(f"a step at {side} pixels, {way}", partial(self._step, side, way, layout))
            findings.attempt(f"a step at {side} pixels, CUDA graph", partial(self._graph, side, "CUDA graph"))

    def clips(self) -> None:
        """Whole clips, stage by stage."""
        findings = self.task.findings
        findings.say(
            f"Whole clips, crops in, crops out: encoding twice {CLIP} pictures, {self.plan.sampling.steps} guided "
            "steps, decoding; each stage by itself, once warm."
        )
        findings.head("crops", "encode, s", "denoise, s", "decode, s", "clips/s", "frames/s")
        for side in self.plan.sides:
            findings.attempt(f"whole clips of {side} pixels", partial(self._clip, side))

    def peaks(self) -> None:
        """Peak memory of one clip, of four, and of four more."""
        findings = self.task.findings
        findings.say(
            f"Peak GB that torch had allocated, weights included, while it painted one clip; {LONG} frames, which are "
            f"four that overlap; and {LONG} more. One step each."
        )
        findings.head("crops", f"{CLIP} frames", f"{LONG} frames", f"{LONG} more")
        for side in self.plan.sides:
            findings.attempt(f"memory at {side} pixels", partial(self._peak, side))

    def compiled(self) -> None:
        """One guided step, compiled: minutes, so it comes last."""
        findings = self.task.findings
        findings.say("Compiled by torch.compile, channels last.")
        findings.head(*_HEAD)
        for side in self.plan.sides:
            findings.attempt(
                f"a step at {side} pixels, compiled", partial(self._compiled_step, side), self.plan.compiling
            )

    def _call(self, side: int, together: int) -> Callable[[], object]:
        sample, timestep, voice = random_input(together, side, self.compute.device, self.compute.dtype)
        heard = torch.cat([torch.zeros_like(voice), voice])
        return lambda: self.unet(sample, timestep, heard, silent=together)

    def _seconds(self, side: int, together: int) -> float:
        return self._watch.warm_seconds(self._call(side, together))

    def _step(self, side: int, way: str, layout: torch.memory_format) -> None:
        nn.Module.to(self.unet, memory_format=layout)
        for together in self.plan.together:
            with torch.inference_mode():
                seconds = fits(partial(self._seconds, side, together))
            if seconds is None:
                self.task.findings.row(side, way, together, "memory ran out")
                break
            self._tell(side, way, together, seconds)

    def _graph(self, side: int, way: str) -> None:
        with torch.inference_mode():
            work = captured(self._call(side, 1), self.compute.device)
            self._tell(side, way, 1, self._watch.warm_seconds(work))

    def _compiled_step(self, side: int) -> None:
        torch.compiler.reset()
        self.unet.compile(dynamic=False, **self.plan.compiler)
        with torch.inference_mode():
            self._tell(side, "compiled", 1, self._seconds(side, 1))
        self._graph(side, "compiled, CUDA graph")

    def _tell(self, side: int, way: str, together: int, seconds: float) -> None:
        steps = self.plan.sampling.steps
        limit = self._rate / (steps * 2 * call_flop(self.unet.config, side))
        clips = together / (steps * seconds)
        fresh = CLIP - self.plan.sampling.overlap
        figures = (f"{clips:.3g}", f"{limit:.3g}", f"{clips / limit:.0%}", f"{fresh * clips:.1f}")
        self.task.findings.row(side, way, together, f"{1000 * seconds:.1f}", *figures)

    def _clip(self, side: int) -> None:
        watch = Stopwatch(1, self.compute.device)
        autoencoder = load_autoencoder(self.task.models, self.compute, "sd", None)
        crops = np.random.default_rng(0).integers(0, 256, (CLIP, side, side, 3), dtype=np.uint8)
        conditions = random_conditions(CLIP, side, self.compute)
        denoiser = LatentSyncDenoiser(self.unet, self.compute, self.plan.sampling)
        latents = self.compute.tensor(format_for_musetalk(conditions[0].reference))
        works: tuple[Callable[[], object], ...] = (
            lambda: format_for_latentsync(crops, autoencoder.encoder, batch=self.plan.decoded),
            lambda: denoiser.paint(*conditions),
            lambda: [autoencoder.decoder.decode_rows(part, 0) for part in torch.split(latents, self.plan.decoded)],
        )
        with torch.inference_mode():
            seconds = [watch.warm_seconds(work) for work in works]
        whole = sum(seconds)
        stages = (f"{each:.3f}" for each in seconds)
        self.task.findings.row(side, *stages, f"{1 / whole:.3g}", f"{CLIP / whole:.3g}")

    def _peak(self, side: int) -> None:
        denoiser = LatentSyncDenoiser(self.unet, self.compute, replace(self.plan.sampling, steps=1))
        peaks = []
        for frames in (CLIP, LONG, LONG):
            forget_peaks(self.compute.device)
            with torch.inference_mode():
                denoiser.paint(*random_conditions(frames, side, self.compute))
            peaks.append(f"{memory_of(self.compute.device)['peak']:.2f}")
        self.task.findings.row(side, *peaks)
