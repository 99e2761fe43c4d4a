"""The log for programs: of commands as they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT


@pytest.mark.slow
def test_errors_of_a_command_are_lines_with_their_kind() -> None:
    command = [sys.executable, "-m", "musetalk", "render", "none.mp4", "none.wav", "-o", "none-out.mp4"]
    environment = {**os.environ, "MUSETALK_LOG": "json"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (lines[-1]["level"], lines[-1]["kind"]) == ("error", "media")
