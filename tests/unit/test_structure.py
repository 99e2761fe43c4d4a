"""The layout's promises: arrows point one way, nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import musetalk

PACKAGE = Path(__file__).parents[2] / "musetalk"
BASE = {"errors", "progress", "utils"}
# The rooms, bottom to top, and what of the others each may import.
LAYERS = {
    "settings": {"errors"},
    "utils": {"errors", "progress"},
    "media": BASE | {"settings"},
    "runtime": {"errors", "utils"},
    "weights": {"errors", "progress", "runtime"},
    "faces": BASE | {"settings", "runtime", "weights"},
    "audio": BASE | {"settings", "runtime", "weights"},
    "compositing": {"faces", "settings", "utils"},
    "backends": BASE | {"settings", "runtime", "weights", "faces", "audio"},
    "enhancers": BASE | {"settings", "runtime", "weights", "faces", "backends"},
    "metrics": {"audio", "compositing", "faces", "media", "utils"},
    "pipeline": BASE
    | {"settings", "media", "runtime", "weights", "faces", "audio", "compositing", "backends", "enhancers", "metrics"},
    "inspection": BASE | {"settings", "media", "faces", "audio", "compositing", "pipeline"},
    "comparison": BASE | {"settings", "media", "metrics", "pipeline"},
    "doctor": {
        "assets",
        "errors",
        "settings",
        "utils",
        "media",
        "runtime",
        "weights",
        "faces",
        "audio",
        "compositing",
        "backends",
    }
    | {"pipeline"},
    "jobs": BASE | {"settings", "media", "pipeline", "comparison"},
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("room", LAYERS)
def test_rooms_import_only_what_lies_below_them(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        inside = {name.split(".")[1] for name in imported(path) if name.startswith("musetalk.")} - {room}
        assert inside <= LAYERS[room], f"{path.name} imports {sorted(inside - LAYERS[room])}"


def test_nothing_below_the_doors_knows_them() -> None:
    doors = {"musetalk.cli", "musetalk.webui", "typer", "rich"}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in {"cli", "webui", "__main__.py"}:
            names = imported(path)
            assert not {n for n in names if n.split(".")[0] in doors or ".".join(n.split(".")[:2]) in doors}, path


def test_few_modules_lie_loose() -> None:
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "lipsync", "progress"}


def test_the_pipeline_knows_latentsync_only_by_the_registry_and_the_doctor() -> None:
    users = {path for path in PACKAGE.rglob("*.py") if any(name.split(".")[0] == "hybrid" for name in imported(path))}
    assert {path.relative_to(PACKAGE).parts[0] for path in users} == {"backends", "doctor"}
    assert [path for path in users if path.is_relative_to(PACKAGE / "backends")] == [PACKAGE / "backends/registry.py"]


def test_latentsync_knows_nothing_that_chains_stages() -> None:
    below = LAYERS["backends"] | {"compositing", "backends"}
    for path in (PACKAGE.parent / "hybrid").rglob("*.py"):
        inside = {name.split(".")[1] for name in imported(path) if name.startswith("musetalk.")}
        assert inside <= below, f"{path.name} imports {sorted(inside - below)}"


def test_only_the_app_and_the_web_interface_know_gradio() -> None:
    root = PACKAGE.parent
    ours = [
        root / "app.py",
        *(p for room in ("musetalk", "scripts", "benchmarks", "tools", "docs") for p in (root / room).rglob("*.py")),
    ]
    users = {path for path in ours if {n for n in imported(path) if n.split(".")[0] == "gradio"}}
    assert users
    assert all(path == root / "app.py" or path.is_relative_to(PACKAGE / "webui") for path in users), users


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
