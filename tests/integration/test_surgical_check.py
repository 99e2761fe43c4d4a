"""`python -m musetalk doctor --surgical`, without weights, with them, and with something wrong."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.helpers.command import musetalk
from tests.helpers.programs import run_program
from tests.helpers.served import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of a table is broken."""
    monkeypatch.setenv("COLUMNS", "400")


def surgical(models: Path, *options: str) -> tuple[int, dict[str, str], str]:
    """Exit code, tables by title, stderr."""
    code, out, err = musetalk("doctor", "--surgical", "--models-dir", models, *options, cwd=models.parent)
    return code, tables_of(out), err


def tables_of(printed: str) -> dict[str, str]:
    """Tables by title."""
    names = r"Imports|preview|musetalk-v1|musetalk-v15|latentsync-1\.[56]"
    titles = rf"{names}|Everything.*|\d+ lines.*"
    pieces = re.split(rf"^({titles})$", printed, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def line(table: str, name: str) -> str:
    [found] = re.findall(rf"^{re.escape(name)}  +(.*?) *$", table, flags=re.MULTILINE)
    return str(found)


def test_without_weights_every_backend_is_run_with_a_stand_in(tmp_path: Path) -> None:
    code, tables, err = surgical(tmp_path / "models")
    assert code == 0, (tables, err)
    assert "FAILED" not in "".join(tables.values())
    assert "Everything is as it should be" in tables
    assert line(tables["Imports"], "eliminated packages").startswith("not imported: mmcv, mmpose, mmdet")
    [modules, names] = map(int, re.findall(r"\d+", line(tables["Imports"], "core imports")))
    assert modules > 150
    assert names > 1000
    assert line(tables["preview"], "conditioned") == "no network: crops are warped"
    for name in ("musetalk-v15", "musetalk-v1"):
        assert line(tables[name], "weights").startswith("tiny filled stand-in (weights missing: musetalk")
        assert line(tables[name], "sample") == "[16, 8, 32, 32] = lower half black 4 + crop 4, in 8 calls"
        assert line(tables[name], "encoded") == "16 crops with the lower half black (-1), 16 whole"
        assert line(tables[name], "timestep") == "0"
    loops = {256: ("501 ... 1 (2 steps)", "2 calls"), 512: ("999 (1 step)", "1 call")}
    for name, side in (("latentsync-1.5", 256), ("latentsync-1.6", 512)):
        steps, calls = loops[side]
        assert f"latentsync-{name[-3:]}/latentsync_unet.pt" in line(tables[name], "weights")
        shape = f"[1, 13, 16, {side // 8}, {side // 8}]"
        assert line(tables[name], "sample") == f"{shape} = noise 4 + mask 1 + masked image 4 + reference 4, {calls}"
        assert line(tables[name], "encoded") == "16 crops with the painted pixels grey (0), 16 whole"
        assert line(tables[name], "timesteps") == steps
        assert line(tables[name], "audio") == "[32, 50, 384]: silence | voice"
        assert line(tables[name], "result") == f"[16, {side}, {side}, 3] uint8"
        assert line(tables[name], "pixels changed").startswith("0 outside the mask, ")


def test_installed_weights_are_used_and_damaged_ones_are_told(bare_models: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(bare_models, models, copy_function=os.link)
    unet = models / "latentsync-1.5" / "latentsync_unet.pt"
    held = unet.read_bytes()
    unet.unlink()
    unet.write_bytes(held[:-100])
    code, tables, _ = surgical(models, "--backends", "musetalk-v15, latentsync-1.5")
    assert code == 1
    assert "1 lines are wrong" in tables
    assert not {"preview", "Imports"} & set(tables)
    assert line(tables["musetalk-v15"], "weights") == "installed"
    assert line(tables["musetalk-v15"], "speech") == "[16, 50, 384] float32, heard by Whisper"
    said = line(tables["latentsync-1.5"], "weights")
    assert said.startswith("FAILED: damaged, a tiny filled stand-in was used: latentsync-1.5/latentsync_unet.pt has ")
    assert line(tables["latentsync-1.5"], "timesteps") == "501 ... 1 (2 steps)"


def test_an_unknown_backend_is_one_line(tmp_path: Path) -> None:
    """As a program, so that the command is seen to start."""
    done = run_program(
        [sys.executable, "-m", "musetalk", "doctor", "--surgical", "--backends", "latentsync"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('musetalk: there is no backend "latentsync"')
    assert len(done.stderr.splitlines()) == 1
