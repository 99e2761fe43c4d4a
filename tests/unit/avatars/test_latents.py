"""Latents in a file: what was put in comes out, nothing else does, and other tools can read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from musetalk.avatars.latents import LatentsFile, LatentsWriter
from musetalk.errors import AvatarError
from musetalk.utils.arrays import Float32Array
from tests.helpers.errors import raises_kind


def digests(count: int) -> list[bytes]:
    drawn = np.random.default_rng(3).integers(0, 256, (count, 16), np.uint8)
    drawn[:2, :8] = drawn[0, :8]  # two that begin alike
    return [row.tobytes() for row in drawn]


def latents(count: int) -> Float32Array:
    return np.random.default_rng(5).standard_normal((count, 8, 4, 4), np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "latents.safetensors"
    names, values = digests(9), latents(9)
    with LatentsWriter(made) as writer:
        writer.add(names[:5], values[:5])
        writer.add(names[3:], values[3:])  # two that it has already
    return made


def test_what_was_written_is_read_by_its_digest(path: Path) -> None:
    kept = LatentsFile(path)
    assert len(kept) == 9
    for name, values in zip(digests(9), latents(9), strict=True):
        found = kept.get(name)
        assert found is not None and np.array_equal(found, values)
    assert kept.get(bytes(16)) is None
    assert kept.missed == (1, 10)


def test_other_programs_read_it_as_safetensors(path: Path) -> None:
    tensors = load_file(path)
    assert np.array_equal(tensors["latents"], latents(9))
    assert [row.tobytes() for row in tensors["digests"]] == digests(9)


def test_without_a_face_there_are_none(tmp_path: Path) -> None:
    with LatentsWriter(tmp_path / "none.safetensors"):
        pass
    kept = LatentsFile(tmp_path / "none.safetensors")
    assert len(kept) == 0 and kept.get(bytes(16)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored[:-1],
        lambda stored: stored + b"\0",
        lambda stored: stored[:100],
        lambda stored: b"\xff" * 8 + stored[8:],
        lambda stored: stored.replace(b"[9, 8, 4, 4]", b"[9, 8, 1, 16]"),
        lambda stored: stored.replace(b"[9, 8, 4, 4]", b"[9, 8, 4, -4]"),
        lambda stored: stored.replace(b'"F32"', b'"F64"'),
        lambda stored: stored[:8] + b"[" * 512 + stored[520:],
        lambda stored: b"",
    ],
)
def test_what_is_damaged_is_refused(path: Path, change: object) -> None:
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with raises_kind(AvatarError, path=path):
        LatentsFile(path)
