from __future__ import annotations

import os
from pathlib import Path

from musetalk.webui.uploads import Uploads


def put(folder: Path, name: str, size: int, changed: float) -> Path:
    path = folder / name / "clip.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    os.utime(path, (changed, changed))
    return path


def test_the_oldest_uploads_make_room(tmp_path: Path) -> None:
    old, older, new = (put(tmp_path, name, 100, at) for name, at in (("a", 2000.0), ("b", 1000.0), ("c", 3000.0)))
    Uploads(tmp_path, 250, now=lambda: 9000.0).sweep()
    assert not older.parent.exists()
    assert old.exists()
    assert new.exists()


def test_what_was_just_uploaded_is_spared(tmp_path: Path) -> None:
    fresh, old = put(tmp_path, "a", 100, 8999.0), put(tmp_path, "b", 100, 8000.0)
    Uploads(tmp_path, 50, now=lambda: 9000.0).sweep()
    assert fresh.exists()
    assert not old.exists()


def test_nothing_goes_while_there_is_room_or_no_folder(tmp_path: Path) -> None:
    path = put(tmp_path, "a", 100, 1.0)
    Uploads(tmp_path, 100, now=lambda: 9000.0).sweep()
    Uploads(tmp_path / "missing", 0).sweep()
    assert path.exists()


def test_what_is_in_use_is_spared(tmp_path: Path) -> None:
    used, other = put(tmp_path, "a", 100, 1.0), put(tmp_path, "b", 100, 2.0)
    Uploads(tmp_path, 100, now=lambda: 9000.0).sweep(spare=[used])
    assert used.exists()
    assert not other.exists()


def test_what_is_lent_outlives_its_first_place(tmp_path: Path) -> None:
    job, uploads = put(tmp_path / "jobs", "a", 7, 1.0), Uploads(tmp_path / "uploads", 100)
    lent = uploads.lend(job, "a/source")
    assert lent == uploads.lend(job, "a/source")
    job.unlink()
    assert lent.name == "clip.mp4"
    assert lent.stat().st_size == 7
    assert uploads.kept(str(lent)) == lent


def test_only_uploads_count_as_such(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", 100)
    inside, outside = put(tmp_path / "uploads", "a", 1, 1.0), put(tmp_path, "b", 1, 1.0)
    assert uploads.kept(str(inside)) == inside
    assert uploads.kept(str(outside)) is None
    assert uploads.kept(str(tmp_path / "uploads" / ".." / "b" / "clip.mp4")) is None
    assert uploads.kept(str(inside.with_name("gone.mp4"))) is None
    assert uploads.kept(inside.name) is None
