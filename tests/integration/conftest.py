from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from tests.media import decode_sound, write_wav
from tests.tiny_checkpoints import write_all

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture(scope="session")
def sample() -> Path:
    return ASSETS / "sample.mp4"


@pytest.fixture(scope="session")
def portrait() -> Path:
    return ASSETS / "portrait.png"


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the voice that ships."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    return write_wav(path, decode_sound(next(ASSETS.glob("voice.*")))[: 2 * 16_000])


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    """Whatever a test does, no process of its own is left when it ends."""
    yield
    assert psutil.Process().children(recursive=True) == []


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small checkpoints of all that MuseTalk reads; written once, whichever process of the tests comes first."""
    shared = tmp_path_factory.getbasetemp().parent
    folder = (
        shared / "models" if os.environ.get("PYTEST_XDIST_WORKER") else tmp_path_factory.mktemp("weights") / "models"
    )
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            write_all(folder)
            (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def bare_models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without what MuseTalk can do without: face parsing, S3FD, the tiny decoder."""
    folder = tmp_path_factory.mktemp("bare") / "models"
    shutil.copytree(
        models, folder, copy_function=os.link, ignore=shutil.ignore_patterns("face-parse*", "s3fd", "taesd")
    )
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept between renders is kept for one test only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
