"""Frames per second of MuseTalk's networks, as they are called and in other ways, by batch; and of its generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.flops import Stopwatch, Work, count_flop, matmul_rate
from benchmarks.gpu.device import captured, fits
from benchmarks.gpu.part import Task
from musetalk.backends.latent.autoencoder import DecoderName
from musetalk.backends.latent.generator import LatentGenerator
from musetalk.backends.latent.vae import LATENT_SCALING, load_tiny, load_vae
from musetalk.backends.musetalk.generator import CROP_SIZE, load_musetalk, load_unet
from musetalk.backends.types import Clip
from musetalk.runtime.device import Compute

DECODERS: tuple[DecoderName, ...] = ("sd", "tiny")
_HEAD = ("networks", "way", "batch", "frames/s", "of matmul")
LAYOUTS: Mapping[str, torch.memory_format] = MappingProxyType(
    {"eager": torch.contiguous_format, "channels last": torch.channels_last}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        batches: Frames at once.
        repeats: Runs of which the quickest counts.
        compiler: Options of torch.compile.
        compiling: Seconds that compiling takes at least.
        side: Of MuseTalk's crops, in pixels.
        matrices: Sides of those whose products are the measure; none: as usual.
        clip: Frames in a clip of the generator; None: as usual.
    """

    batches: tuple[int, ...]
    repeats: int
    compiler: Mapping[str, Any]
    compiling: float
    side: int = CROP_SIZE
    matrices: tuple[int, ...] = ()
    clip: int | None = None


FULL = Plan((1, 4, 8, 16, 32, 64, 128), 5, {}, 30.0)
SMOKE = Plan((1,), 1, {"disable": True}, 0.0, 128, (64,), 2)


class FullDecoder(nn.Module):
    """Stable Diffusion's decoder, from scaled latents.

    Args:
        folder: Where its weights are.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        vae = load_vae(folder)
        self.decoder, self.post_quant = vae.decoder, vae.post_quant_conv

    def forward(self, latents: Tensor) -> Tensor:
        """Decode float [N, 4, h, w]."""
        pictures: Tensor = self.decoder(self.post_quant(latents / LATENT_SCALING))
        return pictures


class FullEncoder(nn.Module):
    """Stable Diffusion's encoder, to the moments of latents.

    Args:
        folder: Where its weights are.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        vae = load_vae(folder)
        self.encoder, self.quant = vae.encoder, vae.quant_conv

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode float [N, 3, S, S]."""
        moments: Tensor = self.quant(self.encoder(pictures))
        return moments


class Painter(nn.Module):
    """UNet and one decoder, from latents to pictures."""

    def __init__(self, unet: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.unet, self.decoder = unet, decoder

    def forward(self, latents: Tensor, timestep: Tensor, audio: Tensor) -> Tensor:
        """Make pictures: float [N, 8, h, w], int64 [1] and float [N, 50, 384] to float [N, 3, 8 h, 8 w]."""
        painted = self.unet(latents, timestep, encoder_hidden_states=audio, return_dict=False)[0]
        pictures: Tensor = self.decoder(painted)
        return pictures


@dataclass(frozen=True, slots=True)
class Subject:
    """Networks that are measured together.

    Attributes:
        name: For the page.
        network: All of them.
        parts: Those that are compiled, each by itself.
        given: Shapes of what it is given for one frame; (): the timestep.
    """

    name: str
    network: nn.Module
    parts: tuple[nn.Module, ...]
    given: tuple[tuple[int, ...], ...]

    def lay_out(self, layout: torch.memory_format) -> None:
        """Lay its weights out in memory."""
        nn.Module.to(self.network, memory_format=layout)  # not its own method: diffusers' warn of changes of dtype

    def work(self, batch: int, compute: Compute, layout: torch.memory_format) -> Work:
        """One call for so many frames, on values of its own."""

        def drawn(shape: tuple[int, ...]) -> Tensor:
            if not shape:
                return torch.zeros(1, dtype=torch.long, device=compute.device)
            values = torch.randn(batch * shape[0], *shape[1:], device=compute.device, dtype=compute.dtype)
            return values.to(memory_format=layout) if values.ndim == 4 else values

        given = [drawn(shape) for shape in self.given]
        return lambda: self.network(*given)

    def compile(self, options: Mapping[str, Any]) -> None:
        """Compile what is not yet, for one shape."""
        for part in self.parts:
            if part._compiled_call_impl is None:  # torch has no other way to ask
                part.compile(dynamic=False, **options)


def measure(task: Task) -> None:
    """Measure all."""
    plan, compute = SMOKE if task.smoke else FULL, task.compute()
    watch = Stopwatch(plan.repeats, compute.device)
    rate = matmul_rate(watch, compute.dtype, plan.matrices)
    task.findings.say(
        f"Frames per second in {str(compute.dtype).removeprefix('torch.')}, the best of {plan.repeats} runs, and the "
        f"rate against that of the best large matrix product in this number type, {rate / 1e12:.4g} TFLOP/s here. "
        "Goals on an H100: 500 with SD's decoder, 1,500 with the tiny one. CUDA graph: all launches in one, "
        "channels last, at the best batch. An encoded frame is two pictures."
    )
    task.findings.head(*_HEAD)
    bench = _Bench(task, plan, compute, watch, rate)
    subjects = _subjects(task.models, compute, plan)
    with torch.inference_mode():
        for subject in subjects:
            for way in LAYOUTS:
                task.findings.attempt(f"{subject.name}, {way}", partial(bench.batches, subject, way))
            task.findings.attempt(f"{subject.name}, CUDA graph", partial(bench.graph, subject))
    task.findings.say(
        "The generator as a render calls it, from crops to crops on the CPU, in clips of its own length: of frames "
        "that it sees for the first time, and of such that it knows."
    )
    task.findings.head("decoder", "clip", "first time, frames/s", "known, frames/s")
    for decoder in DECODERS:
        task.findings.attempt(f"generator, {decoder}", partial(_generator, task, decoder, compute, plan))
    task.findings.say("Compiled by torch.compile, channels last; minutes, so it comes last.")
    task.findings.head(*_HEAD)
    with torch.inference_mode():
        for subject in subjects:
            task.findings.attempt(f"{subject.name}, compiled", partial(bench.compiled, subject), plan.compiling)


def _subjects(models: Path, compute: Compute, plan: Plan) -> tuple[Subject, ...]:
    cells = plan.side // 8
    unet = compute.place(load_unet(models / "musetalkV15"))
    encoder = compute.place(FullEncoder(models / "sd-vae"))
    decoders = {"sd": FullDecoder(models / "sd-vae"), "tiny": load_tiny(models / "taesd").decoder}
    painting = ((1, 8, cells, cells), (), (1, 50, 384))
    painters = (
        Subject(f"UNet + {name} decoder", Painter(unet, compute.place(each)), (unet, each), painting)
        for name, each in decoders.items()
    )
    return (*painters, Subject("encoder", encoder, (encoder,), ((2, 3, plan.side, plan.side),)))


@dataclass
class _Bench:
    """Measures subjects, and remembers at which batch each was best."""

    task: Task
    plan: Plan
    compute: Compute
    watch: Stopwatch
    rate: float

    def __post_init__(self) -> None:
        self._best: dict[str, tuple[float, int]] = {}
        self._flop: dict[str, int] = {}
        self._compiled_at: dict[nn.Module, int] = {}

    def batches(self, subject: Subject, way: str) -> None:
        """One way, at every batch that fits."""
        layout = LAYOUTS[way]
        subject.lay_out(layout)
        for batch in self.plan.batches:
            if self.task.findings.left < 0 and batch > 1:
                self.task.findings.row(subject.name, way, batch, "left out", "")
                continue
            seconds = fits(partial(self._seconds, subject, batch, layout))
            if seconds is None:
                self.task.findings.row(subject.name, way, batch, "memory ran out", "")
                break
            self._tell(subject, way, batch, seconds)
            self._best[subject.name] = max(self._best.get(subject.name, (0.0, batch)), (batch / seconds, batch))

    def graph(self, subject: Subject) -> None:
        """All launches as one, at the best batch."""
        subject.lay_out(torch.channels_last)
        self._captured(subject, "CUDA graph", self._best_batch(subject))

    def compiled(self, subject: Subject) -> None:
        """Compiled, and recorded then; what others have compiled, at their batch."""
        subject.lay_out(torch.channels_last)
        subject.compile(self.plan.compiler)
        batch = self._compiled_at.setdefault(subject.parts[0], self._best_batch(subject))
        self._tell(subject, "compiled", batch, self._seconds(subject, batch, torch.channels_last))
        self._captured(subject, "compiled, CUDA graph", batch)

    def _captured(self, subject: Subject, way: str, batch: int) -> None:
        work = captured(subject.work(batch, self.compute, torch.channels_last), self.compute.device)
        self._tell(subject, way, batch, self.watch.warm_seconds(work))

    def _seconds(self, subject: Subject, batch: int, layout: torch.memory_format) -> float:
        return self.watch.warm_seconds(subject.work(batch, self.compute, layout))

    def _best_batch(self, subject: Subject) -> int:
        return self._best.get(subject.name, (0.0, self.plan.batches[-1]))[1]

    def _tell(self, subject: Subject, way: str, batch: int, seconds: float) -> None:
        if subject.name not in self._flop:
            self._flop[subject.name] = count_flop(subject.work(1, self.compute, torch.channels_last))
        share = batch * self._flop[subject.name] / seconds / self.rate
        self.task.findings.row(subject.name, way, batch, f"{batch / seconds:.1f}", f"{share:.0%}")


def random_clips(generator: LatentGenerator, count: int, frames: int) -> list[Clip]:
    """So many clips of so many frames, of a generator's own size, that it has never seen."""
    random, side = np.random.default_rng(0), generator.crop_size or CROP_SIZE
    return [
        Clip(
            random.integers(0, 256, (frames, side, side, 3), dtype=np.uint8),
            random.standard_normal((frames, 50, 384)).astype(np.float32),
            (),
        )
        for _ in range(count)
    ]


def _generator(task: Task, decoder: DecoderName, compute: Compute, plan: Plan) -> None:
    generator = load_musetalk(task.models, "v15", compute, decoder=decoder, batch=plan.clip)
    watch = Stopwatch(plan.repeats, compute.device)
    frames = generator.clip_length
    fresh = iter(random_clips(generator, plan.repeats + 4, frames))  # for warming up, too
    known = next(fresh)
    first = watch.warm_seconds(lambda: generator.generate(next(fresh)))
    again = watch.warm_seconds(lambda: generator.generate(known))
    task.findings.row(decoder, frames, f"{frames / first:.1f}", f"{frames / again:.1f}")
