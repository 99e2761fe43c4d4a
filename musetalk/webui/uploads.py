"""Disk that uploads may take: Gradio removes them by age alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from musetalk.utils.files import bytes_below, files_below, link_or_copy

COPIES = "copies"  # the folder of copies of uploads that browsers can show, which Gradio knows nothing of
_SPARED_SECONDS = 600.0  # somebody may be about to use what they have just uploaded
_COPIES_SECONDS = 6 * 3600.0  # as long as Gradio keeps what they are copies of


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

    def lend(self, path: Path, key: str, name: str = "") -> Path:
        """The same file among the uploads, in a folder of that key, as if it had been uploaded: it outlives `path`.

        It keeps its name, unless it is to have another.

        Raises:
            OSError: There is no such file, or no room for it.
        """
        lent = self.folder / key / (name or path.name)
        if not lent.is_file():
            lent.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, lent)
        return lent

    def kept(self, path: str) -> Path | None:
        """Return the upload that a browser names, if it is one and still there."""
        named = Path(path)
        inside = named.is_absolute() and named.resolve().is_relative_to(self.folder.resolve())
        return named if inside and named.is_file() else None

    def used_bytes(self) -> int:
        """Disk that they take."""
        return bytes_below(self.folder)

    def sweep(self, spare: Collection[Path] = ()) -> None:
        """Remove the oldest until the rest fits, but not those to `spare`. Jobs have copies or links of their own.

        What was left of uploads that were cancelled goes first, and copies of uploads that are gone themselves.
        """
        found = sorted((facts.st_mtime, facts.st_size, path) for path, facts in files_below(self.folder))
        used = sum(size for _, size, _ in found)
        for changed, size, path in found:
            age = self.now() - changed
            if age < _SPARED_SECONDS:
                return
            if path in spare or (used <= self.max_bytes and not self._of_no_use(path, age)):
                continue
            path.unlink(missing_ok=True)
            used -= size
            with suppress(OSError):  # Gradio gives each file a folder; one that holds another file stays
                path.parent.rmdir()

    def _of_no_use(self, path: Path, age: float) -> bool:
        """Return whether nobody can ask for a file any more: uploads that are whole have folders of their own."""
        return path.parent == self.folder or (age > _COPIES_SECONDS and path.is_relative_to(self.folder / COPIES))
