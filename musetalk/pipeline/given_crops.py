"""Crops that are not placed here, because somebody else placed them before."""

from __future__ import annotations

from typing import Protocol

from musetalk.compositing.masks import FaceMask


class GivenCrops(Protocol):
    """The one crop of each source frame, and where it shows, as they were decided elsewhere. Safe between threads."""

    def box(self, frame: int) -> tuple[int, int, int, int] | None:
        """Return the crop in a source frame as x0, y0, x1, y1 in pixels, half open; None: none was decided."""
        ...

    def mask(self, frame: int) -> FaceMask | None:
        """Return where the generated crop shows in a source frame; None: that was not decided.

        Raises:
            MuseTalkError: It cannot be read back.
        """
        ...
