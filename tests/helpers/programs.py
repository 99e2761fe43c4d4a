"""Programs that tests start: they may take as long as a busy machine needs, and nothing of them outlives their test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

CI = os.environ.get("CI") == "true"  # where what cannot be tested is a failure
HANG_SECONDS = 1800.0  # against hanging only: no test may depend on how fast the machine is
_ENDING_SECONDS = 120.0  # what children may take to end by themselves after a test that passed
PASSED = pytest.StashKey[bool]()  # set by `tests/conftest.py` when a test's own part has ended


def run_program(
    command: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; returns its exit status and what it printed."""
    with started_program(command, cwd=cwd, env=env) as process:
        out, err = process.communicate(timeout=HANG_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def started_program(
    command: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program with pipes for what it prints; it and its children are gone after the `with` block."""
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=env
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill([*_children(psutil.Process(process.pid)), psutil.Process(process.pid)])


def nothing_started_stays(parent: psutil.Process, request: pytest.FixtureRequest) -> Iterator[None]:
    """The body of a fixture: after the test, no child of `parent` is left that the test started.

    Whatever is left is killed, so that no later test meets it. It is a failure where the test itself passed; where it
    failed, that is failure enough. Children that were there before may have what children they like: a browser does.
    """
    before = parent.children()
    yield
    passed = request.node.stash.get(PASSED, False)
    tree = [each for child in parent.children() if child not in before for each in (child, *_children(child))]
    _, alive = psutil.wait_procs(tree, timeout=_ENDING_SECONDS if passed else 0)
    _kill(alive)
    assert not (passed and alive), f"left running: {alive}"


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=HANG_SECONDS)
