"""The example of the drop-in, as the program that it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from musetalk.assets import PORTRAIT, VOICE
from musetalk.media.pictures.decoding import read_image
from tests.helpers.programs import run_program
from tests.helpers.served import ROOT

pytestmark = pytest.mark.integration


def test_latentsync_speaks_in_musetalks_loop(bare_models: Path, tmp_path: Path) -> None:
    example = ROOT / "examples" / "latentsync_in_musetalks_loop.py"
    quick = ["--models", bare_models, "--steps", "1", "--frames", "2"]
    done = run_program(
        [sys.executable, *map(str, (example, PORTRAIT, VOICE, tmp_path / "results", *quick))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    pictures = [read_image(path) for path in sorted((tmp_path / "results").iterdir())]
    assert [picture.shape for picture in pictures] == [(256, 256, 3)] * 2
    assert not np.array_equal(*pictures)  # another moment of the voice
