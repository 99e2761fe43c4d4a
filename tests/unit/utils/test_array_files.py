"""Arrays read from files that nobody vouches for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from musetalk.utils.array_files import names_in, read_arrays

LIMIT = 2**20


def write(path: Path, header: bytes, data: bytes = b"\0" * 80) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data)
    return path


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    path, by_column = tmp_path / "a.npz", np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez_compressed(path, text=np.array("key"), columns=by_column, none=np.zeros((0, 4), np.int32))
    stored = read_arrays(path, ["text", "columns", "none"], LIMIT)
    assert names_in(path) == {"text", "columns", "none"}
    assert str(stored["text"]) == "key"
    assert np.array_equal(stored["columns"], by_column) and stored["none"].shape == (0, 4)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-10,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (10,), }",
        b"__import__('os').abort()",
        b"",
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValueError):
        read_arrays(write(tmp_path / "a.npz", header), ["a"], LIMIT)


def test_more_than_may_be_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path, bomb = tmp_path / "a.npz", io.BytesIO()
    np.save(bomb, np.zeros(LIMIT, np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bomb.getvalue())
    assert path.stat().st_size < LIMIT / 100
    with pytest.raises(ValueError, match="too much"):
        read_arrays(path, ["a"], LIMIT)


@pytest.mark.parametrize("damage", [lambda stored: stored[:-30], lambda stored: b"no zip", lambda stored: b""])
def test_what_is_cut_short_is_refused(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(9))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError):
        read_arrays(path, ["a"], LIMIT)
