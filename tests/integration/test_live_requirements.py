"""Live speech where only the packages of `requirements-streaming.txt` are there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from tests.helpers.film import settings
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT

pytestmark = pytest.mark.integration


def test_live_speech_needs_no_other_packages(film: Path, models: Path, tmp_path: Path) -> None:
    engine = LipSync()
    haar = RenderSettings.parse({"backend": "preview", "detector": {"name": "haar"}})
    engine.create_avatar(film, tmp_path / "preview", haar)
    engine.create_avatar(film, tmp_path / "network", settings(models))
    command = [sys.executable, "-m", "tests.helpers.lean_live", str(ROOT / "requirements-streaming.txt"), str(models)]
    done = subprocess.run(
        [*command, str(tmp_path / "preview"), str(tmp_path / "network")],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        timeout=HANG_SECONDS,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    served, *lines = done.stdout.splitlines()
    assert served == "serving 1"
    spoken = [line.split() for line in lines]
    assert [(name, int(frames)) for name, frames, _ in spoken] == [("preview", 25), ("network", 25)]
    assert all(int(painted) > 0 for *_, painted in spoken)
