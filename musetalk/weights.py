"""Files of weights: what a backend needs on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file under the models folder.

    Attributes:
        path: Its place below that folder.
        size: Its size in bytes.
        licence: Its licence, as its authors name it.
        source: Where it comes from, for people: a repository or an address.
    """

    path: PurePosixPath
    size: int
    licence: str
    source: str

    def state(self, models_dir: Path) -> Literal["missing", "damaged", "ready"]:
        """Whether it is there; damaged: with another size."""
        file = models_dir / self.path
        if not file.is_file():
            return "missing"
        return "ready" if file.stat().st_size == self.size else "damaged"
