"""What `python -m musetalk doctor` prints."""

from __future__ import annotations

import os
from pathlib import Path

from musetalk.batch.places import HERE, check_place, describe_place
from musetalk.cli.console import print_table
from musetalk.doctor.environment import examine
from musetalk.errors import SettingsError
from musetalk.lipsync import LipSync
from musetalk.settings import AUTO, RenderSettings

_WORKERS = "MUSETALK_WORKERS"


def print_examination(models_dir: Path) -> None:
    """Look at everything and print it.

    Args:
        models_dir: Where weights are.
    """
    engine = LipSync(own_process=True)
    for title, rows in examine(engine.registry, models_dir).items():
        print_table(title, rows)
    print_table("Jobs of the app", [("rendered by", _renders_jobs(os.environ.get(_WORKERS) or HERE))])
    print_table("Chosen automatically", [(AUTO, engine.choose(RenderSettings(models_dir=models_dir)).reason())])


def _renders_jobs(place: str) -> str:
    """Return what renders the app's jobs, as the environment says."""
    try:
        check_place(place)
    except SettingsError as error:
        return f"nothing: {error} ({_WORKERS})"
    return f"{describe_place(place)} ({_WORKERS}, or --workers)"


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
