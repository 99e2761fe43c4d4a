"""What LatentSync's network computes and how fast, in its published size with random weights.

python -m benchmarks.hybrid              ten minutes: hybrid.md
python -m benchmarks.hybrid --smoke      with small networks: does it run?
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.common import GPU_NOTE, machine, measured, publish, table, verdict
from benchmarks.flops import Stopwatch, Timing, against_parts, count_flop, matmul_rate
from benchmarks.full_size import write_latentsync, write_vae
from benchmarks.hybrid_quality import quality_text
from benchmarks.hybrid_work import CLIP, FOLDER, FULL, LONG, SMALL, Sizes, StepFlop, random_conditions, step_flop
from hybrid.clips import plan_clips
from hybrid.conditioning import Conditioning, format_for_musetalk
from hybrid.sampler import FAST, PUBLISHED, Sampler, Sampling
from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.loading import place_unet3d
from musetalk.backends.latent.autoencoder import load_autoencoder
from musetalk.runtime.allocator import keep_large_buffers
from musetalk.runtime.device import choose_compute

ROOM = 12e9  # bytes that a step of one clip may take
_SMALL_PARTS = (FOLDER, "sd-vae")


@dataclass(frozen=True, slots=True)
class Steps:
    """Seconds and FLOP of one step of a clip.

    Attributes:
        alone: At guidance 1, and of its own parts.
        paired: Guided, both halves in one call: seconds.
        kept: The same with the deep features of the step before: seconds.
        halves: Guided, one half after the other: seconds.
        flop: Counted.
    """

    alone: Timing
    paired: float
    kept: float
    halves: float
    flop: StepFlop


@dataclass(frozen=True, slots=True)
class Ends:
    """Seconds and FLOP of what is before the loop, and after it, for a whole clip."""

    encode: float
    encode_flop: float
    decode: float
    decode_flop: float


def time_steps(models: Path, side: int) -> tuple[Steps, UNet3DConfig]:
    """Time one step of a clip in each way, and tell the network's sizes."""
    compute, watch = choose_compute("cpu"), Stopwatch()
    unet = place_unet3d(models / FOLDER, compute)
    conditions = random_conditions(CLIP, side, compute)

    def work(sampling: Sampling) -> None:
        Sampler(unet, compute, replace(sampling, steps=1)).sample(*conditions)

    alone = against_parts(partial(work, replace(PUBLISHED, guidance=1)), watch)
    with torch.inference_mode():
        paired, kept = two_steps(Sampler(unet, compute, replace(PUBLISHED, steps=2, cache=2)), conditions)
        halves = watch.once(partial(work, replace(PUBLISHED, paired=False)))
    return Steps(alone, paired, kept, halves, step_flop(unet.config, side)), unet.config


def two_steps(sampler: Sampler, conditions: tuple[Conditioning, torch.Tensor]) -> tuple[float, float]:
    """Seconds of a step that computes everything, and of the next, which has the deep features of the first."""
    ends = [time.process_time()]
    sampler.sample(*conditions, on_step=lambda *_: ends.append(time.process_time()))
    return ends[1] - ends[0], ends[2] - ends[1]


def time_ends(models: Path, side: int) -> Ends:
    """Time the encoder on one frame, which is two pictures, and the decoder on one; both for a clip."""
    compute, watch = choose_compute("cpu"), Stopwatch()
    autoencoder = load_autoencoder(models, compute, "sd", None)
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    latents = format_for_musetalk(random_conditions(1, side, compute)[0].reference)
    works = (lambda: autoencoder.encoder.encode(pixels), lambda: autoencoder.decoder.decode_rows(latents, 0))
    with torch.inference_mode():
        encode, decode = ((CLIP * watch.seconds(work), float(CLIP * count_flop(work))) for work in works)
    return Ends(*encode, *decode)


def measure_cpu(models: Path, sizes: Sizes) -> str:
    """Measure all on one thread of the CPU, save for memory; the page."""
    memory = measured("hybrid_memory", str(models), str(sizes.side), str(sizes.long_side))
    keep_large_buffers()
    torch.set_num_threads(1)
    rate = matmul_rate(Stopwatch(repeats=4))
    steps, config = time_steps(models, sizes.side)
    ends = time_ends(models, sizes.side)
    rate = max(rate, matmul_rate(Stopwatch(repeats=4)))
    parts = (
        _steps_text(steps, rate, sizes.side),
        _guidance_text(steps),
        _clip_text(steps, ends),
        _overlap_text(),
        quality_text(sizes.many_steps),
        _flop_text(config, sizes.side),
        _memory_text(memory),
    )
    return "\n".join(parts)


def _steps_text(steps: Steps, rate: float, side: int) -> str:
    flop = steps.flop
    ways = (
        ("guidance 1", steps.alone.whole, flop.alone, f"{steps.alone.share:.2f}"),
        ("guided, both halves in one call", steps.paired, flop.guided, ""),
        ("guided, deep features of the step before", steps.kept, flop.kept, ""),
        ("guided, one half after the other", steps.halves, None, ""),
    )
    rows = [[name, f"{s:.1f}", *_rates(done, s, rate), share] for name, s, done, share in ways]
    load = psutil.getloadavg()[0]
    return f"""# LatentSync's network

## A step, on the CPU

One clip of {CLIP} crops of {side} pixels: seconds that one thread computes, GFLOP as torch counts them, and the rate
against that of the best large fp32 matrix product, {rate / 1e9:.0f} GFLOP/s here (by oneDNN or MKL, whichever is
quicker; torch's linear layers, most of the work here, go to MKL, which is slow on AMD's processors). The cores were
shared: time in which other programs had them is not counted, but they slow it all the same (load average {load:.1f} at
the end). Parts / whole: the time of the same convolutions, matrix products and attention, each by itself in the same
shapes and memory layout, against the time of the network in the same run. Large buffers are kept, as the command line
and the app do. Published sizes, motion modules at all levels, random weights, fp32. torch {torch.__version__},
{machine()}.

{table(["step", "s", "GFLOP", "GFLOP/s", "of matmul", "parts / whole"], rows)}"""


def _rates(done: int | None, seconds: float, best: float) -> tuple[str, str, str]:
    """GFLOP, GFLOP/s, and the share of the best rate; nothing where it was not counted."""
    if done is None:
        return "", "", ""
    return f"{done / 1e9:.0f}", f"{done / seconds / 1e9:.0f}", f"{done / seconds / best:.0%}"


def _guidance_text(steps: Steps) -> str:
    rows = [
        ["guided, one call for both halves, against two calls", f"{steps.paired / steps.halves:.2f}"],
        ["guided, deep features of the step before, against all anew", f"{steps.kept / steps.paired:.2f}"],
        ["guidance 1, which skips a half, against guided in one call", f"{steps.alone.whole / steps.paired:.2f}"],
    ]
    return f"## Guidance\n\n{table(['what', 'ratio of seconds'], rows)}"


def _clip_text(steps: Steps, ends: Ends) -> str:
    presets = (("published", PUBLISHED), ("fast", FAST), ("fast, guidance 1", replace(FAST, guidance=1)))
    rows = []
    for name, sampling in presets:
        skips = sampling.guidance == 1
        loop = sampling.steps * (steps.alone.whole if skips else steps.paired)
        flop = sampling.steps * (steps.flop.alone if skips else steps.flop.guided)
        whole = ends.encode + loop + ends.decode
        shares = (f"{seconds:.0f} ({seconds / whole:.0%})" for seconds in (ends.encode, loop, ends.decode))
        total = ends.encode_flop + flop + ends.decode_flop
        rows.append([name, sampling.steps, *shares, f"{whole:.0f}", f"{total / 1e12:.0f}", f"{whole / CLIP:.1f}"])
    head = ["preset", "steps", "encode, s", "steps, s", "decode, s", "in all, s", "TFLOP", "s a frame"]
    return f"""## A whole clip

From one step, one frame encoded (two pictures) and one decoded (Stable Diffusion's decoder, all rows), of the same run.

{table(head, rows)}"""


def _overlap_text() -> str:
    longest = LONG + 2 * (LONG - PUBLISHED.overlap)  # as three calls of the denoiser reach
    rows = []
    for frames in (CLIP, 2 * CLIP, LONG, longest):
        counts = [len(plan_clips(frames, CLIP, overlap)) for overlap in (PUBLISHED.overlap, 0)]
        rows.append([frames, *counts, f"{counts[0] / counts[1]:.2f}", f"{counts[0] * CLIP / frames:.2f}"])
    head = ["frames of one face", f"clips, {PUBLISHED.overlap} shared", "clips, none shared", "ratio", "work a frame"]
    return f"""## What the overlap costs

Clips of {CLIP} frames that a stretch takes; all of a step's work is in them. Work a frame: frames computed for each
frame shown. The longer the stretch, the closer this comes to {CLIP / (CLIP - PUBLISHED.overlap):.2f}.

{table(head, rows)}"""


def _flop_text(config: UNet3DConfig, side: int) -> str:
    rows = []
    for pixels in (side, 2 * side):
        flop = step_flop(config, pixels)
        counts = [flop.alone / 1e9, flop.guided / 1e9, flop.kept / 1e9]
        tera = flop.guided * PUBLISHED.steps / 1e12
        rows.append([pixels, *(f"{count:.0f}" for count in counts), f"{tera:.0f}", f"{tera / CLIP:.1f}"])
    head = [
        "crops",
        "GFLOP a step",
        "guided",
        "deep features kept",
        f"TFLOP of {PUBLISHED.steps} guided steps",
        "a frame",
    ]
    return f"## Counted, not run\n\nOne clip of {CLIP} frames.\n\n{table(head, rows)}"


def _memory_text(memory: dict[str, Any]) -> str:
    peaks = memory["peaks"]
    rows = [[name, *(f"{peak / 1e9:.2f}" for peak in both)] for name, both in peaks.items()]
    most = max(resident for resident, _ in peaks.values())
    return f"""## Memory, on the CPU

A fresh process loads the network ({memory["weights"] / 1e9:.2f} GB of fp32 weights), then takes one step of: one clip;
{LONG} frames, which are four clips that overlap; as many again; and one clip of larger crops, without guidance and
guided in one call. The first three at guidance 1. Peak GB: resident, and without the pages of mapped files, which
count as resident but which the system takes back when it needs them. The network sees one clip at a time, so that the
length of a video does not matter.

{table(["while it", "resident", "without files"], rows)}
The limit for one step of one clip is {ROOM / 1e9:.0f} GB: {verdict(most <= ROOM)}, with {most / 1e9:.2f} GB at most.
"""


def smoke(folder: Path) -> str:
    """Run it with small networks written into a folder; the page."""
    from tests.helpers.tiny_checkpoints import write_all  # noqa: PLC0415 - only where the tests are

    write_all(folder, _SMALL_PARTS)
    return measure_cpu(folder, SMALL)


def main() -> None:
    """Write the files, measure, write the page, and remove the files."""
    parser = argparse.ArgumentParser(description="Measure LatentSync's network in its published size.")
    parser.add_argument("--smoke", action="store_true", help="try it with small networks; publishes nothing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the files are removed then, too
    with tempfile.TemporaryDirectory(prefix="musetalk-hybrid-") as name:
        models = Path(name)
        if given.smoke:
            sys.stdout.write(smoke(models))
            return
        write_latentsync(models)
        write_vae(models)
        publish("hybrid.md", measure_cpu(models, FULL) + GPU_NOTE)


if __name__ == "__main__":
    main()
