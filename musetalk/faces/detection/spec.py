"""`DetectorSpec`: the description of a detector, light to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from musetalk.faces.types import FaceDetector
from musetalk.settings import DetectorSettings
from musetalk.weights.part_spec import PartSpec, Place


@dataclass(frozen=True, slots=True)
class DetectorSpec(PartSpec):
    """A way to find faces.

    Attributes:
        title: What people call it.
        load: Loads it, given the settings of detectors; kept until one of them changes, or its place.
        torch: Whether it is a network that torch runs, on a GPU if there is one.
        gflop: Work of a look at a frame, in GFLOP, where estimates have to reckon with it.
    """

    title: str
    load: Callable[[DetectorSettings, Place], FaceDetector]
    torch: bool = False
    gflop: float = 0.0
