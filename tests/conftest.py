from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import settings

from tests.media import numbered_frames, tone, write_video, write_wav

# A slow machine is no failure, and a failure on one machine is one on all.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 numbered frames at 29.97 fps with B-frames and a keyframe every 12, no sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, numbered_frames(50), Fraction(30000, 1001), "-preset", "medium", "-g", "12")


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a buzz."""
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(2.0))
