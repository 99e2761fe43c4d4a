"""What a second render of a source is spared, with another voice: beside one that looks for itself, in the same run.

python -m benchmarks.reuse [--seconds 60] [render options]...
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ASSETS, machine, make_clip, make_voice, publish, render, table

_SIZE, _FPS = (1280, 720), "25"


def kept_bytes(cache: Path) -> int:
    """Return how much is kept of sources."""
    return sum(path.stat().st_size for path in (cache / "musetalk-hybrid" / "findings").rglob("*") if path.is_file())


def row(name: str, report: dict[str, Any], kept: int) -> list[object]:
    """Return one render as the table has it."""
    stages = report["stages"]
    looked = [f"{stages.get(stage, 0.0):.2f}" for stage in ("preflight", "plan", "parse")]
    known = f"{report['known_frames']}, {report['known_faces']}"
    return [
        name,
        report["frames"],
        known,
        *looked,
        f"{report['wall_seconds']:.1f}",
        f"{kept / 2**20:.2f}",
        f"{report['peak_rss_mb']:.0f}",
    ]


def main() -> None:
    """Render one source with voices of several lengths, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the source, and of the longest voice")
    wanted, options = parser.parse_known_args()
    seconds = wanted.seconds
    rows = list[list[object]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        video = make_clip(folder / "film.mp4", seconds=seconds, fps=_FPS, size=_SIZE, picture=ASSETS / "sample.mp4")
        for title, share in (
            ("first", 0.8),
            ("a shorter voice", 0.6),
            ("a longer voice", 1.0),
            ("as long as the first", 0.8),
        ):
            voice = make_voice(folder / "voice.wav", seconds=seconds * share)
            out, alone = folder / "out.mp4", folder / "alone.mp4"
            taken_over = render(video, voice, out, "--reuse", *options)
            rows.append(row(title, taken_over, kept_bytes(folder / "cache")))
            rows.append(row(f"{title}, `--no-reuse`", render(video, voice, alone, *options), 0))
            if out.read_bytes() != alone.read_bytes():
                raise SystemExit(f"{title}: the files differ")
        size = video.stat().st_size
    head = ["render", "frames", "known frames, faces", "preflight", "plan", "parse", "wall", "kept MiB", "peak MiB"]
    publish(
        "reuse.md",
        f"# Reuse\n\n{seconds:.0f} s of the shipped sample at {_SIZE[0]}x{_SIZE[1]} ({size / 2**20:.0f} MiB), with "
        "voices of several lengths, each rendered in turn with what\nearlier renders had found and without. Seconds of "
        "a stage, and of all; Python's start left out. Each pair of files is the\nsame to the byte, or this page would "
        f"not have been written. Kept: all of it, so far.\n{machine()}.\n\n{table(head, rows)}",
    )


if __name__ == "__main__":
    main()
