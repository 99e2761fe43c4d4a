from __future__ import annotations

import subprocess

import pytest

from musetalk.pipeline import report
from musetalk.pipeline.report import PeakMemory


def test_children_that_end_while_they_are_counted_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the sampling thread would fail this test."""
    monkeypatch.setattr(report, "_SAMPLE_SECONDS", 0.0)
    with PeakMemory() as memory:
        for _ in range(60):
            subprocess.run(["/bin/sh", "-c", "true & true"], check=True)
    assert memory.mb > 1
