"""All files of weights that anything here reads, by what they are for."""

from __future__ import annotations

from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.frame_steps.registry import FrameStepRegistry
from musetalk.weights import WeightFile
from musetalk.weights.part_spec import PartSpec


def all_weight_sets(registry: BackendRegistry) -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets of this package, of backends, and of detectors, enhancers and frame steps of other packages."""
    return {**registry.weight_sets(), **added_sets()}


def added_sets() -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets that detectors, enhancers and frame steps bring which come with other packages."""
    parts: tuple[PartSpec, ...] = (*DetectorRegistry(), *EnhancerRegistry(), *FrameStepRegistry())
    return {each.name: each.weights for each in parts if each.weights and not each.weight_set}
