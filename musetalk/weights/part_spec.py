"""`PartSpec`: the common description of detectors, enhancers and frame steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from musetalk.weights.weight_file import WeightFile, lacking


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part runs.

    Attributes:
        models_dir: Where weights are.
        device: What networks run on, as settings say it: "auto", "cpu", "cuda:0".
        dtype: How exactly they calculate, as settings say it.
        batch_size: Faces at once; None: as many as help and fit.
    """

    models_dir: Path
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What parts of every kind say.

    Attributes:
        name: As settings name it.
        weights: The files it reads.
        weight_set: Under what these are downloaded, where they are listed elsewhere; empty: under its own name.
        missing: Which packages it lacks, a sentence each with the remedy.
    """

    name: str
    weights: tuple[WeightFile, ...] = field(default=(), kw_only=True)
    weight_set: str = field(default="", kw_only=True)
    missing: Callable[[], tuple[str, ...]] = field(default=tuple, kw_only=True)

    def lacks(self, models_dir: Path) -> tuple[str, ...]:
        """Return what is missing to run it, a sentence each with the remedy; empty: nothing."""
        return (*lacking(self.weights, models_dir, self.weight_set or self.name), *self.missing())
