"""The app as its users run it: a process of its own."""

from __future__ import annotations

import logging
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.helpers.programs import HANG_SECONDS

ROOT = Path(__file__).parents[2]
BY_THE_APP = pytest.mark.xdist_group("the app, over HTTP")  # files that share servers: `tests/integration/conftest.py`
PACED = "tests.helpers.paced_app"
_log = logging.getLogger(__name__)


# What makes `auto` take the preview, also where networks are quick: for tests that lean on what is chosen at first.
DRAFTED = ("--max-slowdown", "0.001")


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    address: str
    process: psutil.Process
    jobs_dir: Path
    log: list[str] = field(default_factory=list)  # lines of its stderr; all of them once the block has ended


@contextmanager
def served(
    jobs_dir: Path,
    *options: str,
    end_with: signal.Signals = signal.SIGTERM,
    module: str = "app",
    packages: Path = ROOT,
) -> Iterator[Served]:
    """Run the app on a free port of this machine while the `with` block runs; everything of it is gone afterwards.

    It leaves nothing in the temporary folder, unless it is killed. What it logs is shown with a test that fails, if it
    came meanwhile: it is logged here, too.

    Args:
        jobs_dir: Where it keeps jobs.
        options: Of its command line; it waits for nothing that runs when it is ended, unless they say so.
        end_with: How it is ended.
        module: Which runs it, and its command; `PACED` leaves the processor to others while it renders.
        packages: Where the project lies.
    """
    command = [sys.executable, "-m", *module.split(), "--host", "127.0.0.1", "--jobs-dir", str(jobs_dir)]
    command += ["--drain-seconds", "0", *options]
    temporary = jobs_dir.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(packages)}
    environment["TMPDIR"] = str(temporary)
    process = subprocess.Popen(
        command, cwd=jobs_dir.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()
    log: list[str] = []
    reader = threading.Thread(target=_drain, args=(process, lines, log), daemon=True)
    reader.start()
    try:
        yield Served(_address(lines), psutil.Process(process.pid), jobs_dir, log)
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(end_with)
        process.wait(HANG_SECONDS)
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
        _, alive = psutil.wait_procs(children, timeout=HANG_SECONDS)
        assert not alive
    left = [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor_")]  # PyTorch's own
    assert end_with == signal.SIGKILL or left == [], left


def _drain(process: subprocess.Popen[str], lines: queue.Queue[str | None], log: list[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        log.append(line)
        lines.put(line)
        _log.warning("%s", line.rstrip())
    lines.put(None)


def _address(lines: queue.Queue[str | None]) -> str:
    seen = []
    while (line := lines.get(timeout=HANG_SECONDS)) is not None:
        seen.append(line)
        if match := re.search(r"serving on (http[^\s\"]+)", line):
            return match[1]
    raise AssertionError("the server did not start:\n" + "".join(seen))
