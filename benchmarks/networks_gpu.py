"""Frames per second of UNet and decoders on a GPU, and of whole renders; run by `networks --device cuda`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import ASSETS, machine, make_clip, make_voice, render, table
from benchmarks.flops import Stopwatch, count_flop, matmul_rate
from benchmarks.full_size import claim_models
from musetalk.backends.latent.vae import LATENT_SCALING, load_tiny, load_vae
from musetalk.backends.musetalk.generator import load_unet
from musetalk.runtime.device import Compute

DECODERS = ("sd", "tiny")
_SIZE = (1280, 720)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        batches: Frames at once.
        repeats: Runs of which the quickest counts.
        compiler: Options of torch.compile.
        seconds: Length of the rendered clip.
        options: Of the render.
    """

    batches: tuple[int, ...]
    repeats: int
    compiler: dict[str, Any]
    seconds: float
    options: tuple[str, ...]


# "reduce-overhead" is what records CUDA graphs; "max-autotune" would try kernels for many minutes, too
FULL = Plan((1, 2, 4, 8, 16, 32, 64), 10, {"mode": "reduce-overhead"}, 10.0, ("--device", "cuda"))
SMOKE = Plan((1,), 1, {"backend": "eager"}, 0.2, ("--device", "cpu"))


class Painter(nn.Module):
    """UNet and one decoder, from latents to pictures.

    Args:
        unet: As loaded; moved.
        decode: The decoder, from scaled latents; moved.
        compute: What to run on.
        layout: Of weights and values in memory.
    """

    def __init__(self, unet: nn.Module, decode: nn.Module, compute: Compute, layout: torch.memory_format) -> None:
        super().__init__()
        self._compute, self._layout = compute, layout
        # not their own methods: diffusers' warn of changes of dtype
        self._unet, self._decode = (nn.Module.to(compute.place(part), memory_format=layout) for part in (unet, decode))
        self._timestep = torch.zeros(1, dtype=torch.long, device=compute.device)

    def forward(self, latents: Tensor, audio: Tensor) -> Tensor:
        """Make pictures: float [N, 8, 32, 32] and [N, 50, 384] to float [N, 3, 256, 256]."""
        painted = self._unet(latents, self._timestep, encoder_hidden_states=audio, return_dict=False)[0]
        pictures: Tensor = self._decode(painted)
        return pictures

    def work(self, batch: int) -> Callable[[], object]:
        """One call for so many frames, on values of its own."""
        device, dtype = self._compute.device, self._compute.dtype
        latents = torch.randn(batch, 8, 32, 32, device=device, dtype=dtype).to(memory_format=self._layout)
        audio = torch.randn(batch, 50, 384, device=device, dtype=dtype)
        return lambda: self(latents, audio)


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
        """Decode float [N, 4, 32, 32]."""
        pictures: Tensor = self.decoder(self.post_quant(latents / LATENT_SCALING))
        return pictures


def measure(folder: Path, compute: Compute, plan: Plan) -> str:
    """Measure all; the page.

    Args:
        folder: With the full-size networks in models/; clips go there, too.
        compute: What to run on.
        plan: How much.
    """
    models, watch = folder / "models", Stopwatch(plan.repeats, compute.device)
    rate = matmul_rate(watch, compute.dtype)
    rows = [row for decoder in DECODERS for row in _decoder_rows(models, decoder, compute, plan, rate)]
    claim_models(models)
    renders = [_render_row(folder, decoder, plan) for decoder in DECODERS]
    on_gpu = compute.device.type == "cuda"
    name = torch.cuda.get_device_name(compute.device) if on_gpu else "CPU"
    return f"""# Networks on a GPU

{name}, {str(compute.dtype).removeprefix("torch.")}, torch {torch.__version__}, {machine()}.
Published sizes, random weights.

## UNet and decoder

Frames per second, the best of {plan.repeats} runs, and the rate against that of the best large matrix product in this
number type, {rate / 1e12:.1f} TFLOP/s here. Compiled: torch.compile ({plan.compiler}), at channels_last's best batch.

{table(["decoder", "way", "batch", "frames/s", "of matmul"], rows)}
## Whole renders

{plan.seconds:g} s of {_SIZE[0]}x{_SIZE[1]} at 25 fps: the shipped sample, faces found by haar (with random weights S3FD
finds none) and parsed to random labels. Frames/s: all but loading the weights; of painting: the stage "generate" alone.

{table(["decoder", "frames", "load, s", "other, s", "frames/s", "of painting"], renders)}"""


def _decoder_rows(
    models: Path, decoder: str, compute: Compute, plan: Plan, matmul: float
) -> list[tuple[str, str, int, str, str]]:
    """One decoder: plain, channels last, and compiled."""
    unet = load_unet(models / "musetalkV15")
    decode = FullDecoder(models / "sd-vae") if decoder == "sd" else load_tiny(models / "taesd").decoder
    watch = Stopwatch(plan.repeats, compute.device)
    found: list[tuple[str, int, float]] = []
    with torch.inference_mode():
        for way, layout in (("eager", torch.contiguous_format), ("channels_last", torch.channels_last)):
            painter = Painter(unet, decode, compute, layout)
            found += [(way, batch, speed) for batch, speed in _speeds(painter, plan.batches, watch)]
        flop = count_flop(painter.work(1))
        best = max((row for row in found if row[0] == "channels_last"), key=lambda row: row[2])[1]
        torch.compiler.reset()
        painter.compile(dynamic=False, **plan.compiler)  # both as one, so that one graph holds them
        found += [("compiled", batch, speed) for batch, speed in _speeds(painter, (best,), watch)]
    return [(decoder, way, batch, f"{speed:.1f}", f"{speed * flop / matmul:.0%}") for way, batch, speed in found]


def _speeds(painter: Painter, batches: tuple[int, ...], watch: Stopwatch) -> list[tuple[int, float]]:
    """(frames at once, frames per second), up to what memory holds."""
    found: list[tuple[int, float]] = []
    for batch in batches:
        try:
            found.append((batch, batch / watch.warm_seconds(painter.work(batch))))
        except torch.OutOfMemoryError:
            break
    return found


def _render_row(folder: Path, decoder: str, plan: Plan) -> tuple[str, int, str, str, str, str]:
    clip = make_clip(folder / "clip.mp4", seconds=plan.seconds, fps="25", size=_SIZE, picture=ASSETS / "sample.mp4")
    voice = make_voice(folder / "voice.wav", seconds=plan.seconds)
    options = ("--backend", "musetalk-v15", "--models-dir", str(folder / "models"), "--detector", "haar")
    report = render(clip, voice, folder / "out.mp4", *options, "--decoder", decoder, *plan.options)
    frames, load = int(report["frames"]), float(report["stages"].get("load", 0))
    working = float(report["wall_seconds"]) - load
    painting = float(report["stages"]["generate"])
    return (
        decoder,
        frames,
        f"{load:.1f}",
        f"{working:.1f}",
        f"{frames / working:.1f}",
        f"{frames / painting:.1f}",
    )
