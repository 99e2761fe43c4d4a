"""Which of the packages that the other parts import are missing: told all at once, before anything is measured.

Needs nothing but Python.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from benchmarks.gpu.findings import reason_of
from benchmarks.gpu.part import Task
from musetalk.doctor.imports import foreign, imports_in, source_files

_ROOT = Path(__file__).parents[2]
_OWN = ("musetalk", "hybrid", "benchmarks", "tests")
_UNUSED = (
    "batch",
    "cli",
    "comparison",
    "inspection",
    "jobs",
    "live",
    "plugins",
    "presenter",
    "storage",
    "tts",
    "weights",
    "webui",
)  # no part needs all of them


def measure(task: Task) -> None:
    """Import each, and tell those that cannot be."""
    rooms = [room for room in (_ROOT / "musetalk").iterdir() if room.name not in _UNUSED]
    files = source_files([*rooms, _ROOT / "hybrid", _ROOT / "benchmarks" / "gpu"])
    wanted = foreign((each for file in files for each in imports_in(file) if each.kind == "needed"), _OWN)
    names = sorted({each.package for each in wanted})
    missing = {name: why for name in names if (why := _problem(name))}
    task.findings.say(f"Imported: {', '.join(name for name in names if name not in missing)}.")
    if missing:
        task.findings.head("cannot be imported", "why")
        for name, why in missing.items():
            task.findings.row(name, why)
        raise ModuleNotFoundError(f"{', '.join(missing)} cannot be imported: parts that need them fail")


def _problem(package: str) -> str:
    """Return why a package cannot be imported; empty: it can be."""
    try:
        importlib.import_module(package)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything
        return reason_of(error)
    return ""
