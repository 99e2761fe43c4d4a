"""A source's identity: its content, whatever its name."""

from __future__ import annotations

import hashlib

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
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if cancel is not None:
                    cancel.check()
    return digest.hexdigest()
