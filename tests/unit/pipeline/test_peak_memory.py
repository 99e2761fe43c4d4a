from __future__ import annotations

import subprocess
import sys

import pytest

from musetalk.pipeline import report
from musetalk.pipeline.report import PeakMemory

# Prints which entries of a child's threads were opened while its memory was sampled, and how many samples saw it.
_WATCHED = """
import subprocess, sys
opened = []
sys.addaudithook(lambda event, about: opened.append(str(about[0])) if event in ("open", "os.listdir") else None)
from musetalk.pipeline import report
report._SAMPLE_SECONDS = 0.0
threads = "import threading; [threading.Thread(target=input).start() for _ in range(3)]; print(flush=True)"
with report.PeakMemory():
    child = subprocess.Popen([sys.executable, "-c", threads], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    main = f"/proc/{child.pid}/task/{child.pid}/children"
    del opened[:]
    while opened.count(main) < 3:
        pass
    child.communicate(b"1\\n2\\n3\\n")
print({path for path in opened if path.startswith(f"/proc/{child.pid}/task")} == {main})
"""


def test_children_that_end_while_they_are_counted_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the sampling thread would fail this test."""
    monkeypatch.setattr(report, "_SAMPLE_SECONDS", 0.0)
    with PeakMemory() as memory:
        for _ in range(60):
            subprocess.run(["/bin/sh", "-c", "true & true"], check=True)
    assert memory.mb > 1


@pytest.mark.skipif(sys.platform != "linux", reason="by Linux's lists")
def test_threads_of_children_are_not_looked_at() -> None:
    """Whoever reaps a child would spin in the kernel until that has forgotten them."""
    told = subprocess.run([sys.executable, "-c", _WATCHED], check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout.split() == ["True"]
