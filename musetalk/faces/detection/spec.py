"""What a detector says of itself before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from musetalk.faces.types import FaceDetector
from musetalk.settings import DetectorSettings
from musetalk.weights.weight_file import WeightFile, lacking


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A way to find faces.

    Attributes:
        name: As settings name it.
        title: What people call it.
        load: Loads it, given the settings of detectors, what networks run on as settings say it ("auto", "cpu",
            "cuda:0"), and where weights are; kept until one of them changes.
        weights: The files it reads.
        weight_set: Under what these are downloaded, where they are listed elsewhere; empty: under its own name.
        missing: Which packages it lacks, a sentence each with the remedy.
        torch: Whether it is a network that torch runs, on a GPU if there is one.
        gflop: Work of a look at a frame, in GFLOP, where estimates have to reckon with it.
    """

    name: str
    title: str
    load: Callable[[DetectorSettings, str, Path], FaceDetector]
    weights: tuple[WeightFile, ...] = ()
    weight_set: str = ""
    missing: Callable[[], tuple[str, ...]] = tuple
    torch: bool = False
    gflop: float = 0.0

    def lacks(self, models_dir: Path) -> tuple[str, ...]:
        """Return what is missing to run it, a sentence each with the remedy; empty: nothing."""
        return (*lacking(self.weights, models_dir, self.weight_set or self.name), *self.missing())
