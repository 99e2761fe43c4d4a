"""All files of weights that anything here reads, by what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.frame_steps.registry import FrameStepRegistry
from musetalk.settings import ComponentSettings
from musetalk.weights import TAESD, WeightFile
from musetalk.weights.catalog import LANDMARKS, OPTIONAL
from musetalk.weights.part_spec import PartSpec


def all_weight_sets(registry: BackendRegistry) -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets of this package, of backends, and of detectors, enhancers and frame steps of other packages."""
    return {**registry.weight_sets(), **added_sets()}


def added_sets() -> dict[str, tuple[WeightFile, ...]]:
    """Return the sets that detectors, enhancers and frame steps bring which come with other packages."""
    parts: tuple[PartSpec, ...] = (*DetectorRegistry(), *EnhancerRegistry(), *FrameStepRegistry())
    return {each.name: each.weights for each in parts if each.weights and not each.weight_set}


def weights_read(registry: BackendRegistry, backend: str, wanted: ComponentSettings) -> tuple[Path, ...]:
    """Return the files that are there of what a render may load: other weights can make it come out otherwise.

    Args:
        registry: The backends.
        backend: What paints; what may stand in for it counts, too.
        wanted: What is loaded beside it.

    Raises:
        MuseTalkError: Something of that name is unknown, or broken.
    """
    found = [file.read_from(wanted.models_dir) for file in _files_for(registry, backend, wanted)]
    enhance = wanted.enhance
    found += EnhancerRegistry().files(enhance.model, wanted.models_dir) if enhance.wanted else ()
    return tuple(dict.fromkeys(path for path in found if path is not None and path.is_file()))


def _files_for(registry: BackendRegistry, backend: str, wanted: ComponentSettings) -> Iterator[WeightFile]:
    spec = registry.get(backend)
    for painter in (spec, *(registry.get(name) for name in spec.fallbacks if name in registry.by_name)):
        yield from painter.weights
    yield from TAESD if wanted.network.decoder == "tiny" else ()
    yield from (*OPTIONAL, LANDMARKS)
    yield from DetectorRegistry().taken(wanted.detector, wanted.models_dir).weights
    for step in FrameStepRegistry().chosen(wanted.frame_steps):
        yield from step.spec.weights
