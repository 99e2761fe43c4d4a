"""The layout's promises that no contract in pyproject.toml can state: what lies loose, and what is imported when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import musetalk

PACKAGE = Path(__file__).parents[2] / "musetalk"


def test_few_modules_lie_loose() -> None:
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "lipsync", "outputs", "progress", "rendering"}


def test_listing_the_backends_loads_none() -> None:
    loaded = modules_after("from musetalk.backends.registry import BackendRegistry\nlist(BackendRegistry())")
    assert "hybrid.spec" in loaded
    assert not loaded & {"torch", "diffusers", "hybrid.loading", "musetalk.backends.preview.generator"}


def modules_after(code: str, cwd: Path = PACKAGE.parent) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import musetalk, musetalk.cli.main")
    assert not loaded & {"numpy", "cv2", "torch", "diffusers", "transformers", "gradio", "yaml"}


def test_the_public_names_are_at_the_top() -> None:
    loaded = modules_after("from musetalk import LipSync, RenderReport, RenderSettings")
    assert {"musetalk.lipsync", "musetalk.settings", "musetalk.pipeline.report"} <= loaded
    assert "torch" not in loaded
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        musetalk.Nobody  # noqa: B018 - asked for


def test_help_is_written_without_the_engine() -> None:
    loaded = modules_after(
        "import sys\nsys.argv = ['musetalk', 'render', '--help']\nfrom musetalk.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert not loaded & {"numpy", "cv2", "torch", "gradio", "yaml", "musetalk.lipsync"}


def test_importing_the_app_does_no_work(tmp_path: Path) -> None:
    loaded = modules_after("import app", tmp_path)
    assert "app" in loaded
    assert not loaded & {"gradio", "numpy", "cv2", "torch", "musetalk.lipsync"}
    assert list(tmp_path.iterdir()) == []
