"""A backend in a package of its own: installed for as long as a test runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

SOURCE = '''"""A mouth painted red."""

from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Traits


class RedMouth:
    crop_size, clip_length, traits, device = 64, 8, Traits(), "cpu"

    def generate(self, clip):
        painted = clip.crops.copy()
        painted[..., 0] = 255
        return painted


SPEC = BackendSpec("red-mouth", "a mouth painted red", lambda _: RedMouth())
'''


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
