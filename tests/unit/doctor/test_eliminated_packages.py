"""What upstream installs and this project does without: nothing here imports it, needs it or installs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from musetalk.doctor.imports import ELIMINATED, eliminated, foreign, imports_in, source_files

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PLACES = ("musetalk", "hybrid", "scripts", "benchmarks", "tools", "docs", "app.py")
NAMED = ("mmcv", "mmpose", "mmdet", "mmengine", "openmim", "tensorflow", "insightface", "mediapipe")


def run_hidden(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "musetalk.doctor.hidden_imports"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "GRADIO_ANALYTICS_ENABLED": "False"},
    )


def test_the_list_holds_what_upstream_cannot_be_installed_for() -> None:
    assert set(ELIMINATED) >= {*NAMED, "decord", "kornia"}


def test_no_file_imports_them_in_any_way() -> None:
    files = source_files(ROOT / place for place in PLACES)
    seen = [each for file in files for each in imports_in(file)]
    assert len(files) > 150
    assert {"torch", "diffusers", "cv2", "gradio"} <= {each.package for each in seen}
    assert eliminated(seen) == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import mmcv.ops", "needed"),
        ("from mmpose.apis import init_model", "needed"),
        ("def late():\n    import decord as d", "needed"),
        ("try:\n    import kornia\nexcept ImportError:\n    kornia = None", "guarded"),
        ("try:\n    import kornia\nexcept KeyError:\n    kornia = None", "needed"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow", "typing"),
        ("import importlib\ndef late():\n    return importlib.import_module('mediapipe')", "by name"),
        ("x = __import__('mim')", "by name"),
        ("import torch\nif torch:\n    class A:\n        import face_alignment", "needed"),
    ],
)
def test_the_walk_finds_what_is_planted(tmp_path: Path, code: str, kind: str) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "planted.py").write_text(f"{code}\n", encoding="utf-8")
    (tmp_path / "clean.py").write_text("import torch, kornia_like\n", encoding="utf-8")
    [found] = eliminated(each for file in source_files([tmp_path]) for each in imports_in(file))
    assert (found.file.name, found.kind) == ("planted.py", kind)
    assert str(found).startswith("planted.py:")


def test_own_and_standard_modules_are_not_foreign(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("import os.path, json\nfrom musetalk.errors import MuseTalkError\nfrom . import near\nimport cv2\n")
    assert [each.module for each in foreign(imports_in(path), ["musetalk"])] == ["cv2"]


def test_a_module_that_needs_one_is_found_out(tmp_path: Path) -> None:
    """Copies of the check beside a package with a planted need, a guard, and a mere look.

    That nothing of this project's needs one: `tests/integration/test_surgical_check.py`.
    """
    check = tmp_path / "musetalk" / "doctor"
    check.mkdir(parents=True)
    for name in ("imports.py", "hidden_imports.py"):
        own = ROOT / "musetalk" / "doctor" / name
        (check / name).write_text(own.read_text(encoding="utf-8"), encoding="utf-8")
    for package in (tmp_path / "hybrid", check, tmp_path / "musetalk"):
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
    # On the path, so that it could be imported if it were not hidden.
    (tmp_path / "kornia.py").write_text("there = True\n")
    (tmp_path / "decord.py").write_text("there = True\n")
    (tmp_path / "musetalk" / "guarded.py").write_text(
        "try:\n    import kornia\nexcept ImportError:\n    kornia = None\n"
    )
    (tmp_path / "musetalk" / "looking.py").write_text(
        "import importlib.util\nassert importlib.util.find_spec('decord') is None\n"
    )
    found = json.loads(run_hidden(tmp_path).stdout.splitlines()[-1])
    assert (found["failures"], found["asked"], found["loaded"]) == ([], ["decord", "kornia"], [])
    (tmp_path / "musetalk" / "needing.py").write_text("import kornia\n")
    (tmp_path / "musetalk" / "late.py").write_text("def late():\n    from decord import there\n    return there\n")
    found = json.loads(run_hidden(tmp_path).stdout.splitlines()[-1])
    assert [re.sub(": No module named.*", "", said) for said in found["failures"]] == [
        "musetalk.needing",
        "late.py:2: from decord import there: decord",
        "needing.py:1: import kornia: kornia",
    ]
    assert found["packages"]["kornia"].startswith("failed: ")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements.lock", "requirements-dev.lock", "pyproject.toml"])
def test_nothing_installs_them(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").lower()
    installed = re.findall(r'^\s*"?([a-z0-9][a-z0-9._-]*)', text, flags=re.MULTILINE)
    assert len(installed) > 10
    assert installed_of(installed) == []
    assert installed_of([*installed, "mmcv-lite", "mmcv_full"]) == ["mmcv-lite", "mmcv_full"]


def installed_of(names: list[str]) -> list[str]:
    """Those that are eliminated, in whichever of their flavours."""
    plain = [(name, re.sub("[._]", "-", name)) for name in names]
    return [name for name, it in plain if any(it == banned or it.startswith(f"{banned}-") for banned in ELIMINATED)]
