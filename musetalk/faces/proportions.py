"""Proportions of a typical face: its extent relative to its box, as MuseTalk crops it."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.faces.types import FaceBox


@dataclass(frozen=True, slots=True)
class FaceExtent:
    """Where a face lies as MuseTalk crops it, in pixels of the frame (the first pixel's middle is at 0.5).

    Attributes:
        left, right: Its outermost skin between the line and the mouth.
        line: Height of landmark 29, at which the crop is halved.
        chin: Height of the chin's lower end.
        above, below: Distances from the line to landmarks 28 and 30: how far it may usefully be moved up and down.
    """

    left: float
    right: float
    line: float
    chin: float
    above: float
    below: float


@dataclass(frozen=True, slots=True)
class BoxProportions:
    """A `FaceExtent` in a `FaceBox`: fractions of its width (left, right) and of its height (the others)."""

    left: float
    right: float
    line: float
    chin: float
    above: float
    below: float

    def extent_in(self, box: FaceBox) -> FaceExtent:
        """Return the extent in pixels of the frame that the box is in."""
        width, height = box.width, box.height
        return FaceExtent(
            left=box.x0 + self.left * width,
            right=box.x0 + self.right * width,
            line=box.y0 + self.line * height,
            chin=box.y0 + self.chin * height,
            above=self.above * height,
            below=self.below * height,
        )


# OpenCV's frontal Haar cascade draws squares, and every detector does as it does (see FaceBox). In their units eyes and
# mouth are 0.39 apart, 0.436 in the mean face's, and the line between the lips lies at 0.78 (see mouth.py). Line and
# cheeks follow from the mean face; the chin, which it would put at 1.05, was seen at 0.96 to 1.00 on eight faces:
# photographs, paintings and drawings.
TYPICAL_PROPORTIONS = BoxProportions(left=0.10, right=0.90, line=0.522, chin=1.0, above=0.069, below=0.071)


def assumed_extent(box: FaceBox) -> FaceExtent:
    """Return the extent of a typical upright face, for where no labels tell better."""
    return TYPICAL_PROPORTIONS.extent_in(box)
