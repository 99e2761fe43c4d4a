"""Whatever happened to a file: one line that says so, or a whole result; and nothing is left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musetalk.media.ffmpeg_process import ffmpeg_executable
from tests.helpers.damaged import Damage, Renderer, damages, renderer, write_samples

pytestmark = pytest.mark.integration


def is_whole(path: Path) -> bool:
    command = [ffmpeg_executable(), "-v", "error", "-xerror", "-i", str(path), "-map", "0:v", "-map", "0:a"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=False)
    return done.returncode == 0 and not done.stderr


def check(process: Renderer, folder: Path, video: Path, voice: Path) -> int:
    """Render; returns the exit code."""
    out = folder / "out.mp4"
    out.unlink(missing_ok=True)
    answer = process.render(video, voice, out)
    assert "traceback" not in answer, answer["traceback"]
    assert answer["left"] == []
    assert {path.name for path in folder.iterdir()} - {"out.mp4"} == {video.name, voice.name}
    if answer["code"] == 0:
        assert is_whole(out)
        return 0
    assert answer["code"] == 1, answer
    assert answer["said"].startswith("musetalk: ")
    assert answer["said"].count("\n") == 1
    assert not out.exists()
    return 1


def test_damaged_files_end_in_a_line_or_a_whole_result(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    whole, temporary = tmp_path / "whole", tmp_path / "temporary"
    whole.mkdir()
    temporary.mkdir()
    names = write_samples(whole)
    roles = [("video", name) for name in names["video"]] + [("voice", name) for name in names["voice"]]
    used = tmp_path / "used"
    used.mkdir()

    with renderer(temporary) as process:

        @settings(max_examples=pytestconfig.getoption("--fuzz-examples"), suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(roles), st.lists(damages, min_size=1, max_size=4))
        def damaged(role: tuple[str, str], done: list[Damage]) -> None:
            for path in used.iterdir():
                path.unlink()
            kind, name = role
            content = (whole / name).read_bytes()
            for damage in done:
                content = damage.apply(content)
            target = used / f"{kind}-{name}"
            target.write_bytes(content)
            other = used / ("voice.wav" if kind == "video" else "video.mp4")
            other.write_bytes((whole / ("a.wav" if kind == "video" else "a.mp4")).read_bytes())
            check(process, used, *((target, other) if kind == "video" else (other, target)))

        damaged()
