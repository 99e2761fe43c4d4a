"""`EnhancerSpec`: the description of an enhancer, light to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from musetalk.enhancers.types import FaceEnhancer
from musetalk.weights.part_spec import PartSpec, Place


@dataclass(frozen=True, slots=True)
class EnhancerSpec(PartSpec):
    """A way to enhance faces.

    Attributes:
        load: Loads it; kept until its place changes.
    """

    load: Callable[[Place], FaceEnhancer]
