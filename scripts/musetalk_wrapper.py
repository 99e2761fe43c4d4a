"""`python -m scripts.musetalk_wrapper`: a picture or video speaks a voice; JSON on stdout, for other programs to call.

The work is done in a process of its own, so that a caller with a time limit gets its memory back whatever happens.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_TIMEOUT = 3600.0
_TIMED_OUT = 124  # as timeout(1) has it
_ENDING = 10.0  # seconds that a render that is stopped has to clean up


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit codes as of `python -m musetalk`, and 124 where time ran out.

    Prints one object: {"success": true, "output": ..., "report": {...}}, or {"success": false, "error": ...}.
    """
    flags = _parser().parse_args(argv)
    code, told = _render(flags)
    sys.stdout.write(f"{json.dumps(told, ensure_ascii=True)}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.musetalk_wrapper",
        description="Let a picture or a video speak a voice, in a process of its own; prints JSON.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--audio", type=Path, required=True, help="any file with the voice")
    add("--image", "--video", type=Path, required=True, help="picture, video, or folder of pictures")
    add("--output", type=Path, required=True, help="file to make: .mp4, .mov, .m4v or .mkv")
    add("--backend", default="auto", help="what paints the mouth")
    add("--timeout", type=float, default=_TIMEOUT, help="seconds until it is given up")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting of musetalk render; may repeat")
    return parser


def _render(flags: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "musetalk",
            "render",
            str(flags.image),
            str(flags.audio),
            "-o",
            str(flags.output),
        ]
        command += ["--report", str(report), "--quiet", "--backend", flags.backend]
        command += [part for each in flags.set for part in ("--set", each)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = child.communicate(timeout=flags.timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            return _TIMED_OUT, _failed(f"it took more than {flags.timeout:g} s")
        except BaseException:
            _end(child)
            raise
        if child.returncode != 0:
            return child.returncode, _failed(
                (said.strip().splitlines() or ["it failed"])[-1].removeprefix("musetalk: ")
            )
        told = json.loads(report.read_text("utf-8"))
    return 0, {"success": True, "output": str(flags.output), "report": told}


def _end(child: subprocess.Popen[str]) -> None:
    """Let a render stop in order, which ends its own children; kill it where it does not."""
    child.terminate()
    try:
        child.communicate(timeout=_ENDING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def _failed(error: str) -> dict[str, Any]:
    return {"success": False, "error": error}


if __name__ == "__main__":
    sys.exit(main())
