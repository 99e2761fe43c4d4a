"""Runs the parts one after the other within a time, and writes the page; needs nothing but Python itself.

python -m benchmarks.gpu [--seconds N] [--only PART]... [--smoke]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.findings import as_markdown, names
from benchmarks.gpu.part import PARTS, TOLD, Part

HERE, ROOT = Path(__file__).parents[1], Path(__file__).parents[2]
SECONDS = 450.0  # of the whole run, so that it ends within 8 minutes, installing wheels included
_GRACE = 8.0  # seconds beyond its time that a part is waited for
_PAGE = "gpu.md"
_SMALL = {"OMP_NUM_THREADS": "1"}  # small networks are slower on several threads, and far slower beside other work


def main() -> int:
    """Measure; 1: a part failed as a whole, or something in it did, or it had to be ended."""
    parser = argparse.ArgumentParser(description="Measure everything on one GPU.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it may take (default: %(default)g)")
    parser.add_argument(
        "--only", action="append", choices=[part.name for part in PARTS], help="a part; may be repeated"
    )
    parser.add_argument("--smoke", action="store_true", help="try it on the CPU with small networks; publishes nothing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the files are removed then, too
    parts = [part for part in PARTS if not given.only or part.needed or part.name in given.only]
    pages = [Path(os.environ["OUT"])] if "OUT" in os.environ else []
    pages += [] if given.smoke else [HERE]
    with tempfile.TemporaryDirectory(prefix="musetalk-gpu-") as folder:
        good = measure(parts, Path(folder), given.seconds, pages, smoke=given.smoke)
    return 0 if good else 1


def measure(parts: Sequence[Part], folder: Path, seconds: float, pages: Sequence[Path], *, smoke: bool) -> bool:
    """Do parts one after the other; the page is there after each, so that nothing is lost where this is ended.

    Args:
        parts: Which.
        folder: For files, gigabytes of them.
        seconds: For all of them.
        pages: Folders for the page.
        smoke: Whether to run on the CPU with small networks.

    Returns:
        Whether all went well.
    """
    ends = time.monotonic() + seconds
    sections: list[str] = []
    text, good, weights = "", True, sum(part.share for part in parts)
    log = folder / "on_gpu.log"
    for part in parts:
        left = ends - time.monotonic()
        own = left if part is parts[-1] else left * part.share / weights
        weights -= part.share
        began = time.monotonic()
        told = _do(part, folder, own, log, smoke=smoke)
        found = folder / f"{part.name}.jsonl"
        sections.append(f"## {part.title}\n\n{as_markdown(found)}{told}")
        sys.stdout.write(f"{part.name}: {time.monotonic() - began:.0f} of {own:.0f} s. {told}\n")
        sys.stdout.flush()
        good = good and not told and not names(found, "failed")
        text = _title(smoke=smoke) + "\n".join(sections)
        for page in pages:
            page.mkdir(parents=True, exist_ok=True)
            (page / _PAGE).write_text(text, encoding="utf-8")
            if page != HERE:
                shutil.copyfile(log, page / log.name)
    sys.stdout.write(log.read_text(encoding="utf-8", errors="replace") + "\n" + text)
    return good


def _do(part: Part, folder: Path, seconds: float, log: Path, *, smoke: bool) -> str:
    """Do a part in a process of its own; returns what has to be told of how it ended, else nothing."""
    command = [sys.executable, "-m", "benchmarks.gpu.part", part.name, str(folder), f"{seconds:.1f}"]
    with log.open("ab") as told:
        child = subprocess.Popen(
            [*command, *(["--smoke"] if smoke else [])],
            cwd=ROOT,
            env={**os.environ, **(_SMALL if smoke else {})},
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it is ended with all that it started
        )
        try:
            code = child.wait(seconds + _GRACE)
        except subprocess.TimeoutExpired:
            return f"\n**Ended** after {seconds + _GRACE:.0f} s, which is its time.\n"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    return "" if code in (0, TOLD) else f"\n**Failed**: its process ended with {code}: see the log.\n"


def _title(*, smoke: bool) -> str:
    what = (
        "Small networks on the CPU: only to see that everything runs." if smoke else "Published sizes, random weights."
    )
    return f"# On a GPU\n\nBy `benchmarks/on_gpu.sh` (see [README.md](README.md)). {what}\n\n"


if __name__ == "__main__":
    raise SystemExit(main())
