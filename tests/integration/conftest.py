from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.media import decode_sound, write_wav

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
