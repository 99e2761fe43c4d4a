"""Imports everything with the eliminated packages hidden; for a process of its own.

`python -m musetalk.doctor.hidden_imports` is that process. Hidden means as if not installed: an import of
them fails, and who only looks whether they are there is told that they are not. Libraries do that for what they can do
without, which is no need; so nothing is forbidden, and what counts is whether each import of this project's comes
through.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from musetalk.doctor.imports import ELIMINATED, foreign, imports_in, source_files

OWN = ("musetalk", "hybrid")
# Folders that stand on a framework, which is an extra.
_FRAMEWORKS = {
    "plugins/livekit": "livekit",
    "plugins/pipecat": "pipecat",
    "live/webrtc": "aiortc",
    "batch/cluster": "ray",
    "musetalk/storage": "fsspec",
}
# What a module, or a package that is there but does not work, may end its import with.
_FAILS = (ImportError, AttributeError, OSError, RuntimeError, TypeError, ValueError)


class _Hiding:
    """A finder of modules that does not find some packages.

    Args:
        finder: One of `sys.meta_path`.
        hidden: Names of the packages.
        asked: Told which of them somebody asked for.
    """

    def __init__(self, finder: Any, hidden: frozenset[str], asked: set[str]) -> None:  # noqa: ANN401 - of any kind
        self._finder, self._hidden, self._asked = finder, hidden, asked

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ANN401 - passed on
        package = name.partition(".")[0]
        if package in self._hidden:
            self._asked.add(package)
            return None
        found: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return found

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the finder has
        return getattr(self._finder, name)


def hide(names: Iterable[str]) -> set[str]:
    """Hide packages from this process for good; returns the set of those that somebody asked for, which grows."""
    asked: set[str] = set()
    hidden = frozenset(names)
    sys.meta_path[:] = [_Hiding(finder, hidden, asked) for finder in sys.meta_path]
    return asked


def import_all(root: Path) -> dict[str, Any]:
    """Import this project's modules, then, one by one, all that they import at any time.

    Args:
        root: The folder with the packages.

    Returns:
        "modules" and "imports": how many; "failures": a sentence each; "packages": name to version, or to what is wrong
        after "failed: ".
    """
    files = [file for file in source_files(root / name for name in OWN) if not _lacks_its_framework(file)]
    failures = [said for file in files if file.stem != "__main__" and (said := _failure(_module(file, root)))]
    wanted = [each for file in files for each in imports_in(file) if each.kind == "needed"]
    failures += [f"{each}: {said}" for each in wanted if (said := _failure(each.module, each.name))]
    packages = sorted({each.package for each in foreign(wanted, OWN)})
    return {
        "modules": len(files),
        "imports": len(wanted),
        "failures": failures,
        "packages": {name: _version(name) for name in packages},
    }


def _lacks_its_framework(file: Path) -> bool:
    """Whether a file is of a folder that stands on a framework, an extra, which is not installed."""
    framework = _FRAMEWORKS.get("/".join(file.parts[-3:-1]))
    return framework is not None and importlib.util.find_spec(framework) is None


def _module(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _failure(module: str, name: str = "") -> str:
    """Return what goes wrong when a module, or a name of it, is imported; empty: nothing."""
    try:
        loaded = importlib.import_module(module)
        if name and not hasattr(loaded, name):
            importlib.import_module(f"{module}.{name}")
    except _FAILS as error:
        return f"{module}: {' '.join(str(error).split())}"
    return ""


def _version(package: str) -> str:
    failed = _failure(package)
    return f"failed: {failed}" if failed else str(getattr(sys.modules[package], "__version__", "imported"))


def main() -> None:
    """Write what was found to stdout, as JSON on its last line."""
    names = frozenset(ELIMINATED.values())
    asked = hide(names)
    found = import_all(Path(__file__).parents[2])
    loaded = sorted(names & {name.partition(".")[0] for name in sys.modules})
    sys.stdout.write(f"\n{json.dumps({**found, 'asked': sorted(asked), 'loaded': loaded})}\n")


if __name__ == "__main__":
    main()
