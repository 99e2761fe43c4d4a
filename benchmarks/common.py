"""What the benchmarks share: inputs made from the shipped sample, child processes, tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.settings import EncoderSettings

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "musetalk" / "assets"
HERE = Path(__file__).parent
# The last section of a page about networks on the CPU.
GPU_NOTE = "\n## On a GPU\n\n`benchmarks/on_gpu.sh` measures the same there: see [README.md](README.md#on-a-gpu).\n"


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg to its end.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    subprocess.run([ffmpeg_executable(), "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)


def make_clip(out: Path, *, seconds: float, fps: str, size: tuple[int, int], picture: Path) -> Path:
    """A clip of `picture` (a video or an image), looped, scaled to cover `size`, at an exact rate."""
    loop = ["-loop", "1"] if picture.suffix == ".png" else ["-stream_loop", "-1"]
    cover = f"scale={size[0]}:{size[1]}:force_original_aspect_ratio=increase,crop={size[0]}:{size[1]},fps={fps}"
    codec = ["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
    ffmpeg(*loop, "-i", str(picture), "-t", str(seconds), "-vf", cover, *codec, str(out))
    return out


def make_voice(out: Path, *, seconds: float) -> Path:
    """The shipped voice, looped to an exact length, as 16 kHz WAV."""
    ffmpeg("-stream_loop", "-1", "-i", str(ASSETS / "voice.wav"), "-t", str(seconds), "-ar", "16000", str(out))
    return out


def render(video: Path, voice: Path, out: Path, *options: str) -> dict[str, Any]:
    """Render in a process of its own, so that its memory is its own; returns the report.

    It looks for faces itself, whatever other renders have found, unless the options say otherwise.
    """
    report = out.with_suffix(".json")
    command = [sys.executable, "-m", "musetalk", "render", str(video), str(voice), "-o", str(out), "-q"]
    if "--reuse" not in options:
        command.append("--no-reuse")
    subprocess.run([*command, "--report", str(report), *options], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def pairs_from(arguments: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the videos of a command line with their voices; none are named: the shipped sample with its own."""
    paths = [Path(argument) for argument in arguments] or [ASSETS / "sample.mp4", ASSETS / "voice.wav"]
    return list(zip(paths[::2], paths[1::2], strict=True))


def transcode(video: Path, frames: int, out: Path) -> None:
    """Decode and encode as many frames of a clip, looped, by one ffmpeg with a render's default codec settings."""
    settings = EncoderSettings()
    codec = ["-an", "-c:v", "libx264", "-preset", settings.preset, "-crf", str(settings.crf), "-pix_fmt", "yuv420p"]
    ffmpeg("-stream_loop", "-1", "-i", str(video), "-frames:v", str(frames), *codec, str(out))


def measured(module: str, *arguments: str) -> dict[str, Any]:
    """What a module of the benchmarks writes as JSON, run in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def machine() -> str:
    """Where the figures were taken."""
    return f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def verdict(kept: bool) -> str:
    """Whether a floor is kept, for a table."""
    return "kept" if kept else "**missed**"


def publish(name: str, text: str) -> None:
    """Print a result and keep it beside the scripts."""
    sys.stdout.write(text)
    (HERE / name).write_text(text, encoding="utf-8")
