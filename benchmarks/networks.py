"""What each network of MuseTalk computes and how fast, in its published size with random weights.

python -m benchmarks.networks      on the CPU, five minutes: networks.md
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.common import GPU_NOTE, machine, measured, publish, table, verdict
from benchmarks.flops import Stopwatch, Timing, against_parts, count_flop, matmul_rate
from benchmarks.full_size import write_models
from benchmarks.networks_faces import PLANNED, Stage, composites, detection, parsing, video
from benchmarks.networks_memory import FRAMES
from musetalk.audio.whisper import load_whisper
from musetalk.backends.latent.vae import TinyDecoder, VaeDecoder, VaeEncoder, load_tiny, load_vae
from musetalk.backends.musetalk.generator import MuseTalkDenoiser, load_unet
from musetalk.backends.types import Clip
from musetalk.runtime.allocator import keep_large_buffers
from musetalk.runtime.device import choose_compute

UPSTREAM = 1.9e12  # FLOP of one frame, first or again: upstream MuseTalk measured on two CPU cores, 704x1216
ROW_SHOWN = 115  # of 256: where the jaw's mask begins in a crop, about; the rows above are not decoded by TAESD
WINDOW_FRAMES = 750  # of a window of Whisper's, 30 s at 25 fps


def generator_stages(models: Path, watch: Stopwatch) -> dict[str, tuple[Timing, int]]:
    """Encoder, UNet and decoders as the generator calls them: their timing, and the frames of one call."""
    compute = choose_compute("cpu")
    random = torch.Generator().manual_seed(0)
    unet = MuseTalkDenoiser(compute.place(load_unet(models / "musetalkV15")), compute, FRAMES)
    seen, audio = (torch.randn(FRAMES, *size, generator=random) for size in ((8, 32, 32), (50, 384)))
    clip = Clip(np.zeros((FRAMES, 256, 256, 3), np.uint8), audio.numpy(), ())
    timings = {"UNet": (against_parts(lambda: unet.denoise(seen, audio, clip), watch), FRAMES)}
    vae = compute.place(load_vae(models / "sd-vae"))
    encoder, decoder = VaeEncoder(vae, compute), VaeDecoder(vae, compute)
    tiny = TinyDecoder(compute.place(load_tiny(models / "taesd")), compute)
    pixels, latents = (torch.randn(*size, generator=random) for size in ((2, 3, 256, 256), (1, 4, 32, 32)))
    works: dict[str, Callable[[], object]] = {
        "VAE encode": lambda: encoder.encode(pixels),
        "VAE decode, sd": lambda: decoder.decode_rows(latents, ROW_SHOWN),
        "VAE decode, tiny": lambda: tiny.decode_rows(latents, ROW_SHOWN),
    }
    return timings | {name: (against_parts(work, watch), 1) for name, work in works.items()}


def hearing(models: Path, watch: Stopwatch) -> Stage:
    """Whisper's encoder, per output frame."""
    listener = load_whisper(models / "whisper")
    mel = np.zeros((80, 2 * listener.window_steps), np.float32)
    flop = count_flop(lambda: listener.encode(mel))
    return Stage(watch.seconds(lambda: listener.encode(mel)) / WINDOW_FRAMES, flop / WINDOW_FRAMES)


def measure_cpu(folder: Path) -> str:
    """Measure all on one thread of the CPU; the page."""
    memory = measured("networks_memory", str(folder / "models"))
    keep_large_buffers()
    torch.set_num_threads(1)
    watch = Stopwatch()
    rate = matmul_rate(Stopwatch(repeats=4))
    planned, full = detection(watch)
    decoding, encoding = video(folder)
    painted = generator_stages(folder / "models", watch)
    rate = max(rate, matmul_rate(Stopwatch(repeats=4)))
    stages = {
        "decode": decoding,
        "detect": planned,
        "parse": parsing(folder / "models", watch),
        "speech (Whisper)": hearing(folder / "models", watch),
        **{name: Stage(timing.whole / frames, timing.flop / frames) for name, (timing, frames) in painted.items()},
        "mask and composite": composites(watch),
        "encode (x264)": encoding,
    }
    timings = {name: timing for name, (timing, _) in painted.items()}
    return "\n".join(
        (_stages_text(stages, timings, rate), _floors_text(planned, full, memory, timings), _memory_text(memory))
    )


def _stages_text(stages: dict[str, Stage], timings: dict[str, Timing], rate: float) -> str:
    rows = []
    for name, stage in stages.items():
        flop_rate = stage.flop / stage.seconds
        known = [f"{stage.flop / 1e9:.1f}", f"{flop_rate / 1e9:.0f}", f"{flop_rate / rate:.0%}"] if stage.flop else []
        share = f"{timings[name].share:.2f}" if name in timings else ""
        rows.append([name, f"{1000 * stage.seconds:.1f}", *(known or ["", "", ""]), share])
    head = ["stage", "ms", "GFLOP", "GFLOP/s", "of matmul", "parts / whole"]
    load = psutil.getloadavg()[0]
    return f"""# Networks

## Stages, on the CPU

Per frame of a 1920x1080 clip with one face, 256-pixel crops: milliseconds that one thread computes, GFLOP as torch
counts them, and the rate against that of the best large fp32 matrix product, {rate / 1e9:.0f} GFLOP/s here (by
oneDNN or MKL, whichever is quicker; torch's linear layers go to MKL, which is slow on AMD's processors). Time in which
other programs have the core is not counted, but they slow it all the same (load average {load:.1f} at the end).
Parts / whole: the time of the same convolutions, matrix products and attention, each by itself in the same shapes and
memory layout, against the time of the network in the same run. UNet in batches of {FRAMES}, all else one frame at a
time; both decoders for the rows from {ROW_SHOWN} down. Published sizes, random weights, fp32,
large buffers kept as the command line and the app keep them.
torch {torch.__version__}, {machine()}.

{table(head, rows)}"""


def _floors_text(planned: Stage, full: int, memory: dict[str, Any], timings: dict[str, Timing]) -> str:
    lowest = min(("UNet", "VAE encode", "VAE decode, sd"), key=lambda name: timings[name].share)
    again, first = memory["again"], memory["first"]
    peaks, room = memory["resident"], memory["weights"] + 2e9
    rows = [
        [
            f"detection of a planned clip ({PLANNED} frames), against a look at full size each",
            f"{planned.flop / 1e9:.0f} of {full / 1e9:.0f} GFLOP: {planned.flop / full:.1%}",
            "10 %",
            verdict(planned.flop <= full / 10),
        ],
        [
            "a frame that ping-pong shows again, against upstream's 1.9 TFLOP",
            f"{again / 1e9:.0f} GFLOP: {again / UPSTREAM:.1%} (the first time: {first / 1e9:.0f} GFLOP)",
            "45 %",
            verdict(again <= 0.45 * UPSTREAM),
        ],
        [
            "parts / whole of UNet and VAE, the lowest",
            f"{timings[lowest].share:.2f} ({lowest})",
            "at least 0.80",
            verdict(timings[lowest].share >= 0.8),
        ],
        *(
            [
                f"peak memory: {phase}",
                f"{peaks[phase] / 1e9:.2f} GB",
                f"{room / 1e9:.2f} GB",
                verdict(peaks[phase] <= room),
            ]
            for phase in ("load", "generate")
        ),
    ]
    return f"## Floors\n\n{table(['what', 'measured', 'floor', ''], rows)}"


def _memory_text(memory: dict[str, Any]) -> str:
    rows = [
        [phase, f"{memory['resident'][phase] / 1e9:.2f}", f"{memory['own'][phase] / 1e9:.2f}"]
        for phase in ("load", "generate")
    ]
    return f"""## Memory, on the CPU

A fresh process loads UNet and autoencoder ({memory["weights"] / 1e9:.2f} GB of fp32 weights in files) and makes two
clips of {FRAMES} frames, the second of the same crops with other speech. Peak GB: resident, and without the pages of
mapped files, which count as resident but which the system takes back when it needs them.

{table(["while it", "resident", "without files"], rows)}"""


def main() -> None:
    """Write the files, measure, write the page, and remove the files."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the files are removed then, too
    with tempfile.TemporaryDirectory(prefix="musetalk-networks-") as name:
        models = Path(name) / "models"
        models.mkdir()
        write_models(models)
        publish("networks.md", measure_cpu(Path(name)) + GPU_NOTE)


if __name__ == "__main__":
    main()
