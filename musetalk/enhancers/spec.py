"""What a restorer says of itself before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from musetalk.enhancers.types import FaceEnhancer
from musetalk.weights.weight_file import WeightFile, lacking


@dataclass(frozen=True, slots=True)
class EnhancerPlace:
    """Where a restorer runs.

    Attributes:
        models_dir: Where weights are.
        device: What it runs on, as settings say it: "auto", "cpu", "cuda:0".
        dtype: How exactly it calculates, as settings say it.
        batch_size: Faces at once; None: as many as help and fit.
    """

    models_dir: Path
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class EnhancerSpec:
    """A way to restore faces.

    Attributes:
        name: As settings name it.
        load: Loads it; kept until its place changes.
        weights: The files it reads.
        weight_set: Under what these are downloaded, where they are listed elsewhere; empty: under its own name.
        missing: Which packages it lacks, a sentence each with the remedy.
    """

    name: str
    load: Callable[[EnhancerPlace], FaceEnhancer]
    weights: tuple[WeightFile, ...] = ()
    weight_set: str = ""
    missing: Callable[[], tuple[str, ...]] = tuple

    def lacks(self, models_dir: Path) -> tuple[str, ...]:
        """Return what is missing to run it, a sentence each with the remedy; empty: nothing."""
        return (*lacking(self.weights, models_dir, self.weight_set or self.name), *self.missing())
