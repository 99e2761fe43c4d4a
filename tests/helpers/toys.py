"""Toys of the guides (docs/adding_a_*.md), each in a package of its own: installed for as long as a test runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"


def first_example(guide: str) -> str:
    """Return the first Python of a guide."""
    return (_DOCS / guide).read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]


SOURCE = first_example("adding_a_backend.md")


def install(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str = SOURCE,
    name: str = "red-mouth",
    group: str = "musetalk.backends",
) -> None:
    """Lay a package of one file and what says that it is installed into a folder, and that on the path.

    Args:
        folder: Where to.
        monkeypatch: Takes it off the path again.
        source: Of the package.
        name: Of what it adds.
        group: Of the entry point.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    said = folder / f"{module}-1.0.dist-info"
    said.mkdir()
    (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (said / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:SPEC\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, module, raising=False)
