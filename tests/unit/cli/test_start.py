"""What a start loads: nothing that the command does not need."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from musetalk.assets import SAMPLE, VOICE
from tests.helpers.programs import run_program
from tests.helpers.served import ROOT

pytestmark = pytest.mark.slow

# Of a library alone, networks and the web; what only some files, weights or terminals need.
NETWORKS = {"torch", "torchvision", "transformers", "diffusers", "safetensors", "scipy", "librosa", "gradio", "httpx"}
SELDOM = {"filelock", "pi_heif", "rich", "requests", "matplotlib", "skimage"}


def loaded(code: str, arguments: Sequence[str | Path] = ()) -> set[str]:
    """Names of the top-level modules that a fresh interpreter has after running code."""
    told = f"import sys\ntry:\n    {code}\nfinally:\n    import json; print(json.dumps([*sys.modules]))"
    done = run_program([sys.executable, "-c", told, *map(str, arguments)], cwd=ROOT)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(names)


def test_importing_the_package_loads_nothing_of_others() -> None:
    names = loaded("import musetalk; musetalk.__version__")
    assert "musetalk" in names
    assert not {name.partition(".")[0] for name in names} & (NETWORKS | SELDOM | {"numpy", "cv2", "pydantic", "typer"})
    assert not [name for name in names if name.startswith("musetalk.")]


def test_the_command_line_loads_no_engine_to_show_its_help() -> None:
    names = loaded("import musetalk.cli.main")
    assert not {"cv2", "musetalk.lipsync", "musetalk.media.reader"} & names


def test_a_preview_render_loads_no_networks_and_nothing_for_rare_inputs(tmp_path: Path) -> None:
    out, short = tmp_path / "out.mp4", tmp_path / "short.wav"
    with wave.open(str(VOICE)) as whole, wave.open(str(short), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(whole.getframerate() // 2))
    arguments = ["render", SAMPLE, short, "-o", out, "--backend", "preview", "--quiet"]
    names = loaded("from musetalk.cli.main import main; main()", arguments)
    assert out.stat().st_size > 0
    assert "musetalk.pipeline.render" in names
    assert not {name.partition(".")[0] for name in names} & (NETWORKS | SELDOM)
    assert "musetalk.media.pictures.decoding" not in names
