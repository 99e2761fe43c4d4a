"""`python -m scripts.musetalk_wrapper`: a picture or video speaks a voice; JSON on stdout, for other programs to call.

The work is done in a process of its own, so that a caller with a time limit gets its memory back whatever happens.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_TIMEOUT = 3600.0
_TIMED_OUT = 124  # as timeout(1) has it
_BY_ITSELF, _FRAME = "musetalk: ", " \u2502\u256d\u2570\u2500\u256e\u256f"
_LONGEST = 1e6  # seconds; more is for ever
_STOPPED = 130  # as of `python -m musetalk` that is stopped
_ENDING = 10.0  # seconds that a render that is stopped has to clean up


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit codes as of `python -m musetalk`, and 124 where time ran out.

    Prints one object: {"success": true, "output": ..., "report": {...}}, or {"success": false, "error": ...}.
    """
    flags = _parser().parse_args(argv)
    try:
        with _stopped_by_signals():
            code, told = _render(flags)
    except KeyboardInterrupt:
        code, told = _STOPPED, _failed("it was stopped")
    _print(told)
    return code


def _print(told: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(told, ensure_ascii=True)}\n")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt where this process is asked to end, so that the render does not outlive it."""

    def stop(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    """Answers in JSON also where it does not understand what it was given."""

    def error(self, message: str) -> NoReturn:
        _print(_failed(message))
        super().error(message)


def _seconds(text: str) -> float:
    """Return a time limit.

    Raises:
        ValueError: It is none.
    """
    seconds = float(text)
    if not seconds >= 0 or math.isnan(seconds):
        raise ValueError
    return min(seconds, _LONGEST)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m scripts.musetalk_wrapper",
        description="Let a picture or a video speak a voice, in a process of its own; prints JSON.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--audio", type=Path, required=True, help="any file with the voice")
    add("--image", "--video", type=Path, required=True, help="picture, video, or folder of pictures")
    add("--output", type=Path, required=True, help="file to make: .mp4, .mov, .m4v or .mkv")
    add("--backend", default="auto", help="what paints the mouth")
    add("--timeout", type=_seconds, default=_TIMEOUT, help="seconds until it is given up")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting of musetalk render; may repeat")
    return parser


def _render(flags: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "musetalk", "render", "-o", str(flags.output)]
        command += ["--report", str(report), "--quiet", "--backend", flags.backend]
        command += [part for each in flags.set for part in ("--set", each)]
        command += ["--", str(flags.image), str(flags.audio)]  # whose names may begin with a dash
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
        )
        try:
            _, said = child.communicate(timeout=flags.timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            return _TIMED_OUT, _failed(f"it took more than {flags.timeout:g} s")
        except BaseException:
            _end(child)
            raise
        if child.returncode != 0:
            return child.returncode, _failed(_problem(said))
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


def _problem(said: str) -> str:
    """Return what a render said last, of itself or of its options, which it frames."""
    lines = [
        line for line in (each.strip(" \u2502\u256d\u2570\u2500\u256e\u256f") for each in said.splitlines()) if line
    ]
    own = [line.removeprefix(_BY_ITSELF) for line in lines if line.startswith(_BY_ITSELF)]
    return (own or lines or ["it failed"])[-1]


def _failed(error: str) -> dict[str, Any]:
    return {"success": False, "error": error}


if __name__ == "__main__":
    sys.exit(main())
