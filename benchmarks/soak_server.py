"""The app of `benchmarks.soak`: a process that is killed and started anew over the same folder, and its figures."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from gradio_client import Client  # type: ignore[import-untyped]

from benchmarks.common import ROOT

START_SECONDS, _STARTS = 300.0, 3
_LINE = re.compile(r"(\w+)(\{.*\})? (\S+)")


@dataclass(frozen=True, slots=True)
class Figures:
    """One scrape: figures by name and labels, as they are written."""

    values: Mapping[tuple[str, str], float]

    def all(self, name: str) -> dict[str, float]:
        """Return the figures of a name by their last label."""
        return {labels.split('"')[-2]: value for (said, labels), value in self.values.items() if said == name}

    def one(self, name: str) -> float:
        """Return the figure of a name without labels."""
        return self.values[name, ""]

    @property
    def process(self) -> float:
        """When the process began that answered: another one has another."""
        return self.one("process_start_time_seconds")


@dataclass
class Server:
    """The app over one folder, whichever process serves it.

    Attributes:
        folder: For its jobs, uploads, temporary files and logs.
        options: Of the app.
        lives: Processes so far.
        failed_starts: Processes that did not come to serve: on a busy machine Gradio gives up on its own address.
    """

    folder: Path
    options: tuple[str, ...]
    lives: int = 0
    failed_starts: int = 0
    _child: subprocess.Popen[bytes] | None = None
    _mine: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self.jobs, self.temp = self.folder / "jobs", self.folder / "tmp"
        self.temp.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0)

    def start(self) -> None:
        """Start a process, and wait until it takes jobs; where it ends before, another one, as a supervisor does.

        Raises:
            RuntimeError: None does.
        """
        for _ in range(_STARTS):
            log = self.folder / f"log-{self.lives + self.failed_starts:03}.jsonl"
            if self._begin(log):
                self.lives += 1
                return
            self.failed_starts += 1
        raise RuntimeError(f"the app did not start:\n{log.read_text()[-3000:]}")

    def _begin(self, log: Path) -> bool:
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(self._port), "--log", "json"]
        own = {"GRADIO_ANALYTICS_ENABLED": "False", "TMPDIR": str(self.temp)}
        own["GRADIO_TEMP_DIR"] = str(self.folder / "uploads")
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                [*command, "--jobs-dir", str(self.jobs), *self.options],
                cwd=ROOT,
                env={**os.environ, **own},
                stdout=subprocess.DEVNULL,
                stderr=out,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._child.poll() is None:
            try:
                if self._http.get("/readyz").status_code == 200:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        self.kill()
        return False

    def kill(self) -> None:
        """End the process as a power cut does; what it had started ends by itself."""
        assert self._child is not None  # noqa: S101 - it was started
        self._child.kill()
        self._child.wait()

    def end(self) -> int:
        """Ask the process to end, and return its exit status."""
        assert self._child is not None  # noqa: S101 - it was started
        self._child.send_signal(signal.SIGTERM)
        return self._child.wait(START_SECONDS)

    def client(self) -> Client:
        """Return a client of the process that serves now, one for each thread."""
        if getattr(self._mine, "life", 0) != self.lives:
            self._mine.client = Client(self.url, verbose=False, download_files=False, analytics_enabled=False)
            self._mine.life = self.lives
        return self._mine.client

    def scrape(self) -> Figures:
        """Return the figures as they are now.

        Raises:
            httpx.HTTPError: Nobody answers.
        """
        answer = self._http.get("/metrics")
        answer.raise_for_status()
        lines = filter(None, map(_LINE.fullmatch, answer.text.splitlines()))
        return Figures({(line[1], line[2] or ""): float(line[3]) for line in lines})

    def logs(self) -> list[list[dict[str, Any]]]:
        """Return the lines of each process's log, the last one's last.

        Raises:
            ValueError: One is no JSON, and not the last one of a process that was killed.
        """
        texts = (path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("log-*.jsonl")))
        return [[json.loads(line) for line in text.split("\n")[:-1]] for text in texts]

    def left(self) -> list[str]:
        """Return what a server that has ended has left: processes, and temporary folders of renders."""
        mine = str(self.folder)
        running = [
            p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if mine in " ".join(p.info["cmdline"] or ())
        ]
        folders = [str(path) for path in self.folder.rglob(".musetalk-*") if "-parts-" not in path.name]
        return [" ".join(command)[:80] for command in running if "soak" not in " ".join(command)] + folders
