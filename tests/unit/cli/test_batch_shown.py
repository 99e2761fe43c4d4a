"""What the terminal says of a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from musetalk.batch.outcome import BatchReport, WorkerShare
from musetalk.batch.watch import Doing, Standing
from musetalk.cli import batch
from musetalk.cli.batch import shown, told_end


def test_workers_that_are_silent_are_told_of_though_nothing_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "_LINE_SECONDS", 0.0)
    standing = Standing(3, 1, {"gpu-1": Doing("anna", 0.5), "gpu-2": Doing("bert", 0.1)}, 90.0, None)
    with shown(quiet=False) as watcher:
        for silent in (0.0, 50.0, 61.0, 62.0, 130.0):
            doing = standing.running | {"gpu-2": Doing("bert", 0.1, silent)}
            watcher.standing(replace(standing, running=doing))
    assert [line.partition("ended ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "",
        "gpu-2 silent for about 1 min (bert)",
        "gpu-2 silent for about 2 min (bert)",
    ]


def test_the_end_tells_who_was_silent(capsys: pytest.CaptureFixture[str]) -> None:
    shares = {"gpu-1": WorkerShare(2, silent_seconds=59.0), "gpu-2": WorkerShare(1, silent_seconds=540.0)}
    told_end(BatchReport((), shares, 600.0), None)
    first, second = (line for line in capsys.readouterr().out.splitlines() if "gpu" in line)
    assert "silent" not in first
    assert "once silent for about 9 min" in second
