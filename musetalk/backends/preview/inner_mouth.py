"""What shows between the lips of the preview backend: the hollow, the upper teeth, a hint of tongue."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from musetalk.backends.preview.lips import Lips
from musetalk.backends.preview.meeting import Meeting
from musetalk.backends.preview.pose import Pose
from musetalk.backends.preview.warp import Field
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.easing import smoothstep

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_SKIN = np.array([1.0, 0.78, 0.68], np.float32)  # of skin in white light, as this project's sample pictures have it
_SHADOW = 0.07  # units: how far onto the lips the hollow's darkness reaches
_LONGEST_TEETH = 0.27  # units
_TONGUE = np.array([0.92, 0.66, 0.64], np.float32)  # of the lower lip's color
_LINE = np.array([0.52, 0.46, 0.46], np.float32)  # the same, where lips meet
_GAPS = (0.0, 0.23, 0.42, 0.58)  # between the upper teeth, in half widths from the middle


def paint_opening(picture: UInt8Array, field: Field, pose: Pose, lips: Lips, unit: float) -> None:
    """Paint the inner mouth into a picture whose lips have been parted, in place.

    Args:
        picture: uint8 RGB [h, w, 3], the field's rectangle after the displacement.
        field: The displacement, and the opening it left.
        pose: What made the field.
        lips: What was read from the source.
        unit: As `mouth_unit` says, in pixels.
    """
    _paint_new_opening(picture, field, pose, lips, unit)
    if field.meeting is not None:
        _paint_tongue(picture, field, field.meeting, pose, lips, unit)
        _paint_seam(picture, field.meeting, lips)


def _paint_new_opening(picture: UInt8Array, field: Field, pose: Pose, lips: Lips, unit: float) -> None:
    near = field.near_opening(_SHADOW * 2.5 * unit)
    if near is None:
        return
    part = field.part(near)
    around = picture[near] * _lip_light(part, unit)[..., None]
    cover = _opening_cover(part, unit)[..., None]
    mixed = around + (_inner_mouth(part, pose, lips, unit) - around) * cover
    picture[near] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _inner_mouth(field: Field, pose: Pose, lips: Lips, unit: float) -> Float32Array:
    """Return the inner mouth, float32 RGB [h, w, 3], 0 to 255; only meaningful inside the opening."""
    down = field.depth / np.maximum(field.height, 1e-3)
    skin = (lips.left + lips.right) * np.float32(0.5)
    hollow, tongue, tooth = _palette(lips, skin)

    # hollow: black behind the teeth, warmer towards the lower lip
    glow = np.clip((down - 0.35) / 0.5, 0, 1) ** 2 * np.exp(-3.5 * np.square(field.u))
    glow *= min(1.0, pose.gap / (0.5 * unit))
    painted = hollow + (tongue - hollow) * glow[..., None]

    cover, shade = _teeth(field, pose, lips, unit)
    side = float(lips.right.mean()) / max(float(skin.mean()), 1.0) - 1
    light = shade * np.clip(1 + side * np.clip(field.u, -1, 1), 0.4, 1.6)
    return np.asarray(painted + (tooth * light[..., None] - painted) * cover[..., None], np.float32)


def _paint_tongue(picture: UInt8Array, field: Field, meeting: Meeting, pose: Pose, lips: Lips, unit: float) -> None:
    """Paint a tongue that lies between the teeth, or whose tip goes up behind them, in place."""
    if max(pose.tongue, pose.tip) <= 0 or (where := meeting.where_open()) is None:
        return
    field, meeting = field.part(where), meeting.part(where)
    soft = max(1.2, 0.05 * unit)
    down = meeting.depth / np.maximum(meeting.height, 1e-3)
    inside = np.clip(np.minimum(meeting.depth, meeting.height - meeting.depth) / soft + 0.5, 0, 1)
    inside *= np.clip(meeting.height / soft - 0.5, 0, 1)
    # between the teeth: a broad tip upon the lower ones, under the upper ones' edge
    edge = 1 - 0.6 * pose.tongue + 0.25 * np.square(field.u)
    out = np.clip((0.68 - np.abs(field.u)) / 0.15, 0, 1) * _rising((down - edge) * meeting.height / soft)
    # behind them: the underside of a narrower blade, in the upper teeth's shade
    edge = 1 - 0.58 * pose.tip + 0.5 * np.square(field.u)
    blade = np.clip((0.6 - np.abs(field.u)) / 0.15, 0, 1) * _rising((down - edge) * meeting.height / soft)
    light = np.where(out >= blade, 1.0 - 0.25 * np.square(down - 0.75), 0.6 + 0.25 * np.clip(down, 0, 1))
    light *= 1 - 0.35 * np.square(field.u)
    color = np.minimum(lips.lip, (lips.left + lips.right) * np.float32(0.5)) * _TONGUE
    cover = (np.maximum(out, blade) * inside)[..., None]
    around = picture[where].astype(np.float32)
    picture[where] = np.clip(around + (color * light[..., None] - around) * cover + 0.5, 0, 255).astype(np.uint8)


def _rising(distance: npt.NDArray[np.floating]) -> Float32Array:
    return np.asarray(np.clip(distance + 0.5, 0, 1), np.float32)


def _paint_seam(picture: UInt8Array, meeting: Meeting, lips: Lips) -> None:
    """Darken the line at which lips meet, in place."""
    if (where := meeting.where_met()) is None:
        return
    line = np.minimum(lips.lip, (lips.left + lips.right) * np.float32(0.5)) * _LINE
    around = picture[where].astype(np.float32)
    cover = np.float32(0.75) * meeting.seam[where][..., None]
    picture[where] = np.clip(around + (np.minimum(line, around) - around) * cover + 0.5, 0, 255).astype(np.uint8)


def _opening_cover(field: Field, unit: float) -> Float32Array:
    """Return how much of each pixel the opening covers, 0 to 1, with edges as soft as the picture's; float32 [h, w]."""
    soft = max(1.0, 0.035 * unit)
    inside = np.minimum(field.depth, field.height - field.depth)
    cover = np.clip(inside / soft + 0.5, 0, 1) * np.clip(field.height / soft, 0, 1)
    return smoothstep(cover)


def _lip_light(field: Field, unit: float) -> Float32Array:
    """Return the light that reaches the lips, 1 away from the opening and less at its edges; float32 [h, w]."""
    beyond = np.maximum(-field.depth, field.depth - field.height)
    strength = np.minimum(field.height / (0.12 * unit), 1) * 0.4
    return np.asarray(1 - strength * np.exp(-np.square(np.maximum(beyond, 0) / (_SHADOW * unit))), np.float32)


def _palette(lips: Lips, skin: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return the colors of the hollow, the tongue and the teeth in this face's light."""
    warm = lips.lip * np.array([0.2, 0.11, 0.11], np.float32)
    hollow = (np.minimum(lips.dark * np.float32(0.5), skin * np.float32(0.2)) + warm) / 2
    tongue = np.minimum(lips.lip, skin) * np.array([0.5, 0.3, 0.3], np.float32)
    # Teeth are white, and white is what skin shows of the light that falls on it, freed from skin's own color.
    white = (0.63 + 0.3 / _SKIN) * skin + 0.07 * float(skin @ _GREY)
    tooth = white * float(skin @ _GREY) * 0.95 / float(white @ _GREY + 1)
    return hollow, tongue, tooth


def _teeth(field: Field, pose: Pose, lips: Lips, unit: float) -> tuple[Float32Array, Float32Array]:
    """Return where the upper teeth cover the hollow (0 to 1), and how bright they are there (0 to 1).

    They stay where the skull is while the lip rises. A source that shows its own teeth needs no more of them.
    """
    length = min(pose.upper - 0.3 * pose.drop, _LONGEST_TEETH * unit) + 0.1 * unit * (1 - 0.9 * np.square(field.u))
    soft = max(1.2, 0.05 * unit)
    shown = np.clip((pose.gap / unit - 0.1) / 0.2, 0, 1) * (1 - lips.teeth * min(1.0, max(0.0, lips.open - 0.05) / 0.1))
    if field.meeting is not None:  # beside what the source shows here, not beside what it shows on average
        shown = shown * (1 - lips.teeth * np.clip((field.meeting.height - field.height) / (0.08 * unit), 0, 1))
    cover = np.clip((length - field.depth) / soft, 0, 1) * np.clip((0.8 - np.abs(field.u)) / 0.25, 0, 1) * shown
    if pose.teeth > 0 or pose.bite > 0:
        filled = np.clip((0.85 - np.abs(field.u)) / 0.2, 0, 1) * np.clip(field.height / (0.05 * unit), 0, 1)
        cover = np.maximum(cover, filled * max(pose.teeth, pose.bite))
    under_lip = np.clip(field.depth / (0.16 * unit), 0, 1)
    shade = (0.62 + 0.38 * under_lip) * (1 - 0.6 * np.square(field.u))
    for gap in _GAPS:
        shade *= 1 - 0.07 * np.exp(-np.square((np.abs(field.u) - gap) / 0.03))
    return cover, shade
