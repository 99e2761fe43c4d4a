"""Peak memory against length: a minute and ten minutes of 1080p, ping-pong included.

python -m benchmarks.memory
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.common import ASSETS, machine, make_clip, make_voice, publish, render, table

CLIP_SECONDS = 20  # shorter than either voice, so that both renders play backwards too
MINUTES = (1, 10)


def main() -> None:
    """Render both and write the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(
            folder / "clip.mp4", seconds=CLIP_SECONDS, fps="25", size=(1920, 1080), picture=ASSETS / "sample.mp4"
        )
        rows, peaks = [], []
        for minutes in MINUTES:
            voice = make_voice(folder / f"{minutes}.wav", seconds=60 * minutes)
            report = render(clip, voice, folder / "out.mp4")
            peaks.append(report["peak_rss_mb"])
            speed = report["video_seconds"] / report["wall_seconds"]
            rows.append([f"{minutes} min", report["frames"], f"{report['peak_rss_mb']:.0f}", f"{speed:.2f}"])
    publish(
        "memory.md",
        f"# Memory\n\n1920x1080 at 25 fps, a {CLIP_SECONDS} s clip under a longer voice (ping-pong), `preview` "
        "backend. Peak: resident memory of the\nprocess and its ffmpeg children together, sampled five times a second."
        f"\n{machine()}.\n\n{table(['voice', 'frames', 'peak MiB', 'x real time'], rows)}\n"
        f"Ten minutes against one: {peaks[1] - peaks[0]:+.0f} MiB.\n",
    )


if __name__ == "__main__":
    main()
