from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from musetalk.assets import PORTRAIT
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.served import DRAFTED, Served, served


@pytest.fixture(autouse=True)
def tidy(no_child_left: None, own_cache: None) -> None:
    """Every test here renders, or starts programs that do."""


@pytest.fixture(scope="package")
def face(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait, 288 pixels high, as a file."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.fromarray(small_portrait).save(path)
    return path


@pytest.fixture(scope="package")
def open_app(tmp_path_factory: pytest.TempPathFactory, bare_models: Path) -> Iterator[Served]:
    """The app that asks nobody who they are, one for the files marked `BY_THE_APP`.

    With caps, and with all weights but LatentSync 1.6's and those that find and parse faces. Where no backend is named,
    the preview paints.
    """
    folder = tmp_path_factory.mktemp("open")
    models = folder / "models"
    shutil.copytree(bare_models, models, copy_function=os.link, ignore=shutil.ignore_patterns("latentsync-1.6"))
    caps = ("--max-seconds", "60", "--max-pixels", str(1280 * 720), "--max-megabytes", "2")
    with served(folder / "jobs", *caps, "--models-dir", str(models), *DRAFTED) as server:
        yield server


@pytest.fixture(scope="package")
def avatars_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One avatar: anna."""
    folder = tmp_path_factory.mktemp("avatars")
    LipSync().create_avatar(PORTRAIT, folder / "anna", RenderSettings.parse({"backend": "preview"}))
    return folder


@pytest.fixture(scope="package")
def guarded_app(avatars_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app for ann and bob, with avatars of which one speaks at a time; for the same files."""
    logins = ("--auth", "ann:one", "--auth", "bob:two")
    live = ("--avatars-dir", str(avatars_dir), "--live-sessions", "1")
    with served(tmp_path_factory.mktemp("guarded") / "jobs", *logins, *live) as server:
        yield server
