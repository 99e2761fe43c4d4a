"""What tests start is ended, whatever happens; seen from a small suite of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil
import pytest

from tests.helpers.programs import run_program, started_program
from tests.helpers.served import ROOT

pytestmark = pytest.mark.slow

SLEEPER = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
SUITE = f"""
import subprocess, sys
import psutil, pytest
from tests.helpers.programs import nothing_started_stays

children = []

@pytest.fixture(autouse=True)
def tidy(request):
    yield from nothing_started_stays(psutil.Process(), request)

def start():
    child = subprocess.Popen({SLEEPER!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children.append((child, child.stdout.readline()))

def test_fails_and_leaves_a_child():
    start()
    raise AssertionError("its own failure")

def test_meets_nothing_of_the_one_before():
    assert [psutil.pid_exists(child.pid) for child, _ in children] == [False]
    assert psutil.Process().children() == []
"""


def test_a_program_is_gone_after_its_block() -> None:
    with pytest.raises(RuntimeError, match="a test's own"), started_program([*SLEEPER]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        raise RuntimeError("a test's own")
    assert process.poll() is not None
    assert not psutil.pid_exists(process.pid)


def test_a_failure_that_leaves_a_child_is_one_failure(tmp_path: Path) -> None:
    suite = tmp_path / "test_small.py"
    suite.write_text(SUITE)
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    options = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", tmp_path]
    done = run_program([sys.executable, "-m", "pytest", *options, suite], cwd=ROOT)
    assert re.search(r"1 failed, 1 passed in", done.stdout), done.stdout
