"""What tests that render share: clips, voices, small checkpoints. `tests/conftest.py` loads it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from filelock import FileLock
from PIL import Image

from musetalk.assets import PORTRAIT, SAMPLE, VOICE
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import cache_folder
from tests.helpers.film import FACE, FILM, write_film, write_words
from tests.helpers.media import decode_sound, write_wav
from tests.helpers.programs import nothing_started_stays


@pytest.fixture(scope="session")
def sample() -> Path:
    return SAMPLE


@pytest.fixture(scope="session")
def portrait() -> Path:
    return PORTRAIT


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the voice that ships."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    return write_wav(path, decode_sound(VOICE)[: 2 * 16_000])


@pytest.fixture(scope="session")
def small_portrait(portrait: Path) -> UInt8Array:
    """The portrait, 288 pixels high."""
    picture = Image.open(portrait).convert("RGB")
    return np.asarray(picture.resize((round(picture.width * 288 / picture.height) // 2 * 2, 288)))


@pytest.fixture(scope="session")
def film(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey, then the portrait, drifting by a pixel a frame, then grey again."""
    return write_film(tmp_path_factory.mktemp("film"), small_portrait, FILM, FACE)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of the voice that ships as the film lasts."""
    return write_words(tmp_path_factory.mktemp("words"), FILM)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small checkpoints of all that backends read; written once, whichever process of the tests comes first."""
    from tests.helpers.tiny_checkpoints import write_all  # noqa: PLC0415 - slow to import

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
    """The same without what backends can do without: face parsing, S3FD, the tiny decoder."""
    folder = tmp_path_factory.mktemp("bare") / "models"
    shutil.copytree(
        models, folder, copy_function=os.link, ignore=shutil.ignore_patterns("face-parse*", "s3fd", "taesd")
    )
    return folder


@pytest.fixture
def no_child_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, no process of its own is left when it ends; one that failed is one failure."""
    yield from nothing_started_stays(psutil.Process(), request)


@pytest.fixture(scope="session", autouse=True)
def nothing_learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between renders is kept for the tests of a worker, and nothing of it for the user.

    What small networks cost is nothing to go by, nor is what the user's have cost for the tests.
    """
    fonts = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"  # slow to list anew
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(fonts))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def nothing_found() -> Iterator[None]:
    """What a test finds in sources is kept for it alone: others may look with something else of the same name."""
    yield
    shutil.rmtree(cache_folder() / "findings", ignore_errors=True)


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept between renders is kept for one test only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
