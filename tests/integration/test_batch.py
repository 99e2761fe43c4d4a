"""Batches of real renders, by the command: killed workers, killed drivers, stops; what is left, and what goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image

from musetalk.batch.course import Cutting
from musetalk.batch.opening import open_ledger
from musetalk.batch.places import render_engine
from musetalk.batch.pool import ProcessPool
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.command import musetalk
from tests.helpers.media import tone, write_wav
from tests.helpers.programs import HANG_SECONDS, started_program
from tests.helpers.waiting import until

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
QUICK = ("--backend", "preview", "--preset", "ultrafast")


@pytest.fixture
def folder(small_portrait: UInt8Array, tmp_path: Path) -> Path:
    """A picture, a long voice and two short ones, and a manifest of three rows."""
    Image.fromarray(small_portrait).save(tmp_path / "face.png")
    for name, seconds in (("long", 20), ("a", 0.4), ("b", 0.6)):
        write_wav(tmp_path / f"{name}.wav", tone(seconds))
    (tmp_path / "clips.csv").write_text(
        "source,voice,output\nface.png,long.wav,long.mp4\nface.png,a.wav,a.mp4\nface.png,b.wav,b.mp4\n"
    )
    return tmp_path


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command on one worker process, while the `with` block runs."""
    command = [sys.executable, "-m", "musetalk", "batch", "clips.csv", "-o", "out", "--on", "local:1", *QUICK, *options]
    with started_program(command, cwd=folder, env=ENVIRONMENT) as process:
        yield process


def worker_of(process: subprocess.Popen[str], folder: Path, *, but: int = 0) -> psutil.Process:
    """The worker, once it is at work on the long row; `but`: not that one."""

    found: list[psutil.Process] = []

    def at_work() -> bool:
        found[:] = [each for each in psutil.Process(process.pid).children() if each.pid != but]
        return bool(list(folder.glob("out/.*/*/.musetalk-*")) and found and found[0].children())

    until(at_work)  # asked again, it may say otherwise: encoders come and go
    return found[0]


def test_deaths_and_stops_cost_what_was_under_way_and_nothing_else(folder: Path) -> None:
    with started(folder) as process:
        first = worker_of(process, folder)
        first.kill()
        second = worker_of(process, folder, but=first.pid)
        started_by_it = [second, *second.children(recursive=True)]
        process.kill()
        process.communicate(timeout=HANG_SECONDS)
        _, alive = psutil.wait_procs(started_by_it, timeout=HANG_SECONDS)
        assert not alive
    assert [path.name for path in (folder / "out").glob("*.mp4")] == []
    code, _, complaint = musetalk("batch", "clips.csv", "-o", "out", *QUICK, cwd=folder)
    assert (code, "--resume goes on" in complaint) == (2, True)
    with started(folder, "--resume") as again:
        worker = worker_of(again, folder)
        again.send_signal(signal.SIGTERM)
        _, complaint = again.communicate(timeout=HANG_SECONDS)
        assert not worker.is_running()
    assert again.returncode == 130, complaint
    assert "Traceback" not in complaint
    assert f"process {process.pid} on" in complaint  # which did not close the ledger
    report = json.loads((folder / "out" / "clips.report.json").read_text())
    assert (report["stopped"], [row["state"] for row in report["rows"]]) == (True, ["stopped"] * 3)
    write_wav(folder / "long.wav", tone(0.2))
    code, said, complaint = musetalk("batch", "clips.csv", "-o", "out", "--resume", *QUICK, cwd=folder)
    assert (code, "3 of 3 rows done" in said) == (0, True), complaint
    settings = RenderSettings.parse({"backend": "preview", "encoder": {"preset": "ultrafast"}})
    LipSync().render(folder / "face.png", folder / "a.wav", folder / "alone.mp4", settings)
    assert (folder / "out" / "a.mp4").read_bytes() == (folder / "alone.mp4").read_bytes()
    assert not list((folder / "out").glob(".*"))  # nor of what is asked for no more
    code, said, _ = musetalk("batch", "clips.csv", "-o", "out", "--resume", *QUICK, cwd=folder)
    assert (code, "made before" in said) == (0, True)


def test_a_long_clip_over_two_workers_is_the_file_of_one(folder: Path) -> None:
    settings = {"backend": "preview", "encoder": {"preset": "ultrafast"}}
    write_wav(folder / "long.wav", tone(10.4))  # two parts
    row = Row("line 2", folder / "face.png", folder / "long.wav", folder / "out" / "long.mp4", settings)
    with ProcessPool(2, render_engine) as pool, open_ledger(folder / "ledger") as ledger:
        options = BatchOptions(cutting=Cutting(voice_bytes=0, frames=100))
        report = run_batch([row], pool, ledger, engine=LipSync(), options=options)
    assert report.complete
    assert sum(share.pieces for share in report.workers.values()) == 2
    LipSync().render(row.source, row.voice, folder / "alone.mp4", RenderSettings.parse(settings))
    assert row.output.read_bytes() == (folder / "alone.mp4").read_bytes()


def test_a_manifest_that_cannot_be_used_is_bad_usage(folder: Path) -> None:
    (folder / "clips.csv").write_text("source,voice,output\nface.png,a.wav,../../a.mp4\nface.png\n")
    code, _, complaint = musetalk("batch", "clips.csv", "-o", "out", *QUICK, cwd=folder)
    assert (code, len(complaint.splitlines())) == (2, 1)
    assert "line 2: " in complaint
    assert "line 3: " in complaint
    assert not (folder / "out").exists()
    (folder / "clips.csv").write_text("source,voice,output\nface.png,a.wav,a.mp4\n")
    code, _, complaint = musetalk("batch", "clips.csv", "-o", "out", "--report", "face.png", *QUICK, cwd=folder)
    assert (code, "is one of the inputs" in complaint) == (2, True)
    (folder / "clips.csv").write_text("source,voice,output,face\nface.png,a.wav,a.mp4,nobody\nface.png,b.wav,b.mp4,\n")
    code, _, complaint = musetalk("batch", "clips.csv", "-o", "out", "--strict", *QUICK, cwd=folder)
    assert (code, "line 2: " in complaint) == (2, True)
    code, said, _ = musetalk("batch", "clips.csv", "-o", "out", *QUICK, cwd=folder)
    assert (code, "1 of 2 rows done" in said) == (1, True)
    assert "line 2: failed: " in said
