"""What a report says it was made with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from musetalk.pipeline.report import versions


def test_ffmpeg_is_asked_once_and_again_where_another_one_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, asked = tmp_path / "ffmpeg", tmp_path / "asked"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    for at, version in enumerate(("7.0", "8.0"), 1):
        program.write_text(f"#!/bin/sh\necho >> {asked}\necho ffmpeg version {version} of nobody\n")
        program.chmod(0o755)
        os.utime(program, (at, at))
        assert [versions()["ffmpeg"] for _ in range(2)] == [version] * 2
        assert len(asked.read_text().splitlines()) == at
