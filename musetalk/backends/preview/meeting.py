"""How lips come together over what a source's own mouth shows, and are pressed, or go under teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musetalk.backends.preview.lips import Lips
from musetalk.backends.preview.pose import Pose
from musetalk.utils.arrays import BoolArray, Float32Array
from musetalk.utils.easing import smoothstep

# All in mouth units (near half a mouth), or parts of something.
_LIP = 0.15  # beyond a lip's edge: as far as it moves as one, and no skin is stretched
_UPPER_REACH, _LOWER_REACH = 0.7, 1.2  # beyond the lips' edges: where their ways end, if those are short
_STEEPEST = 0.85  # of the distance to there that a way may be: beyond it skin would fold
_UPPER_WAY = 0.35  # of what lips that were apart have to go to meet; the jaw brings the lower one
_RIM = 0.03  # of lips at their opening: teeth shine through there
_PRESSED, _BITTEN = 0.03, 0.2  # what is hidden of a lip that is pressed to the other, or goes under teeth
_PARTED = 0.06  # between lips: where no line is left
_FAINT = 0.02  # of that line's darkness; less is not drawn
_SEAM = 0.035  # half the width of the line between closed lips


@dataclass(frozen=True, slots=True)
class Meeting:
    """How lips come together over what a source's own mouth shows; all float32 [h, w].

    Attributes:
        shown: How much of each pixel is what the source shows between its lips, 0 to 1: they cover the rest of it.
        map_x, map_y: Where in the crop that comes from.
        depth: Below the upper lip's edge, in pixels.
        height: Of all that is open, in pixels, what the source shows and what is new.
        seam: How much each pixel lies on the line at which lips meet, 0 to 1.
    """

    shown: Float32Array
    map_x: Float32Array
    map_y: Float32Array
    depth: Float32Array
    height: Float32Array
    seam: Float32Array

    def part(self, where: tuple[slice, slice]) -> Meeting:
        """The same over some of its rows and columns."""
        every = (self.shown, self.map_x, self.map_y, self.depth, self.height, self.seam)
        return Meeting(*(each[where] for each in every))

    def where_shown(self) -> tuple[slice, slice] | None:
        """Return the rows and columns in which the source shows anything between its lips; None: it does not."""
        return _where(self.shown > 0)

    def where_open(self) -> tuple[slice, slice] | None:
        """Return the rows and columns that hold all that is open; None: nothing is."""
        return _where((self.height > 0) & (self.depth > -1) & (self.depth < self.height + 1))

    def where_met(self) -> tuple[slice, slice] | None:
        """Return the rows and columns that hold the line at which lips meet; None: there is none."""
        return _where(self.seam > _FAINT)


def _where(marked: BoolArray) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if rows.size == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, slots=True)
class OwnOpening:
    """A source's own opening in each pixel's column, in pixels; float32 [h, w].

    Attributes:
        height: Of all of it.
        below: How far it reaches below the parting.
    """

    height: Float32Array
    below: Float32Array

    @classmethod
    def of(cls, lips: Lips, u: Float32Array, unit: float) -> OwnOpening:
        """Return that of lips at places along the mouth, in half widths."""
        above, below = (edge * np.float32(unit) for edge in lips.opening.heights(u))
        return cls(above + below, below)

    def beyond(self, lens: Float32Array, gap: float) -> Float32Array:
        """Return what a gap opens beyond it, as a part of the gap, for one that is `lens` of it high."""
        return np.asarray(np.maximum(lens - self.height / np.float32(max(gap, 1e-3)), 0), np.float32)


@dataclass(frozen=True, slots=True)
class MouthPlaces:
    """Where the pixels of a rectangle lie; all float32 [h, w], in pixels unless said otherwise.

    Attributes:
        u: Along the mouth, in half widths.
        t: Below the parting.
        above, below: To where the face above and below may change no more.
    """

    u: Float32Array
    t: Float32Array
    above: Float32Array
    below: Float32Array


def meet_lips(
    own: OwnOpening,
    at: MouthPlaces,
    beyond: Float32Array,
    lens: Float32Array,
    pose: Pose,
    unit: float,
    source_of: tuple[Float32Array, Float32Array],
) -> tuple[Float32Array, Meeting]:
    """Let the lips slide over what a source's own mouth shows, as far as that is more than the pose leaves open.

    Args:
        own: What it shows.
        at: Where each pixel is.
        beyond: What the gap opens beyond the source's own opening, as a part of the gap.
        lens: The height of all of the opening, as a part of the gap.
        pose: The shape to reach.
        unit: As `mouth_unit` says.
        source_of: Where what lies between the lips comes from, in the crop: x and y.

    Returns:
        How far down lips move for it, in pixels, float32 [h, w]; and the rest.
    """
    one = np.float32(unit)
    shut = np.maximum(own.height - pose.gap * lens, 0)
    share = np.clip(shut / np.maximum(own.height, np.float32(1e-3)), 0, 1)
    # 1. how much of each lip is hidden: its rim, where teeth shine through, and what is pressed
    thin = smoothstep(1 - np.square(at.u))
    hidden = np.minimum(own.height, np.float32(_RIM) * one) * share + np.float32(_PRESSED * pose.press) * one * thin
    # 2. where the lips' edges come to lie: what is left of the source's opening is around its lower end
    room = own.below - own.height - at.t + at.above - np.float32(_LIP) * one  # over the source's upper lip
    upper_way = np.minimum(_UPPER_WAY * shut, np.maximum(_STEEPEST * room - hidden, 0) / (1 - _STEEPEST))
    lower_way = shut - upper_way
    inner = own.below * share - lower_way
    lower = inner + pose.lower * beyond
    upper = inner - (own.height - shut) - pose.upper * beyond
    # 3. how far all around them moves
    down, up = upper_way + hidden, lower_way + hidden + np.float32(_BITTEN * pose.bite) * one * thin
    down *= _fading(upper - at.t, at.above, np.maximum(np.float32(_UPPER_REACH) * one, 2 * down), unit)
    up *= _fading(at.t - lower, at.below, np.maximum(np.float32(_LOWER_REACH) * one, 2 * up), unit)
    moved = np.where(at.t > (lower + upper) / 2, -up, down)
    # 4. what shows between them, and the line where nothing does
    left = np.clip(own.height - shut, 0, 1)
    shown = left * np.clip(np.minimum(at.t - upper, lower - at.t) + 0.5, 0, 1)
    closed = np.maximum(share, np.float32(pose.press) * thin)
    closed = closed * np.clip(1 - pose.gap * lens / (np.float32(_PARTED) * one), 0, 1)
    seam = closed * np.exp(-np.square((at.t - lower) / np.maximum(np.float32(_SEAM) * one, 0.7)))
    seam *= np.clip((1 - np.abs(at.u)) / 0.1, 0, 1)
    every = (shown, *source_of, at.t - upper, lower - upper, seam)
    return np.asarray(moved, np.float32), Meeting(*(np.asarray(each, np.float32) for each in every))


def _fading(way: Float32Array, room: Float32Array, reach: Float32Array, unit: float) -> Float32Array:
    """Fall from 1 at a lip, all of which moves as one, to 0 at `reach` pixels from it, or where there is no more room.

    Straight: skin is stretched evenly, which no other curve does so far without folding it.
    """
    lip = np.float32(_LIP * unit)
    end = np.minimum(np.maximum(way, 0) + room, reach)
    return np.asarray(1 - np.clip((way - lip) / np.maximum(end - lip, 1), 0, 1), np.float32)
