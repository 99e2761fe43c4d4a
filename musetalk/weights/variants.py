"""Leaner copies of checkpoints, beside their originals: where they are, and whether they stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musetalk.utils.plain_json import read_plain_json

_ENDING = ".lean.safetensors"
_CHECKPOINTS = (".pth", ".pt", ".bin", ".safetensors", ".tar")  # .pth.tar, as torch's examples once called theirs
_LONGEST_HEADER = 64 * 2**20  # bytes; the largest network's is a quarter of a megabyte

# What a copy says of its original, as strings: that is all the format's metadata can hold.
MADE_FROM, FROM_SIZE, FROM_TIME, DTYPE = "made_from", "from_size", "from_mtime_ns", "dtype"


def is_checkpoint(path: Path) -> bool:
    """Return whether a file holds tensors, by its name."""
    return path.suffix in _CHECKPOINTS


def lean_path(path: Path) -> Path:
    """Return where the lean copy of a checkpoint is: unet.pth has unet.lean.safetensors beside it."""
    return path.with_name(path.stem + _ENDING)


def preferred(path: Path) -> Path:
    """Return the lean copy of a checkpoint if there is one that stands for it, else the checkpoint itself.

    It does where the file it was made from is gone, or is still the very same: as large, and as old or older than the
    copy. Reads a few hundred bytes and no tensors.

    Args:
        path: The original's place; it need not exist.
    """
    lean = lean_path(path)
    if not is_checkpoint(path) or not lean.is_file():
        return path
    said = read_metadata(lean)
    # Files that differ in their endings only share the place of their copy, so it may be another's than this path's.
    origin = path.with_name(Path(said.get(MADE_FROM, "")).name or path.name)
    if path.is_file() and origin != path:
        return path
    if not origin.is_file():
        return lean
    original, copy = origin.stat(), lean.stat()
    same_size = said.get(FROM_SIZE) == str(original.st_size)
    same_age = said.get(FROM_TIME) == str(original.st_mtime_ns) or copy.st_mtime_ns >= original.st_mtime_ns
    return lean if same_size and same_age else path


def first_of(folder: Path, *names: str) -> Path | None:
    """Return the first of some checkpoints that a folder has, or the lean copy that stands for it; None: it has none.

    Args:
        folder: Where they are.
        names: In the order in which they are preferred.
    """
    return next((path for name in names if (path := preferred(folder / name)).is_file()), None)


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return what a safetensors file says of itself; empty where it says nothing or cannot be read.

    The format begins with the length of a JSON header, 8 bytes little-endian, and the header:
    https://huggingface.co/docs/safetensors
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: Any = read_plain_json(file.read(length)) if length <= _LONGEST_HEADER else {}
    except (OSError, ValueError):
        return {}
    said = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}
