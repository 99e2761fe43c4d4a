"""How far apart picture and voice end, for many rates and lengths, read from the packets of finished files.

python -m benchmarks.sync
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

from benchmarks.common import ASSETS, make_clip, make_voice, publish, render, table
from musetalk.media.ffmpeg_process import ffmpeg_executable

RATES = ("24000/1001", "25", "30000/1001", "30", "60000/1001")
SECONDS = (1, 7.77, 60, 600)


def stream_seconds(path: Path, stream: str) -> Fraction:
    """Exact end of a stream, edit lists applied."""
    command = [ffmpeg_executable(), "-v", "error", "-i", str(path), "-map", f"0:{stream}", "-c", "copy"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True, check=True)
    match = re.search(r"#tb 0: (\S+)", done.stdout)
    if match is None:
        raise ValueError(f"{path} has no stream {stream}")
    packets = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    return max(int(packet[2]) + int(packet[3]) for packet in packets) * Fraction(match[1])


def main() -> None:
    """Render every combination and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for fps in RATES:
            clip = make_clip(folder / "clip.mp4", seconds=3, fps=fps, size=(256, 256), picture=ASSETS / "portrait.png")
            for seconds in SECONDS:
                voice = make_voice(folder / "voice.wav", seconds=seconds)
                out = folder / "out.mp4"
                report = render(clip, voice, out, "--preset", "ultrafast")
                picture, sound = stream_seconds(out, "v:0"), stream_seconds(out, "a:0")
                said = Fraction(report["voice_seconds"]).limit_denominator(16_000)
                off = [abs(float((a - b) * Fraction(fps))) for a, b in ((picture, said), (picture, sound))]
                rows.append([fps, seconds, report["frames"], f"{float(picture):.4f}", *(f"{o:.3f}" for o in off)])
                if max(off) > 1:
                    raise SystemExit(f"{fps} fps, {seconds} s: picture and voice end {max(off):.2f} frames apart")
    head = ["fps", "voice s", "frames", "picture s", "picture - voice, frames", "picture - sound track, frames"]
    publish(
        "sync.md",
        f"# Sync\n\nDifferences at the end of the file, in frames; at most 1 is allowed.\n\n{table(head, rows)}",
    )


if __name__ == "__main__":
    main()
