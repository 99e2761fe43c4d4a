"""The measurements on a GPU, on the CPU with small networks: every part runs, and what fails or is late is told."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as runner
from benchmarks.gpu.findings import Findings, as_markdown, names
from benchmarks.gpu.part import PARTS, Task, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

ROOT = Path(__file__).parents[2]
PLENTY = 600.0  # seconds
FIGURES = r"^\| --- \|.*\n\| .*\d"  # a table, and figures in it
SHOWN = {"packages": "^Imported: (.|\\n)*torch"}


@pytest.mark.parametrize("name", [part.name for part in PARTS if not part.needed])
def test_each_part_comes_to_its_end(name: str, models: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(models)
    found = tmp_path / "found.jsonl"
    assert run(name, Task(tmp_path, Findings(found, PLENTY), smoke=True)), as_markdown(found)
    assert names(found, "failed") == []
    assert names(found, "left_out") == []
    page = as_markdown(found)
    assert re.search(SHOWN.get(name, FIGURES), page, flags=re.MULTILINE), page


def test_the_script_writes_the_page_where_it_is_told_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "benchmarks" / "on_gpu.sh", "--seconds", "3000", "--smoke", "--only", "machine"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OUT": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "gpu.md").read_text()
    assert page in done.stdout
    assert re.findall("^## (.*)", page, flags=re.MULTILINE) == ["The machine", "Weights"]
    assert "| fp16 | " in page
    assert (tmp_path / "on_gpu.log").exists()


def test_a_part_that_takes_too_long_is_ended_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_GRACE", 0.0)
    (tmp_path / "page").mkdir()
    assert not runner.measure(PARTS[:1], tmp_path, 0.0, [tmp_path / "page"], smoke=True)
    assert "**Ended**" in (tmp_path / "page" / "gpu.md").read_text()


def test_what_fails_is_told_and_keeps_nothing_else_from_being_done(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    findings, late = Findings(path, PLENTY), Findings(path, 0.0)

    def fails() -> None:
        findings.row("half of it")
        raise RuntimeError("no\nroom")

    findings.head("what")
    assert not findings.attempt("one", fails)
    assert findings.attempt("two", lambda: findings.row("all | of it"))
    assert not findings.attempt("three", fails, needs=2 * PLENTY)
    assert not late.attempt("four", fails)
    with path.open("a") as file:
        file.write('{"begun": "five"}\n')  # as where a process is ended
    assert as_markdown(path) == (
        "| what |\n| --- |\n| half of it |\n| all \\| of it |\n\n"
        "**Failed**: one: `RuntimeError: no room`\n\n"
        "**Left out** for want of time: three; four.\n\n"
        "**Not finished**: five.\n"
    )
