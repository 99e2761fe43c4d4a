"""Where the time of a render goes, and how it compares with merely re-encoding the clip in the same run.

python -m benchmarks.stages [VIDEO VOICE]...      default: the shipped sample
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import machine, pairs_from, publish, render, table, transcode

STAGES = ("preflight", "plan", "speech", "decode", "generate", "composite", "encode", "finish")
ROUNDS = 3


def transcode_seconds(video: Path, frames: int, out: Path) -> float:
    """Seconds that one ffmpeg takes to decode and encode as many frames, with the same codec settings."""
    started = time.perf_counter()
    transcode(video, frames, out)
    return time.perf_counter() - started


def measure(video: Path, voice: Path, folder: Path) -> list[object]:
    """The best of a few rounds, each beside a transcode: one row of the table."""
    rounds = []
    for _ in range(ROUNDS):
        report = render(video, voice, folder / "out.mp4")
        rounds.append((report, transcode_seconds(video, report["frames"], folder / "plain.mp4")))
    report, plain = min(rounds, key=lambda pair: float(pair[0]["wall_seconds"]))
    frames, wall = report["frames"], report["wall_seconds"]
    per_frame = [f"{1000 * report['stages'].get(stage, 0) / frames:.1f}" for stage in STAGES]
    return [
        video.name,
        frames,
        *per_frame,
        f"{1000 * wall / frames:.1f}",
        f"{report['video_seconds'] / wall:.2f}",
        f"{wall / plain:.1f}",
        f"{report['peak_rss_mb']:.0f}",
    ]


def main() -> None:
    """Measure each pair and write the table."""
    head = ["clip", "frames", *STAGES, "wall", "x real time", "x transcode", "peak MiB"]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(*pair, Path(folder)) for pair in pairs_from(sys.argv[1:])]
    publish(
        "stages.md",
        f"# Stages\n\n`preview` backend. Per stage: milliseconds of work per output frame (stages overlap), best of "
        f"{ROUNDS} rounds.\nWall: the whole render, milliseconds per frame, Python's start left out. "
        "x transcode: wall against one ffmpeg that decodes\nand encodes as many frames with the same codec "
        "settings, in the same run. Peak: this process and its ffmpeg children.\n"
        f"{machine()}.\n\n{table(head, rows)}",
    )


if __name__ == "__main__":
    main()
