"""What is left behind by many renders through a running app: memory, processes, open files, threads, disk.

python -m benchmarks.jobs [JOBS]      default: 50 in each of two rounds; 20 at least
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]

from benchmarks.common import ASSETS, ROOT, machine, make_voice, publish, table

JOBS = 50
DISK_GIGABYTES = 0.1  # the least that the app takes, so that the bound is met within a round
PADDING_BYTES = 4 * 2**20  # makes every upload another one, and large enough to meet that bound
VOICE_SECONDS = 2.0
WARM = 10  # jobs after which memory, files and threads must have settled
MEMORY_MEGABYTES = 50.0
HANDLES = 5  # open files or threads that may come and go: connections kept alive, idle workers
WAIT_SECONDS = 300.0
MIB = 2**20
CALM = "One after another"
TROUBLE = "Every fifth stopped while it renders (a 30 s voice), one file that is no video"


@dataclass(frozen=True, slots=True)
class Sample:
    """The server and its disk just after a job.

    Attributes:
        state: How the job ended; "refused" where it did not begin.
        seconds: From the upload to the end.
        rss: Resident memory of the server alone, in MiB.
        children: Processes that it has started and that still are.
        fds: Files and sockets that it holds open.
        threads: Threads of it.
        jobs_disk: Files of all jobs, in MiB, as the app counts them.
        temp_disk: Files that Gradio keeps (uploads, results that were asked for), in MiB.
    """

    state: str
    seconds: float
    rss: float
    children: int
    fds: int
    threads: int
    jobs_disk: float
    temp_disk: float


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files that every job starts from."""

    video: Path
    voice: Path
    long_voice: Path
    bad: Path


class App:
    """The app in a process of its own, and a program that uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.jobs, self.temp = folder, folder / "jobs", folder / "gradio"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = ["--host", "127.0.0.1", "--port", str(port)]
        bounds = ["--jobs-dir", str(self.jobs), "--max-disk-gigabytes", str(DISK_GIGABYTES)]
        with (folder / "server.log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "app.py", *address, *bounds],
                cwd=ROOT,
                env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(self.temp)},
                stdout=log,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{port}"
        self._process = psutil.Process(self._child.pid)

    def connect(self) -> Client:
        """Wait until it answers.

        Raises:
            RuntimeError: It ended instead, or never did.
        """
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until and self._child.poll() is None:
            try:
                httpx.get(self.url, trust_env=False).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.2)
            else:
                return Client(self.url, verbose=False, download_files=self._folder / "got", analytics_enabled=False)
        said = (self._folder / "server.log").read_text().splitlines()
        raise RuntimeError("the app did not start:\n" + "\n".join(said[-20:]))

    def sample(self, state: str, seconds: float) -> Sample:
        """Look at it; what a job's end sets off (its processes ending, the sweep) gets two seconds."""
        until = time.monotonic() + 2
        while time.monotonic() < until and (self._process.children() or _megabytes(self.jobs) > DISK_GIGABYTES * 1024):
            time.sleep(0.05)
        return Sample(
            state=state,
            seconds=seconds,
            rss=self._process.memory_info().rss / MIB,
            children=len(self._process.children(recursive=True)),
            fds=self._process.num_fds(),
            threads=self._process.num_threads(),
            jobs_disk=_megabytes(self.jobs),
            temp_disk=_megabytes(self.temp),
        )

    def close(self) -> int:
        """Ask it to end, and wait; its exit status."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(WAIT_SECONDS)
        finally:
            self._child.kill()  # does nothing to a process that has ended


def make_inputs(folder: Path) -> Inputs:
    """The shipped sample with padding, a short voice, one long enough to be stopped in, and a file that is no video."""
    sample = (ASSETS / "sample.mp4").read_bytes()
    video, bad = folder / "clip.mp4", folder / "bad.mp4"
    # An MP4 box that players skip (ISO/IEC 14496-12, "free"): size, type, then anything.
    video.write_bytes(sample + (8 + PADDING_BYTES).to_bytes(4, "big") + b"free" + bytes(PADDING_BYTES))
    bad.write_bytes(b"no video at all\n" * 1000)
    voice = make_voice(folder / "voice.wav", seconds=VOICE_SECONDS)
    return Inputs(video, voice, make_voice(folder / "long.wav", seconds=30), bad)


def mark(video: Path, number: int) -> None:
    """Change the padding, so that the upload is another file than the last one."""
    with video.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(number.to_bytes(8, "big"))


def run_job(client: Client, video: Path, voice: Path, *, stop: bool) -> str:
    """One job through the endpoints: submitted, watched, stopped while frames are rendered if asked; how it ended."""
    try:
        ids = client.predict(handle_file(video), handle_file(voice), None, api_name="/submit")
    except AppError:
        return "refused"
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        state, result, _report = client.predict(ids["job"], ids["key"], api_name="/status")
        if state["state"] not in ("queued", "running"):
            _check_result(state, result)
            return str(state["state"])
        if stop and _rendering(state):
            client.predict(ids["job"], ids["key"], api_name="/stop")
            stop = False
        time.sleep(0.1)
    raise RuntimeError(f"a job did not end in {WAIT_SECONDS:.0f} s: {state}")


def run_round(folder: Path, inputs: Inputs, jobs: int, *, trouble: bool) -> tuple[list[Sample], list[str], int]:
    """One app, many jobs.

    Args:
        folder: Empty; for the app's files.
        inputs: Of every job.
        jobs: How many.
        trouble: Whether every fifth is stopped, and the one in the middle has a bad file.

    Returns:
        A sample after each job, how each should have ended, and the app's exit status.
    """
    samples, expected = [], []
    folder.mkdir()
    with closing(App(folder)) as app:
        client = app.connect()
        for number in range(1, jobs + 1):
            stop, bad = trouble and number % 5 == 0, trouble and number == jobs // 2 + 1
            video = inputs.bad if bad else inputs.video
            mark(inputs.video, number)
            started = time.monotonic()
            state = run_job(client, video, inputs.long_voice if stop else inputs.voice, stop=stop)
            samples.append(app.sample(state, time.monotonic() - started))
            expected.append("refused" if bad else "cancelled" if stop else "done")
        return samples, expected, app.close()


def slope(samples: Sequence[Sample]) -> float:
    """KiB of memory per job after the first ten, by least squares."""
    return float(np.polyfit(range(len(samples) - WARM), [sample.rss for sample in samples[WARM:]], 1)[0] * 1024)


def broken(samples: Sequence[Sample], expected: Sequence[str], status: int) -> list[str]:
    """The bounds that do not hold."""
    warm, last = samples[WARM - 1], samples[-1]
    most = max(sample.jobs_disk for sample in samples)
    ends = enumerate(zip(samples, expected, strict=True), 1)
    wrong = [f"{number}: {sample.state}" for number, (sample, end) in ends if sample.state != end]
    checks = (
        (not wrong, f"jobs ended otherwise than they should: {', '.join(wrong)}"),
        (most <= DISK_GIGABYTES * 1024, f"the jobs took {most:.1f} MiB of disk"),
        (abs(last.rss - warm.rss) <= MEMORY_MEGABYTES, f"memory changed by {last.rss - warm.rss:+.0f} MiB"),
        (not any(sample.children for sample in samples), "processes were left after a job"),
        (last.fds - warm.fds <= HANDLES, f"{last.fds - warm.fds:+d} open files"),
        (last.threads - warm.threads <= HANDLES, f"{last.threads - warm.threads:+d} threads"),
        (status == 0, f"the app ended with status {status}"),
    )
    return [what for holds, what in checks if not holds]


def report(title: str, samples: Sequence[Sample], problems: Sequence[str]) -> str:
    """One round as Markdown."""
    head = ["jobs", "ended", "children", "open files", "threads", "s", "memory MiB", "jobs MiB", "Gradio's MiB"]
    rows = []
    for number, s in enumerate(samples, 1):
        if number == 1 or number % max(5, len(samples) // 10) == 0:
            sizes = [f"{value:.1f}" for value in (s.seconds, s.rss, s.jobs_disk, s.temp_disk)]
            rows.append([number, s.state, s.children, s.fds, s.threads, *sizes])
    ends = [sample.state for sample in samples]
    counts = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
    change = samples[-1].rss - samples[WARM - 1].rss
    return (
        f"## {title}\n\n{table(head, rows)}\n{counts}. Memory, last against tenth: {change:+.1f} MiB "
        f"({slope(samples):+.0f} KiB per job by least squares).\n"
        f"{'Broken: ' + '; '.join(problems) if problems else 'All bounds hold'}.\n"
    )


def main() -> None:
    """Run both rounds, write the tables, and end with 1 where a bound is broken."""
    jobs = max(2 * WARM, int(sys.argv[1])) if len(sys.argv) > 1 else JOBS
    parts: list[str] = []
    failed = False
    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(folder := Path(name))
        for title, trouble in (CALM, False), (TROUBLE, True):
            samples, expected, status = run_round(folder / f"round{len(parts)}", inputs, jobs, trouble=trouble)
            problems = broken(samples, expected, status)
            parts.append(report(title, samples, problems))
            failed |= bool(problems)
    publish(
        "jobs.md",
        f"# Jobs\n\n{jobs} jobs in a row through the API of a running app (`app.py`), each with uploads of its own: "
        f"the sample with\n{PADDING_BYTES // MIB} MiB of padding, under {VOICE_SECONDS:.0f} s of voice, `preview` "
        "backend. Memory, open files and threads: of the server's process\nalone, within two seconds after a job; "
        f"disk: sums of file sizes. Bounds: jobs within {DISK_GIGABYTES * 1024:.1f} MiB of disk; memory\nwithin "
        f"{MEMORY_MEGABYTES:.0f} MiB, open files and threads within {HANDLES}, of what they were after the tenth job; "
        "no process left after\na job; exit status 0. Seconds are for orientation only.\n"
        f"{machine()}.\n\n" + "\n".join(parts),
    )
    raise SystemExit(int(failed))


def _megabytes(folder: Path) -> float:
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:  # went away between being listed and being asked
                continue
    return total / MIB


def _rendering(state: dict[str, Any]) -> bool:
    progress = state["progress"]
    return bool(progress and progress["stage"] == "render" and progress["done"] > 0)


def _check_result(state: dict[str, Any], result: str | None) -> None:
    if state["state"] == "done" and (result is None or Path(result).stat().st_size < 1000):
        raise RuntimeError(f"a job is done and has no video: {state}, {result}")


if __name__ == "__main__":
    main()
