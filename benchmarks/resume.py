"""Renders that are killed, ended or out of disk at random moments, resumed, and compared with an uninterrupted one.

python -m benchmarks.resume [--kills N] [--disk FOLDER]

FOLDER lies on a small disk (200 MB, say), which is filled up in the middle of a render; without one this is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import islice
from pathlib import Path

from benchmarks.common import ASSETS, ROOT, machine, make_clip, make_voice, publish, table
from musetalk.cli.options import cancel_on_signal
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.media.frames import Frame
from musetalk.media.part_writer import PartWriter
from musetalk.media.probe import probe_source
from musetalk.media.reader import decode
from musetalk.media.types import ColorTags
from musetalk.progress import ProgressEvent
from musetalk.settings import EncoderSettings, Limits, RenderSettings
from musetalk.utils.cores import share_threads, usable_cores

SECONDS = 60
PART = 250
LENGTHS = (50, 125, 250, 500)
SETTINGS = RenderSettings(backend="preview")
INTRO = f"""A render of {SECONDS} s (the sample that ships, 640x360 at 25 frames/s, `preview`; parts of {PART} frames)
is stopped at a moment drawn evenly from how long one took, or from its frames, and started again. Equal: decoded frames
and sound, with their times, have the digest of a render that was never stopped. Lost: frames that had been rendered,
and were again.
"""


@dataclass(frozen=True)
class Trial:
    """What became of one render that was stopped.

    Attributes:
        how: By what.
        seconds: When.
        reached: Output frames that it had rendered then.
        taken: Parts that the next one took over.
        made: Parts that it made.
        equal: Whether the result is that of an uninterrupted render.
        clean: Whether nothing but the result is left beside it.
    """

    how: str
    seconds: float
    reached: int
    taken: int
    made: int
    equal: bool
    clean: bool

    @property
    def lost(self) -> int:
        """Frames that were rendered twice."""
        return max(0, self.reached - self.taken * PART)

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.equal and self.clean and self.lost <= PART


def render(out: Path, video: str, voice: str, ending: str, at: float) -> None:
    """Render in this process, which ends as is asked; keeps what it has reached beside the output.

    Args:
        out: The output.
        video: The source.
        voice: The voice.
        ending: "kill" or "term": by this signal after `at` seconds; "frame": by SIGKILL at the frame `at`; "disk": full
            at that; "none": not.
        at: See there.
    """
    reached = out.with_suffix(".reached")
    if ending in ("kill", "term"):
        number = signal.SIGKILL if ending == "kill" else signal.SIGTERM
        timer = threading.Timer(at, lambda: os.kill(os.getpid(), number))
        timer.daemon = True
        timer.start()

    def told(event: ProgressEvent) -> None:
        if event.stage == "render":
            with reached.open("a") as file:
                file.write(f"{event.done}\n")
            if ending == "disk" and event.done >= at:
                _fill(out.with_name("filler"))
            if ending == "frame" and event.done >= at:
                os.kill(os.getpid(), signal.SIGKILL)

    with cancel_on_signal() as cancel:
        report = LipSync(own_process=True).render(
            Path(video), Path(voice), out, SETTINGS, on_progress=told, cancel=cancel
        )
    report.save(out.with_suffix(".json"))


def _fill(place: Path) -> None:
    """Take all room of a disk."""
    if place.exists():
        return
    with place.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 2**16):
                pass
        except OSError:
            return


def _child(out: Path, inputs: Sequence[Path], ending: str, at: float) -> int:
    reached = out.with_suffix(".reached")
    reached.touch()
    command = [sys.executable, "-m", "benchmarks.resume", "--render", str(out), *map(str, inputs), ending, str(at)]
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode


def _content(out: Path) -> str:
    command = [ffmpeg_executable(), "-loglevel", "error", "-i", str(out), "-f", "framemd5", "-"]
    return sha256(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout).hexdigest()


def _trial(folder: Path, inputs: Sequence[Path], ending: str, at: float, whole: str) -> Trial:
    out = folder / "out.mp4"
    _child(out, inputs, ending, at)
    (folder / "filler").unlink(missing_ok=True)
    said = out.with_suffix(".reached").read_text().split()
    out.with_suffix(".reached").unlink()
    done = out.exists()  # it was quicker
    _child(out, inputs, "none", 0)
    report = json.loads(out.with_suffix(".json").read_text())
    resumed = report["resumed"] or {"taken_over": 0, "made": len(range(0, report["frames"], PART))}
    out.with_suffix(".json").unlink()
    out.with_suffix(".reached").unlink()
    trial = Trial(
        how=ending,
        seconds=at,
        reached=0 if done else int(said[-1]) if said else 0,
        taken=resumed["taken_over"],
        made=resumed["made"],
        equal=_content(out) == whole,
        clean=[path.name for path in folder.iterdir()] == ["out.mp4"],
    )
    out.unlink()
    return trial


def _costs(video: Path) -> list[tuple[str, ...]]:
    """Encode a clip at once and in parts of several lengths: processor seconds of the encoders, and bytes."""
    source = probe_source(video, Limits())
    with closing(decode(source, 0, source.frame_count)) as frames:
        held = [frame.copy() for frame in islice(frames, 500)]
    single = _encoded(held, source.fps, len(held), video.parent)
    rows: list[tuple[str, ...]] = [("one encoder", f"{single[0]:.2f}", "", f"{single[1] / 1e6:.2f}", "")]
    for length in LENGTHS:
        seconds, size = _encoded(held, source.fps, length, video.parent)
        more, larger = seconds / single[0] - 1, size / single[1] - 1
        rows.append((str(length), f"{seconds:.2f}", f"{more:+.1%}", f"{size / 1e6:.2f}", f"{larger:+.1%}"))
    return rows


def _encoded(frames: Sequence[Frame], fps: Fraction, length: int, folder: Path) -> tuple[float, int]:
    before, size = _children_seconds(), 0
    for first in range(0, len(frames), length):
        with PartWriter(
            folder / "part.mp4",
            folder / "part.mp4",
            layout=frames[0].layout,
            fps=fps,
            color=ColorTags(),
            settings=EncoderSettings(),
            threads=share_threads(usable_cores()).encoder,
        ) as part:
            for frame in frames[first : first + length]:
                part.write(frame)
            size += part.finish().stat().st_size
    return _children_seconds() - before, size


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(kills: int, disk: Path | None) -> tuple[list[Trial], list[str]]:
    """Stop renders, and say what came of it, as a page."""
    dice = random.Random(19)  # noqa: S311 - moments
    with tempfile.TemporaryDirectory() as place:
        inputs = (ASSETS / "sample.mp4", make_voice(Path(place) / "voice.wav", seconds=SECONDS))
        folder = Path(place) / "out"
        folder.mkdir()
        began = time.monotonic()
        _child(folder / "out.mp4", inputs, "none", 0)
        lasts, whole = time.monotonic() - began, _content(folder / "out.mp4")
        shutil.rmtree(folder)
        folder.mkdir()
        plans = [(folder, "kill", dice.uniform(0.5, lasts)) for _ in range(kills)]
        plans += [(folder, "frame", float(dice.randrange(1, SECONDS * 25))) for _ in range(kills)]
        plans += [(folder, "term", dice.uniform(0.5, lasts)) for _ in range(3)]
        if disk is not None:
            small = disk / "resume"
            small.mkdir()
            plans += [(small, "disk", float(dice.randrange(300, 1400))) for _ in range(3)]
        trials = []
        for where, how, at in plans:
            trials.append(_trial(where, inputs, how, at, whole))
            sys.stderr.write(f"{trials[-1]}\n")
        sizes = (((640, 360), 20), ((1920, 1080), 20))
        costs = []
        for size, seconds in sizes:
            clip = make_clip(
                Path(place) / "clip.mp4", seconds=seconds, fps="25", size=size, picture=ASSETS / "sample.mp4"
            )
            costs.append((size, _costs(clip)))
    return trials, _page(trials, costs)


def _page(trials: Sequence[Trial], costs: Sequence[tuple[tuple[int, int], list[tuple[str, ...]]]]) -> list[str]:
    names = {"kill": "kill -9", "frame": "kill -9", "term": "SIGTERM", "disk": "a full disk"}
    units = {"disk": "frame {:.0f}", "frame": "frame {:.0f}"}
    rows = [
        (
            names[each.how],
            units.get(each.how, "{:.1f} s").format(each.seconds),
            str(each.reached),
            str(each.taken),
            str(each.made),
            str(each.lost),
            "yes" if each.equal else "NO",
            "yes" if each.clean else "NO",
        )
        for each in trials
    ]
    head = ("by", "at", "frames then", "parts taken over", "made", "frames lost", "equal", "nothing else left")
    good = sum(each.good for each in trials)
    lines = [INTRO, f"{machine()}.\n", table(head, rows), f"\n{good} of {len(trials)} are as they should be.\n"]
    lines.append(
        "## What parts cost\n\n500 frames by x264 as renders use it, at once and in parts: processor seconds of the "
        "encoders, and bytes.\n"
    )
    for size, found in costs:
        lines.append(f"### {size[0]}x{size[1]}\n")
        lines.append(table(("frames in a part", "processor s", "", "MB", ""), found) + "\n")
    return lines


def main() -> None:
    """Measure, and write the page; or be a render that is stopped."""
    if sys.argv[1:2] == ["--render"]:
        out, video, voice, ending, at = sys.argv[2:]
        render(Path(out), video, voice, ending, float(at))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--disk", type=Path)
    asked = parser.parse_args()
    trials, lines = measure(asked.kills, asked.disk)
    publish("resume.md", "\n".join(["# Going on", "", *lines]).rstrip() + "\n")
    sys.exit(0 if all(each.good for each in trials) else 1)


if __name__ == "__main__":
    main()
