"""Whole renders against one plain ffmpeg transcode of the same clip: wall and processor seconds, and peak memory.

python -m benchmarks.against_transcode [VIDEO VOICE]...      default: the shipped sample
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import machine, pairs_from, publish, render, table, transcode

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of programs took, in seconds: of the clock, and of processors, its children's included."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Round:
    """A render beside a transcode.

    Attributes:
        whole: Of the process, from its start to its exit.
        inside: Seconds of the render alone, as its report says.
        plain: Of the transcode.
    """

    whole: Cost
    inside: float
    plain: Cost


def cost_of(work: Callable[[], object]) -> Cost:
    """Run child processes to their end and return what they took."""
    started, before = time.perf_counter(), os.times()
    work()
    wall, after = time.perf_counter() - started, os.times()
    children = after.children_user - before.children_user + after.children_system - before.children_system
    return Cost(wall, children)


def measure(video: Path, voice: Path, folder: Path) -> list[object]:
    """Render and transcode in turns: one row of the table."""
    out, rounds, reports = folder / "out.mp4", list[Round](), list[dict[str, Any]]()
    for _ in range(ROUNDS):
        whole = cost_of(lambda: reports.append(render(video, voice, out, "--backend", "preview")))
        report = reports[-1]
        frames = report["frames"]
        plain = cost_of(lambda: transcode(video, frames, folder / "plain.mp4"))  # noqa: B023 - called at once
        rounds.append(Round(whole, report["wall_seconds"], plain))
    frames, seconds = reports[-1]["frames"], reports[-1]["video_seconds"]
    peak = max(report["peak_rss_mb"] for report in reports)

    def middle(value: Callable[[Round], float]) -> float:
        return statistics.median(map(value, rounds))

    return [
        video.name,
        frames,
        f"{1000 * middle(lambda each: each.plain.wall) / frames:.1f}",
        f"{middle(lambda each: each.inside / each.plain.wall):.2f}",
        f"{middle(lambda each: each.whole.wall / each.plain.wall):.2f}",
        f"{middle(lambda each: each.whole.processor / each.plain.processor):.2f}",
        f"{middle(lambda each: seconds / each.inside):.2f}",
        f"{peak:.0f}",
    ]


def main() -> None:
    """Measure each pair and write the table."""
    head = [
        *("clip", "frames", "transcode, ms a frame", "render / transcode", "whole process / transcode"),
        *("processor seconds", "x real time", "peak MiB"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(*pair, Path(folder)) for pair in pairs_from(sys.argv[1:])]
    publish(
        "against_transcode.md",
        "# Against a transcode\n\n`preview` backend against one ffmpeg that decodes and encodes as many frames of the "
        f"same clip with the same codec\nsettings, in turns, {ROUNDS} rounds, medians of each round's ratio. Render: "
        "as its report says, Python's start left out. Whole process:\nfrom its start to its exit. Processor seconds: "
        "those of the whole process and its ffmpeg children against the transcode's.\nx real time: seconds of video "
        f"a second of the render. Peak: resident memory of both together, the most of all rounds.\n{machine()}.\n\n"
        f"{table(head, rows)}",
    )


if __name__ == "__main__":
    main()
