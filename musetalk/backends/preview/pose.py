"""A mouth's shape at one moment, by how loud a voice is or by what it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from musetalk.backends.preview.lips import Lips

# All in mouth units (near half a mouth), or parts of something.
_WIDEST_GAP = 0.68  # between the lips at openness 1: about 0.34 mouth widths
_MOST_OPENNESS = 1.5  # whatever the gain: beyond it faces stop looking like themselves
_UPPER_SHARE = 0.42  # of the gap that the upper lip makes, seen from the corners; the lower lip makes the rest
_HIGHEST_LIP = 0.32  # however wide the gap
_CORNER_DROP = 0.32  # of the gap: how far the jaw pulls the corners down
_ROUNDED_HALF_WIDTH = 0.66  # units, of a rounded mouth
_NARROWEST = 0.4  # of its width that a mouth loses to that


@dataclass(frozen=True, slots=True)
class Pose:
    """A mouth's shape at one moment, in pixels unless said otherwise.

    Attributes:
        gap: Between the lips in the middle.
        lower, upper: How far the lower and the upper lip move for it, seen from the corners.
        drop: How far the corners move down.
        stretch: Of the mouth's width, as a fraction; negative: narrower.
        aperture: Half width of the opening, in half widths of the mouth.
        roundness: 0 for an almond-shaped opening, 1 for an oval one.
        protrusion: How much thicker the lips look, as a fraction.
        whole: Whether `gap` is all of the opening, so that lips of a source that stand further apart come together;
            else it is added to the source's.
        flatter: How much of the parting's own bend, as of a smile, is taken out of it, 0 to 1.
        press: How much the lips are pressed together, 0 to 1.
        bite: How much the lower lip goes under the upper teeth, 0 to 1.
        teeth: How much of the opening teeth that meet fill, 0 to 1.
        tongue: How much the tongue lies between the teeth, 0 to 1.
        tip: How much its tip goes up behind them, 0 to 1.
    """

    gap: float
    lower: float
    upper: float
    drop: float
    stretch: float
    aperture: float
    roundness: float
    protrusion: float
    whole: bool = False
    flatter: float = 0.0
    press: float = 0.0
    bite: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    tip: float = 0.0


def pose_mouth(openness: float, spread: float, lips: Lips, unit: float) -> Pose:
    """Turn speech into a mouth's shape.

    Args:
        openness: 0 to 1, times the gain that was asked for.
        spread: -1 (rounded) to 1 (wide).
        lips: What the source's own mouth does: one that stands open already is opened less.
        unit: As `mouth_unit` says.
    """
    wide, rounded = max(spread, 0.0), max(-spread, 0.0)
    gaping = min(lips.open / 0.15, 1.0)
    openness = min(openness, _MOST_OPENNESS)
    gap = openness * _WIDEST_GAP * (1 - 0.2 * wide - 0.15 * rounded) * (1 - 0.5 * min(lips.open / 0.5, 1.0)) * unit
    # Teeth that show already must not rise with the lip.
    upper = min(_UPPER_SHARE * gap, _HIGHEST_LIP * unit) * (1 - 0.8 * gaping)
    aperture = 0.88 + 0.08 * wide - 0.12 * rounded
    return Pose(
        gap=gap,
        lower=gap - upper,
        upper=upper,
        drop=_CORNER_DROP * (1 - 0.7 * gaping) * gap,
        stretch=0.1 * wide - 0.26 * rounded - 0.05 * min(openness, 1.0),
        aperture=aperture + (0.92 - aperture) * gaping * (1 - 0.5 * rounded),
        roundness=min(0.25 + 0.6 * rounded + 0.1 * wide, 1.0),
        protrusion=0.16 * rounded,
    )


def pose_viseme(shape: npt.NDArray[np.floating], opening: float, lips: Lips, unit: float, half_width: float) -> Pose:
    """Turn a viseme into a mouth's shape.

    Args:
        shape: [VISEME_KINDS], see `VisemeTrack`.
        opening: Gain on the openness.
        lips: What the source's own mouth does.
        unit: As `mouth_unit` says.
        half_width: Of the source's mouth, in pixels.
    """
    openness, spread, press, bite, teeth, tongue, tip = shape.tolist()
    wide, rounded = max(spread, 0.0), max(-spread, 0.0)
    openness = min(openness * opening, _MOST_OPENNESS)
    gap = openness * _WIDEST_GAP * (1 - 0.2 * wide) * unit
    upper = min(_UPPER_SHARE * gap, _HIGHEST_LIP * unit) * (1 - 0.5 * min(lips.open / 0.15, 1.0))
    narrow = min(1 - _ROUNDED_HALF_WIDTH * unit / half_width, _NARROWEST)
    return Pose(
        gap=gap,
        lower=gap - upper,
        upper=upper,
        drop=_CORNER_DROP * gap,
        stretch=0.1 * wide - narrow * rounded - 0.05 * min(openness, 1.0),
        aperture=0.88 + 0.08 * wide - 0.2 * rounded,
        roundness=min(0.25 + 0.6 * rounded + 0.1 * wide, 1.0),
        protrusion=0.22 * rounded,
        whole=True,
        flatter=0.55 * rounded + 0.2 * max(press, bite),
        press=press,
        bite=bite,
        teeth=teeth,
        tongue=tongue,
        tip=tip,
    )
