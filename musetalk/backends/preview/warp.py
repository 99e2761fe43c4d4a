"""How the preview backend moves a face when its mouth opens: a smooth displacement around the parting of the lips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from musetalk.backends.preview.lips import Lips, mouth_unit
from musetalk.backends.preview.meeting import Meeting, MouthPlaces, OwnOpening, meet_lips
from musetalk.backends.preview.pose import Pose
from musetalk.faces.types import FaceSample
from musetalk.utils.arrays import Float32Array
from musetalk.utils.easing import smoothstep

# The ellipse within which anything moves, in fractions of the box: from the nose's base to below the chin.
_REACH_X, _REACH_UP, _REACH_DOWN = 0.34, 0.135, 0.43

# All in mouth units (near half a mouth).
_LIP_DEPTH = 0.75  # below the lip's edge: where its own shape of motion has become the jaw's
_JAW_REACH = 1.9  # to each side: where the jaw's motion ends
_CHIN = 1.5  # below the parting, in a typical face
_CHIN_SHARE = 0.72  # of the lower lip's motion that the chin makes
_LEVEL_REACH = 0.9  # above and below the parting: where its own bend is what it was
_UPPER_REACH = 0.7  # above the parting: where the upper lip's motion ends


@dataclass(frozen=True, slots=True)
class Reach:
    """An ellipse outside which the preview changes no pixel.

    Attributes:
        cx, cy: Its middle, in the pixels of the face it was made for (the first pixel's middle is at 0.5).
        along: Half its extent along the mouth's axis, in pixels.
        across: Half its extent across the mouth's axis, in pixels.
        angle: Of the mouth's axis, as in `MouthShape`.
    """

    cx: float
    cy: float
    along: float
    across: float
    angle: float

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """The whole pixels that contain the ellipse: x0, y0, x1, y1, half open."""
        half_x = math.hypot(self.along * math.cos(self.angle), self.across * math.sin(self.angle))
        half_y = math.hypot(self.along * math.sin(self.angle), self.across * math.cos(self.angle))
        return (
            math.floor(self.cx - half_x),
            math.floor(self.cy - half_y),
            math.ceil(self.cx + half_x),
            math.ceil(self.cy + half_y),
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A displacement and the opening it leaves, over one rectangle of the crop; all float32 [h, w].

    Attributes:
        map_x, map_y: Where in the crop each output pixel comes from.
        u: Along the mouth's axis, in half widths of the source's mouth.
        depth: Below the opening's upper edge, in pixels.
        height: The opening's height in that pixel's column, in pixels; 0 beside the opening.
        meeting: Where lips come together that were apart; None: nowhere, all of the opening is new.
    """

    map_x: Float32Array
    map_y: Float32Array
    u: Float32Array
    depth: Float32Array
    height: Float32Array
    meeting: Meeting | None = None

    def near_opening(self, margin: float) -> tuple[slice, slice] | None:
        """Return the rows and columns that hold the opening and `margin` pixels above and below it.

        None: it is closed.
        """
        near = (self.height > 0) & (self.depth > -margin) & (self.depth < self.height + margin)
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if rows.size == 0:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def part(self, where: tuple[slice, slice]) -> Field:
        """The same over some of its rows and columns."""
        meeting = None if self.meeting is None else self.meeting.part(where)
        x, y, u, depth, height = (each[where] for each in (self.map_x, self.map_y, self.u, self.depth, self.height))
        return Field(x, y, u, depth, height, meeting)


def preview_reach(face: FaceSample) -> Reach:
    """Return where the preview may change pixels around a face; a compositing mask has to cover it."""
    mouth, width = face.mouth, face.box.width
    drop = (_REACH_DOWN - _REACH_UP) / 2 * width
    return Reach(
        cx=mouth.cx - drop * math.sin(mouth.angle),
        cy=mouth.cy + drop * math.cos(mouth.angle),
        along=_REACH_X * width,
        across=(_REACH_UP + _REACH_DOWN) / 2 * width,
        angle=mouth.angle,
    )


def mouth_field(face: FaceSample, lips: Lips, pose: Pose, bounds: tuple[int, int, int, int]) -> Field:
    """Compute the displacement of a pose over a rectangle of the crop.

    Args:
        face: In pixels of the crop.
        lips: Its parting.
        pose: The shape to reach.
        bounds: x0, y0, x1, y1 of the rectangle, half open, inside the crop.
    """
    unit = mouth_unit(face)
    axes = _axes(face, bounds)
    # 1. sideways: corners move out or in, the cheeks follow less and less
    sideways, u = _sideways(axes, pose, unit, float(face.mouth.half_width))
    # 2. down and up: the corners sink, the lips part along their line, chin and cheeks follow
    drop = axes.weight * np.float32(pose.drop)
    drop = drop * smoothstep((_JAW_REACH - np.abs(axes.along) / np.float32(unit)) / np.float32(1.1))
    t = axes.across - _parting(u, lips.parting) * unit - drop
    level: Float32Array | None = None
    if pose.flatter:
        level = _levelling(u, lips.parting) * np.float32(pose.flatter * unit) * axes.weight
        t = t - level
    full = _lens(u / pose.aperture, pose.roundness)
    lens = full * axes.weight
    own = OwnOpening.of(lips, u, unit) if pose.whole else None
    if own is not None:
        lens = own.beyond(lens, pose.gap)
    vertical = _vertical(axes, u, t, lens, drop, pose, unit)
    if level is not None:
        vertical = vertical + level * np.exp(-np.square(t / (_LEVEL_REACH * unit)))
    # 3. lips that were apart come together
    meeting = None
    if own is not None:
        at = MouthPlaces(u, t, axes.above, axes.below)
        between = _source_of(face, bounds, sideways, vertical)
        moved, meeting = meet_lips(own, at, lens, full, pose, unit, between)
        vertical = vertical + moved
    map_x, map_y = _source_of(face, bounds, sideways, vertical)
    return Field(map_x, map_y, u, depth=t + pose.upper * lens, height=pose.gap * lens, meeting=meeting)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where the pixels of a rectangle lie; float32, [h, w] or what spreads to it, in pixels.

    Attributes:
        along, across: From the middle of the mouth, along its axis and across it.
        above, below: To the upper and the lower edge of the reach, across the axis.
        weight: How freely each may move, 1 to 0 at the edge of the reach.
    """

    along: Float32Array
    across: Float32Array
    above: Float32Array
    below: Float32Array
    weight: Float32Array


def _axes(face: FaceSample, bounds: tuple[int, int, int, int]) -> _Axes:
    mouth, reach = face.mouth, preview_reach(face)
    x0, y0, x1, y1 = bounds
    dx = np.arange(x0, x1, dtype=np.float32)[None] + np.float32(0.5 - mouth.cx)
    dy = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - mouth.cy)
    cos, sin = np.float32(math.cos(mouth.angle)), np.float32(math.sin(mouth.angle))
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    drop = np.float32(math.hypot(reach.cx - mouth.cx, reach.cy - mouth.cy))
    sides = np.square(along / np.float32(reach.along))
    half = np.float32(reach.across) * np.sqrt(np.maximum(1 - sides, 0))
    distance = sides + np.square((across - drop) / np.float32(reach.across))
    return _Axes(
        along,
        across,
        above=np.maximum(across - drop + half, 0),
        below=np.maximum(drop + half - across, 0),
        weight=smoothstep((1 - distance) / np.float32(0.75)),
    )


def _sideways(axes: _Axes, pose: Pose, unit: float, half_width: float) -> tuple[Float32Array, Float32Array]:
    """Return how far each pixel moves along the axis, and where on the mouth it then is, in half widths."""
    fall_down = np.exp(-np.square((axes.across - 0.1 * unit) / (0.7 * unit)))
    sideways = axes.along * (pose.stretch / (1 + pose.stretch)) * axes.weight * fall_down
    sideways *= _bell(axes.along, 1.7 * max(unit, half_width))
    return sideways, (axes.along - sideways) / half_width


def _vertical(
    axes: _Axes, u: Float32Array, t: Float32Array, lens: Float32Array, drop: Float32Array, pose: Pose, unit: float
) -> Float32Array:
    """Return how far down each pixel moves when the lips part, and chin and cheeks follow."""
    jaw = _bell(axes.along, _JAW_REACH * unit) * axes.weight
    below = t - pose.lower * lens
    above = -pose.upper * lens - t
    toward_jaw = smoothstep(below / (_LIP_DEPTH * unit))
    sink = drop + pose.lower * (lens + (jaw - lens) * toward_jaw)
    sink *= 1 - (1 - _CHIN_SHARE) * smoothstep(below / (_CHIN * unit))
    rise = (drop - pose.upper * lens) * (1 - smoothstep(above / (_UPPER_REACH * unit)))
    swell = np.exp(-np.square(t / (0.5 * unit)) - 1.5 * u * u) * np.clip(t, -0.6 * unit, 0.6 * unit) * axes.weight
    vertical = np.where(t > (pose.lower - pose.upper) / 2 * lens, sink, rise) + pose.protrusion * swell
    return np.asarray(vertical, np.float32)


def _source_of(
    face: FaceSample, bounds: tuple[int, int, int, int], sideways: Float32Array, vertical: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """Return where in the crop pixels come from that move so far along the mouth's axis and across it: x and y."""
    cos, sin = np.float32(math.cos(face.mouth.angle)), np.float32(math.sin(face.mouth.angle))
    x0, y0, x1, y1 = bounds
    columns, rows = np.arange(x0, x1, dtype=np.float32)[None], np.arange(y0, y1, dtype=np.float32)[:, None]
    return columns - (cos * sideways - sin * vertical), rows - (sin * sideways + cos * vertical)


def _parting(u: Float32Array, coefficients: tuple[float, ...]) -> Float32Array:
    """Evaluate the parting's polynomial, held level beyond the corners."""
    inner = np.clip(u, -1, 1)
    value = np.full_like(inner, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= inner
        value += np.float32(coefficient)
    return value


def _levelling(u: Float32Array, coefficients: tuple[float, ...]) -> Float32Array:
    """Return how far down each place of the parting would move to be as high as all of it is on average, in units."""
    mean = sum(value / (power + 1) for power, value in enumerate(coefficients) if power % 2 == 0)
    return np.asarray(np.float32(mean) - _parting(u, coefficients), np.float32)


def _lens(u: Float32Array, roundness: float) -> Float32Array:
    """Return the height of the opening along the mouth, 1 in the middle and 0 from |u| = 1 on."""
    almond = np.clip(1 - u * u, 0, 1)
    return np.asarray(almond + np.float32(roundness) * (np.sqrt(almond) - almond), np.float32)


def _bell(distance: Float32Array, reach: float) -> Float32Array:
    """Fall from 1 at distance 0 to 0 at `reach`, level at both ends."""
    t = np.clip(1 - np.square(distance / np.float32(reach)), 0, 1)
    return np.asarray(t * t, np.float32)
