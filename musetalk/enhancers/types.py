"""`FaceEnhancer`: the interface of what enhances faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from musetalk.progress import never_stop
from musetalk.utils.arrays import UInt8Array


class FaceEnhancer(Protocol):
    """Enhances faces. A pure function of its faces: no state between calls."""

    @property
    def name(self) -> str:
        """For reports: "GFPGANv1.4.pth by spandrel (GFPGAN)"."""
        ...

    @property
    def size(self) -> int:
        """Side S of the faces it takes, in pixels."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, as torch names it: "cpu", "cuda:0"."""
        ...

    def enhance(self, faces: UInt8Array, check: Callable[[], None] = never_stop) -> UInt8Array:
        """Enhance faces.

        Args:
            faces: uint8 RGB [N, S, S, 3], aligned as those of FFHQ are.
            check: Called between pieces of the work; raises where it is to end.

        Returns:
            uint8 RGB [N, S', S', 3].

        Raises:
            ComputeError: Memory ran out, or the network's numbers are none.
        """
        ...
