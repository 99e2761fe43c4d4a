"""What `python -m musetalk doctor` prints."""

from __future__ import annotations

from pathlib import Path

from musetalk.backends.registry import BackendRegistry
from musetalk.cli.console import print_table
from musetalk.doctor.environment import examine
from musetalk.settings import RenderSettings


def print_examination(models_dir: Path) -> None:
    """Look at everything and print it.

    Args:
        models_dir: Where weights are.
    """
    for title, rows in examine(BackendRegistry(), RenderSettings(models_dir=models_dir)).items():
        print_table(title, rows)


def print_surgical_check(models_dir: Path, backends: str | None = None) -> int:
    """Run the surgical check and print each table as it is done.

    Args:
        models_dir: Where weights are.
        backends: Names of backends, with commas; None: all.

    Returns:
        How many lines are wrong.

    Raises:
        BackendError: There is no such backend.
    """
    from musetalk.doctor.surgical import surgical_check  # noqa: PLC0415 - the command's one way there, and heavy

    names = [name.strip() for name in (backends or "").split(",") if name.strip()]
    failures: list[tuple[str, str]] = []
    for table in surgical_check(models_dir, names):
        print_table(table.title, list(table.rows))
        failures += [(table.title, f"{line.name}: {line.said}") for line in table.failures]
    print_table(f"{len(failures)} lines are wrong" if failures else "Everything is as it should be", failures)
    return len(failures)
