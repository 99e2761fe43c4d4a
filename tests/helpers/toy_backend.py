"""The backend of docs/adding_a_backend.md, in a package of its own: installed for as long as a test runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "adding_a_backend.md"
SOURCE = GUIDE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = SOURCE, name: str = "red-mouth") -> None:
    """Lay a package of one file and what says that it is installed into a folder, and that on the path.

    Args:
        folder: Where to.
        monkeypatch: Takes it off the path again.
        source: Of the package.
        name: Of the backend.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    said = folder / f"{module}-1.0.dist-info"
    said.mkdir()
    (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (said / "entry_points.txt").write_text(f"[musetalk.backends]\n{name} = {module}:SPEC\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, module, raising=False)
