"""Memory while one generator paints many segments: does it stay where it was?"""

from __future__ import annotations

from functools import partial

from benchmarks.gpu.device import forget_peaks, memory_of
from benchmarks.gpu.networks import random_clips
from benchmarks.gpu.part import Task
from hybrid.loading import load_latentsync
from hybrid.options import LatentSyncOptions
from musetalk.backends.latent.generator import LatentGenerator
from musetalk.backends.musetalk.generator import load_musetalk
from musetalk.settings import RenderSettings

SEGMENTS = 20
_TOLD = (1, 2, 5, 10, SEGMENTS)  # after how many


def measure(task: Task) -> None:
    """Paint, and look."""
    task.findings.say(
        f"GB after so many of {SEGMENTS} segments of fresh frames, each one clip: what torch has allocated, its peak "
        "since the segment before in this table, what it keeps of the card, and the memory of the process. "
        "LatentSync's are of one step."
    )
    task.findings.head("generator", "segments", "allocated", "peak", "kept", "process")
    task.findings.attempt("MuseTalk 1.5", partial(_musetalk, task))
    task.findings.attempt("LatentSync 1.5", partial(_latentsync, task), 0.0 if task.smoke else 15.0)


def _musetalk(task: Task) -> None:
    _watch(task, "MuseTalk 1.5", load_musetalk(task.models, "v15", task.compute(), batch=2 if task.smoke else None))


def _latentsync(task: Task) -> None:
    settings = RenderSettings.parse({"models_dir": task.models, "latentsync": {"steps": 1}})
    _watch(task, "LatentSync 1.5", load_latentsync(LatentSyncOptions.of(settings), "1.5", task.compute()))


def _watch(task: Task, name: str, generator: LatentGenerator) -> None:
    segments, frames = (2, 2) if task.smoke else (SEGMENTS, generator.clip_length)
    clips = random_clips(generator, 2, frames)
    forget_peaks(task.device)
    for segment in range(1, segments + 1):
        clip = clips[segment % 2]
        clip.crops[:, 0, 0, 0] = segment  # fresh: latents are kept under what the pixels are
        generator.generate(clip)
        if segment in _TOLD:
            found = memory_of(task.device)
            figures = (f"{found[key]:.3f}" for key in ("allocated", "peak", "kept", "process"))
            task.findings.row(name, segment, *figures)
            forget_peaks(task.device)
