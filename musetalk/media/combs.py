"""Detection of interlacing from the pictures themselves.

What moves is torn into combs where lines of two moments meet. So each picture's two fields are put together as they
are, and with the fields of the next picture: in a whole picture only its own fields agree; in an interlaced one they
agree no better than with the neighbour's nearer field, and which that is tells which field is the earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musetalk.utils.arrays import UInt8Array

_MOVES = 14  # grey levels from one picture to the next: motion, not noise
_MOVING_SHARE = 0.0007  # of the pixels that have to move for a verdict
_WHOLE, _COMBED = 0.55, 0.75  # combs in a picture, as a share of those that a neighbour's field makes
_NEARER = 0.85  # combs with the nearer field, as a share of those with the other
_STRONGEST = 60.0  # grey levels; hard edges do not count for more


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """Of the pictures looked at.

    Attributes:
        whole: Those whose lines are of one moment.
        top_first, bottom_first: Those whose lines are of two, by the field that is earlier.
        marked: Those that say themselves that they are interlaced.
    """

    whole: int = 0
    top_first: int = 0
    bottom_first: int = 0
    marked: int = 0

    @property
    def combed(self) -> int:
        """Those whose lines are of two moments."""
        return self.top_first + self.bottom_first

    def __add__(self, other: FieldCounts) -> FieldCounts:
        """Both together."""
        return FieldCounts(
            self.whole + other.whole,
            self.top_first + other.top_first,
            self.bottom_first + other.bottom_first,
            self.marked + other.marked,
        )


def count_fields(frames: UInt8Array) -> FieldCounts:
    """Look for combs in pictures that follow on each other.

    Args:
        frames: uint8 grey [N, H, W], every line as stored; columns may be left out.
    """
    counts = FieldCounts()
    for this, following in zip(frames[:-1].astype(np.float32), frames[1:].astype(np.float32), strict=True):
        counts += _judge(this, following)
    return counts


def _judge(this: np.ndarray, following: np.ndarray) -> FieldCounts:
    moving = np.abs(following - this) > _MOVES
    around = moving[:-2] | moving[1:-1] | moving[2:]
    if around.mean() < _MOVING_SHARE:
        return FieldCounts()
    later_top, later_bottom = this.copy(), this.copy()
    later_top[0::2], later_bottom[1::2] = following[0::2], following[1::2]
    own, top, bottom = (_combs(woven, around) for woven in (this, later_top, later_bottom))
    nearer = min(top, bottom)
    if own < _WHOLE * nearer:
        return FieldCounts(whole=1)
    if own < _COMBED * nearer:
        return FieldCounts()
    return FieldCounts(top_first=int(top < _NEARER * bottom), bottom_first=int(bottom < _NEARER * top))


def _combs(picture: np.ndarray, where: np.ndarray) -> float:
    """Return how far lines stand out from both their neighbours to the same side, summed."""
    above, below = picture[1:-1] - picture[:-2], picture[1:-1] - picture[2:]
    tooth = np.where(above * below > 0, np.minimum(np.abs(above), np.abs(below)), 0)
    return float(np.minimum(tooth, _STRONGEST)[where].sum())
