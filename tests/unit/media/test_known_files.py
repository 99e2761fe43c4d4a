from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import pytest

from musetalk.assets import SAMPLE
from musetalk.media.containers import streams
from musetalk.media.known_files import KnownFiles
from musetalk.media.probe import probe_source
from musetalk.settings import Limits


def later() -> float:
    return time.time() + 60


def test_a_file_is_asked_about_once_until_it_changes(tmp_path: Path) -> None:
    known: KnownFiles[bytes] = KnownFiles(100, len, now=later)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    asked = []

    def look() -> bytes:
        asked.append(path.read_bytes())
        return asked[-1]

    assert [known.of(path, "content", look) for _ in range(3)] == [b"one"] * 3
    known.of(path, "another question", look)
    assert len(asked) == 2
    facts = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert [known.of(path, "content", look) for _ in range(2)] == [b"two"] * 2
    path.with_name("other").write_bytes(b"six")
    path.with_name("other").replace(path)
    assert known.of(path, "content", look) == b"six"
    assert len(asked) == 4


def test_what_was_written_just_now_or_meanwhile_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    fresh: KnownFiles[bytes] = KnownFiles(100, len, now=lambda: path.stat().st_mtime)
    assert fresh.of(path, "content", path.read_bytes) == b"one"
    assert fresh.of(path, "content", lambda: b"again") == b"again"

    def overtaken() -> bytes:
        before = path.read_bytes()
        path.write_bytes(b"longer")
        return before

    settled: KnownFiles[bytes] = KnownFiles(100, len, now=later)
    assert settled.of(path, "content", overtaken) == b"one"
    assert settled.of(path, "content", path.read_bytes) == b"longer"


def test_errors_are_not_kept_and_a_missing_file_is_asked_about_as_ever(tmp_path: Path) -> None:
    known: KnownFiles[bytes] = KnownFiles(100, len, now=later)
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        known.of(path, "content", path.read_bytes)
    path.write_bytes(b"one")
    assert known.of(path, "content", path.read_bytes) == b"one"


def test_a_second_look_at_a_source_starts_no_program_and_shares_nothing_that_decoding_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = probe_source(SAMPLE, Limits())
    first.experience.missing.add(3)
    monkeypatch.setattr(streams, "Child", None)
    second = probe_source(SAMPLE, Limits())
    assert second == first
    assert not second.experience.missing
    with pytest.raises(TypeError):  # asked otherwise, it is another question
        probe_source(SAMPLE, Limits(), fps=Fraction(30))
