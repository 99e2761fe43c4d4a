"""Settings for quick renders by LatentSync, and folders of weights with something wrong."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from musetalk.settings import RenderSettings
from musetalk.weights.lock import entry_of, record
from tests.helpers.film import settings as musetalk_settings

QUICK = {"steps": 1, "guidance": 1.0}


def settings(models: Path, backend: str = "latentsync-1.5", **latentsync: object) -> RenderSettings:
    return musetalk_settings(models, backend=backend, latentsync={**QUICK, **latentsync})


def without(models: Path, folder: Path, *parts: str) -> Path:
    shutil.copytree(models, folder, copy_function=os.link, ignore=shutil.ignore_patterns(*parts))
    return folder


def adopt(models: Path, path: Path) -> None:
    """Record a file as the user's own."""
    entry = entry_of(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "test", own=True)
    record(models, PurePosixPath(path.relative_to(models).as_posix()), entry)
