"""What LatentSync's network keeps from one step of the loop to the next (as DeepCache does: arXiv 2312.00858)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class DeepFeatures:
    """What the levels below the uppermost told of some clips, which changes little from one step to the next.

    Attributes:
        features: [(n f), c, h, w], as the uppermost level takes them on the way up; None: not computed yet.
    """

    features: torch.Tensor | None = None
