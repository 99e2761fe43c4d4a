"""Disk that uploads may take: Gradio removes them by age alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from musetalk.files import files_below, link_or_copy

_SPARED_SECONDS = 600.0  # somebody may be about to use what they have just uploaded


@dataclass(frozen=True, slots=True)
class Uploads:
    """The folder that Gradio keeps uploads and preview frames in.

    Attributes:
        folder: Where.
        max_bytes: What they may take together; what is younger than ten minutes may exceed it.
        now: The clock, in seconds since the epoch.
    """

    folder: Path
    max_bytes: int
    now: Callable[[], float] = time.time

    def lend(self, path: Path, key: str) -> Path:
        """The same file among the uploads, in a folder of that name, as if it had been uploaded: it outlives `path`.

        Raises:
            OSError: There is no such file, or no room for it.
        """
        lent = self.folder / key / path.name
        if not lent.is_file():
            lent.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, lent)
        return lent

    def kept(self, path: str) -> Path | None:
        """The upload that a browser names, if it is one and still there."""
        named = Path(path)
        inside = named.is_absolute() and named.resolve().is_relative_to(self.folder.resolve())
        return named if inside and named.is_file() else None

    def sweep(self, spare: Collection[Path] = ()) -> None:
        """Remove the oldest until the rest fits, but not those to `spare`. Jobs have copies or links of their own."""
        found = sorted((facts.st_mtime, facts.st_size, path) for path, facts in files_below(self.folder))
        used = sum(size for _, size, _ in found)
        for changed, size, path in found:
            if used <= self.max_bytes or self.now() - changed < _SPARED_SECONDS:
                return
            if path in spare:
                continue
            path.unlink(missing_ok=True)
            used -= size
            with suppress(OSError):  # Gradio gives each file a folder; one that holds another file stays
                path.parent.rmdir()
