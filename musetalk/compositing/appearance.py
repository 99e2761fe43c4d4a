"""Appearance correction: color and sharpness of generated faces, fitted over a whole segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from musetalk.compositing.blending import Patch
from musetalk.compositing.boundary import Boundary, boundary_means, find_boundary
from musetalk.compositing.color_transfer import correct, fit_correction, green_of, no_correction
from musetalk.compositing.sharpness_transfer import (
    Details,
    Sharpness,
    add_grain,
    details_of,
    measure_sharpness,
    sharpen,
)
from musetalk.settings import BlendSettings
from musetalk.utils.arrays import Float32Array, UInt8Array

_COLOUR_FRAMES = 8  # of a piece, at most, whose colors are looked at
_FRAMES_PER_PAIR = 6  # of a piece, for two consecutive ones whose detail is looked at
_MOST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class AppearanceCorrection:
    """What is done to the faces of a piece.

    Attributes:
        correction: float32 [3, 256]: by channel, what is added to each grey level, in levels.
        sharpness: How they are sharpened or blurred, and what grain they get.
    """

    correction: Float32Array
    sharpness: Sharpness


def neutral_correction() -> AppearanceCorrection:
    """Return the look that changes nothing."""
    return AppearanceCorrection(no_correction(), Sharpness())


def measure_appearance(
    frames: Sequence[UInt8Array], patches: Sequence[Patch], settings: BlendSettings
) -> AppearanceCorrection:
    """Find what makes the faces of a piece look like the frames around them, from a few of its frames.

    Args:
        frames: uint8 RGB [H, W, 3] each, without the patches; may be none.
        patches: What is going to be laid over each.
        settings: What is to be matched.
    """
    if settings.color == "none" and settings.sharpness == "none":
        return neutral_correction()
    piece = _Piece(frames, patches)
    correction, sharpness = no_correction(), Sharpness()
    if settings.color == "match":
        correction = piece.correction()
    if settings.sharpness == "match":
        sharpness = piece.sharpness(correction)
    return AppearanceCorrection(correction, sharpness)


def interpolate(before: AppearanceCorrection | None, own: AppearanceCorrection, share: float) -> AppearanceCorrection:
    """Return the look on the way from the piece before, at a share of 0, to a piece's own, at 1."""
    if before is None or share >= 1:
        return own
    mixed = (1 - share) * before.correction + share * own.correction
    first, second = before.sharpness, own.sharpness
    return AppearanceCorrection(
        mixed.astype(np.float32),
        Sharpness(
            (1 - share) * first.sharpen + share * second.sharpen, (1 - share) * first.grain + share * second.grain
        ),
    )


def apply_correction(patch: Patch, look: AppearanceCorrection, frame_number: int) -> Patch:
    """Give a face its look.

    Args:
        patch: The face, as it was generated.
        look: What is done to it.
        frame_number: Output frame, which decides the grain's pattern.
    """
    face = correct(patch.face, look.correction)
    face = sharpen(face, look.sharpness.sharpen)
    return replace(patch, face=add_grain(face, look.sharpness.grain, frame_number))


class _Piece:
    """The frames and patches of a piece, with their boundaries, each found once."""

    def __init__(self, frames: Sequence[UInt8Array], patches: Sequence[Patch]) -> None:
        self._sources = [patch.of(frame) for frame, patch in zip(frames, patches, strict=True)]
        self._patches = patches
        self._rims: dict[int, Boundary | None] = {}

    def correction(self) -> Float32Array:
        """Return the color correction that some of its frames ask for together."""
        count = len(self._patches)
        looked = sorted({place * count // _COLOUR_FRAMES for place in range(_COLOUR_FRAMES)} if count else ())
        boundaries = [(at, boundary) for at in looked if (boundary := self._boundary(at))]
        if not boundaries:
            return no_correction()
        source = np.concatenate([boundary_means(self._sources[at], boundary) for at, boundary in boundaries])
        generated = np.concatenate([boundary_means(self._patches[at].face, boundary) for at, boundary in boundaries])
        return fit_correction(source, generated)

    def sharpness(self, correction: Float32Array) -> Sharpness:
        """Return what the faces lack once their colors are corrected."""
        pairs = _pairs(len(self._patches))
        return measure_sharpness(
            [
                [self._details(at, boundary, correction) for at in pair if (boundary := self._boundary(at))]
                for pair in pairs
            ]
        )

    def _boundary(self, at: int) -> Boundary | None:
        if at not in self._rims:
            patch = self._patches[at]
            self._rims[at] = find_boundary(patch.alpha, patch.borders)
        return self._rims[at]

    def _details(self, at: int, boundary: Boundary, correction: Float32Array) -> Details:
        patch = self._patches[at]
        source, face = green_of(self._sources[at]), green_of(patch.face, correction)
        return details_of((patch.x, patch.y), source, face, boundary)


def _pairs(count: int) -> list[range]:
    """Return the frames of a piece whose detail is looked at: pairs of neighbours, spread evenly."""
    pairs = max(1, min(count // _FRAMES_PER_PAIR, _MOST_PAIRS))
    firsts = {(2 * pair + 1) * count // (2 * pairs) - 1 for pair in range(pairs)}
    return [range(max(0, first), min(count, first + 2)) for first in sorted(firsts)] if count else []
