"""All files of weights that anything here reads, by what they are for."""

from __future__ import annotations

from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.weights import WeightFile


def all_weight_sets(registry: BackendRegistry) -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets of this package, of backends, and of the detectors and restorers of other packages."""
    return {**registry.weight_sets(), **added_sets()}


def added_sets() -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets that detectors and restorers bring which come with other packages."""
    finders_and_restorers = (*DetectorRegistry(), *EnhancerRegistry())
    return {each.name: each.weights for each in finders_and_restorers if each.weights and not each.weight_set}
