"""Whole renders by the real pipeline, and what ffmpeg does by itself."""

from __future__ import annotations

import itertools
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ASSETS, make_clip, make_voice
from benchmarks.gpu.part import Task
from musetalk.errors import OutputError, one_line
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.media.writer import try_encoder
from musetalk.pipeline.first_costs import guessed_costs
from musetalk.pipeline.forecast import CostBook
from musetalk.settings import EncoderSettings, RenderSettings

_REASON = 120  # characters of what ffmpeg says where it cannot do something
_NO_SPEED = 1000.0  # GFLOP/s that forecasts assume: nobody looks at them here
# Of ffmpeg alone: options before the clip, and after it.
_WAYS = {
    "decoding": ([], ["-f", "null", "-"]),
    "decoding by NVDEC": (["-hwaccel", "cuda"], ["-f", "null", "-"]),
    "x264": ([], ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-f", "null", "-"]),
    "NVENC": ([], ["-c:v", "h264_nvenc", "-preset", "p4", "-f", "null", "-"]),
    "NVDEC to NVENC": (
        ["-hwaccel", "cuda", "-hwaccel_output_format", "cuda"],
        ["-c:v", "h264_nvenc", "-f", "null", "-"],
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rendered.

    Attributes:
        sizes: (width, height) of the clips.
        seconds: Their length.
        warming: Length of the voice of a first render, which nobody looks at; 0: there is none.
        decoders: By which MuseTalk's faces are decoded.
        latentsync: Settings of the render by LatentSync.
    """

    sizes: tuple[tuple[int, int], ...]
    seconds: float
    warming: float
    decoders: tuple[str, ...]
    latentsync: dict[str, Any]


FULL = Plan(((1280, 720), (1920, 1080)), 10.0, 1.0, ("sd", "tiny"), {})
SMOKE = Plan(((320, 180),), 0.2, 0.0, ("tiny",), {"steps": 1, "guidance": 1.0})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One render.

    Attributes:
        name: For the page.
        size: Of the clip.
        settings: Besides what all have.
        needs: Seconds that it takes at least.
    """

    name: str
    size: tuple[int, int]
    settings: dict[str, Any]
    needs: float = 0.0


def measure(task: Task) -> None:
    """Render all, then let ffmpeg work alone."""
    plan = SMOKE if task.smoke else FULL
    encoders = ["x264"]
    try:
        try_encoder(EncoderSettings(codec="nvenc"))
        encoders.append("nvenc")
    except OutputError as error:
        task.findings.say(f"Nothing was encoded by NVENC: ffmpeg says `{one_line(error.problem)[:_REASON]}`.")
    for size in plan.sizes:
        _clip(task, size, plan)
    voices = [make_voice(task.folder / f"{each}.wav", seconds=each) for each in (plan.warming, plan.seconds) if each]
    task.findings.say(
        f"{plan.seconds:g} s at 25 fps: the shipped sample, faces found by haar (with random weights S3FD finds none) "
        "and parsed to random labels. Frames/s: of the whole render but for loading the weights; the goal on an H100 "
        "is 200 at 720p. Stages: seconds of work, as a share of that time; they overlap."
    )
    task.findings.head("render", "frames", "frames/s", "stages", "peak MiB of the process")
    engine = LipSync(costs=CostBook(task.folder / "costs.json", lambda kind: guessed_costs(kind, lambda: _NO_SPEED)))
    for wanted in _wanted(plan, encoders):
        task.findings.attempt(wanted.name, partial(_render, task, engine, voices, wanted), wanted.needs)
    task.findings.say("ffmpeg alone, the same clips: frames a second of decoding, and of decoding and encoding them.")
    task.findings.head("clip", "by", "frames/s")
    for size in plan.sizes:
        for by, (before, after) in _WAYS.items():
            what = f"{by} at {size[0]}x{size[1]}"
            task.findings.attempt(what, partial(_ffmpeg, task, size, 25 * plan.seconds, by, before, after))


def _wanted(plan: Plan, encoders: list[str]) -> list[Wanted]:
    renders = []
    for decoder, size, codec in itertools.product(plan.decoders, plan.sizes, encoders):  # each decoder is loaded once
        name = f"MuseTalk 1.5, {size[0]}x{size[1]}, decoder {decoder}, {codec}"
        settings = {"backend": "musetalk-v15", "network": {"decoder": decoder}, "encoder": {"codec": codec}}
        renders.append(Wanted(name, size, settings))
    size = plan.sizes[0]
    latentsync = {"backend": "latentsync-1.5", "latentsync": plan.latentsync}
    needs = 3 * plan.seconds
    return [*renders, Wanted(f"LatentSync 1.5, {size[0]}x{size[1]}, x264", size, latentsync, needs)]


def _clip(task: Task, size: tuple[int, int], plan: Plan) -> Path:
    return make_clip(_path(task, size), seconds=plan.seconds, fps="25", size=size, picture=ASSETS / "sample.mp4")


def _path(task: Task, size: tuple[int, int]) -> Path:
    return task.folder / f"clip{size[1]}.mp4"


def _render(task: Task, engine: LipSync, voices: list[Path], wanted: Wanted) -> None:
    network = {"device": task.device.type, **wanted.settings.get("network", {})}
    base = {"models_dir": task.models, "detector": {"name": "haar"}}
    settings = RenderSettings.parse({**base, **wanted.settings, "network": network, "reuse_findings": False})
    out = task.folder / "out.mp4"
    for voice in voices:  # with the first it is loaded, and libraries choose kernels
        report = engine.render(_path(task, wanted.size), voice, out, settings)
    if report.fallback_frames or not report.face_frames:
        raise RuntimeError(f"{report.face_frames} frames with a face, {report.fallback_frames} by a fallback")
    working = report.wall_seconds - report.stages.get("load", 0.0)
    stages = ", ".join(
        f"{stage} {seconds / working:.0%}" for stage, seconds in report.stages.items() if stage != "load"
    )
    task.findings.row(wanted.name, report.frames, f"{report.frames / working:.1f}", stages, f"{report.peak_rss_mb:.0f}")


def _ffmpeg(task: Task, size: tuple[int, int], frames: float, by: str, before: list[str], after: list[str]) -> None:
    command = [ffmpeg_executable(), "-hide_banner", "-loglevel", "error", "-y", *before, "-i", str(_path(task, size))]
    began = time.perf_counter()
    done = subprocess.run([*command, *after], capture_output=True, text=True, check=False, timeout=60)
    seconds = time.perf_counter() - began
    why = one_line(done.stderr)[:_REASON] or f"it ended with {done.returncode}"  # not every card, or ffmpeg, has all
    found = f"none: {why}" if done.returncode else f"{frames / seconds:.0f}"
    task.findings.row(f"{size[0]}x{size[1]}", by, found)
