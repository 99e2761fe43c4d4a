"""The identity of a file, or of a source: its content, whatever its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from musetalk.media.timing.clock import FrameClock
from musetalk.media.types import Source
from musetalk.progress import CancelToken

_BLOCK = 2**20


def content_digest(source: Source, cancel: CancelToken | None = None) -> str:
    """SHA-256 over the source's file, or over its pictures in order, and what shows through them; in hexadecimal."""
    digest = hashlib.sha256()
    if source.alpha_background != "white":  # what is seen is part of what it is
        digest.update(source.alpha_background.encode())
    for path in source.images or (source.path,):
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        _add(path, digest.update, cancel)
    return digest.hexdigest()


def file_digest(path: Path, cancel: CancelToken | None = None) -> str:
    """SHA-256 over a file, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    _add(path, digest.update, cancel)
    return digest.hexdigest()


def _add(path: Path, update: Callable[[bytes], object], cancel: CancelToken | None) -> None:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            update(block)
            if cancel is not None:
                cancel.check()


def content_bytes(source: Source) -> int:
    """Return how many bytes `content_digest` reads."""
    return sum(path.stat().st_size for path in source.images or (source.path,))


def reading_of(source: Source) -> str:
    """Return how a source is read: with its content, all that its frames depend on, but for how many there are."""
    clock = source.clock
    shown = b"" if clock.pictures is None else hashlib.sha256(clock.pictures.tobytes()).digest()
    facts = replace(
        source,
        path=Path(),
        images=(),
        notes=(),
        clock=FrameClock(clock.fps, 0, (), None, ()),
        sound_stream=None,
        sound_timely=True,
        sound_priming=Fraction(0),
    )
    return f"{facts!r} {shown.hex()}"
