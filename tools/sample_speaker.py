"""Brings a portrait to life: a body that sways and breathes, eyes that blink, a camera that creeps closer.

Everything is one smooth warp of the photograph per frame, so nothing is cut out and nothing is painted in.
Lengths are pixels of the photograph, times seconds, angles radians; y points down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

# Where things are in the 512 x 512 photograph.
HEAD_CENTER, HEAD_RADII = (227, 98), (76, 90)
NECK = (228.0, 190.0)
NOSE = (225.0, 118.0)
BODY = ((112, 175), (185, 140), (270, 140), (312, 205), (362, 300), (372, 512), (15, 512), (35, 300))
SOFTNESS = 15.0  # sigma of the edges between head, body and backdrop: wide, so that no edge bends visibly
SUPERSAMPLING = 2  # frames are drawn at twice their size and averaged down


@dataclass(frozen=True, slots=True)
class Eye:
    """An eye of the photograph: where its lids are when open."""

    center_x: float
    center_y: float
    half_width: float
    upper: float  # height of the upper lid's edge over the centre
    lower: float  # depth of the lower lid's edge under the centre
    brow: float  # y above which nothing moves


EYES = (
    Eye(center_x=202.3, center_y=101.0, half_width=12.0, upper=4.8, lower=4.2, brow=90.5),
    Eye(center_x=247.6, center_y=103.5, half_width=13.4, upper=5.6, lower=4.8, brow=92.5),
)
BLINKS = (1.62, 5.16)  # seconds at which the lids meet; between words, and far from the cuts


@dataclass(frozen=True, slots=True)
class Framing:
    """What the camera sees: the point in the middle, output pixels per photograph pixel, and its creep."""

    center_x: float
    center_y: float
    scale: float
    push_in: float  # growth of the scale over the shot, as a fraction


@dataclass(frozen=True, slots=True)
class Pose:
    """Where everything is at one moment."""

    head_x: float
    head_y: float
    head_roll: float
    turn: float  # how far the nose leads the head to the right
    nod: float  # the same, downwards
    body_x: float
    body_y: float
    camera_x: float  # of the person against the backdrop: parallax of a camera that drifts
    camera_roll: float
    closed: float  # of the eyelids, 0 to 1


def _sway(time: float, phase: float, *rates: float) -> float:
    """Sum of slow sines of the given rates (Hz), about -1 to 1, that does not repeat within the clip."""
    return sum(math.sin(math.tau * rate * time + phase * (1 + i)) for i, rate in enumerate(rates)) / len(rates)


def _closed(time: float) -> float:
    """How far the lids are closed: 0.1 s to close, 0.2 s to open."""
    nearest = min((time - blink for blink in BLINKS), key=abs)
    return math.exp(-((nearest / (0.05 if nearest < 0 else 0.085)) ** 2))


def pose_at(time: float, body_time: float) -> Pose:
    """Return the pose `time` seconds into the clip.

    Args:
        time: Of the clip, for the blinks.
        body_time: The body's own clock, which may slow down to let it settle.
    """
    return Pose(
        head_x=4.0 * _sway(body_time, 0.4, 0.19, 0.43),
        head_y=1.7 * _sway(body_time, 2.1, 0.27, 0.61),
        head_roll=math.radians(2.2) * _sway(body_time, 1.1, 0.16, 0.37),
        turn=3.0 * _sway(body_time, 0.7, 0.21, 0.49),
        nod=2.0 * _sway(body_time, 3.0, 0.33, 0.71),
        body_x=1.1 * _sway(body_time, 0.2, 0.19, 0.43),
        body_y=0.9 * _sway(body_time, 0.0, 0.26),
        camera_x=2.2 * _sway(body_time, 1.9, 0.11, 0.23),
        camera_roll=math.radians(0.25) * _sway(body_time, 0.9, 0.13, 0.29),
        closed=_closed(time),
    )


class Speaker:
    """Draws frames of a portrait that lives.

    Args:
        portrait: uint8 RGB [512, 512, 3], the photograph that the positions above belong to.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
    """

    def __init__(self, portrait: UInt8Array, width: int, height: int) -> None:
        self._portrait = portrait
        self._size = (width, height)
        shape = portrait.shape[:2]
        head = cv2.ellipse(np.zeros(shape, np.float32), HEAD_CENTER, HEAD_RADII, 0, 0, 360, 1.0, -1)
        body = cv2.fillPoly(np.zeros(shape, np.float32), [np.array(BODY, np.int32)], 1.0)
        self._head = cv2.GaussianBlur(head, (0, 0), SOFTNESS)
        self._person = cv2.GaussianBlur(np.maximum(head, body), (0, 0), SOFTNESS)
        ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        self._near = np.exp(-((xs - NOSE[0]) ** 2 + (ys - NOSE[1]) ** 2) / (2 * 40.0**2)).astype(np.float32)

    def frame(self, framing: Framing, progress: float, pose: Pose) -> UInt8Array:
        """Draw one frame.

        Args:
            framing: Of the shot.
            progress: Through the shot, 0 to 1.
            pose: Of this moment.

        Returns:
            uint8 RGB [height, width, 3].
        """
        width, height = self._size
        xs, ys = self._camera(framing, progress, pose.camera_roll)
        xs, ys = self._unmoved(xs, ys, pose)
        for eye in EYES:
            ys = _blinked(xs, ys, eye, pose.closed)
        drawn = cv2.remap(self._portrait, xs, ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def _camera(self, framing: Framing, progress: float, roll: float) -> tuple[Float32Array, Float32Array]:
        """Return the point of the photograph that every drawn pixel shows before anything moves."""
        width, height = (side * SUPERSAMPLING for side in self._size)
        scale = SUPERSAMPLING * framing.scale * (1 + framing.push_in * progress)
        v, u = np.mgrid[:height, :width].astype(np.float32)
        u, v = (u - (width - 1) / 2) / scale, (v - (height - 1) / 2) / scale
        cos, sin = math.cos(roll), math.sin(roll)
        return framing.center_x + cos * u + sin * v, framing.center_y - sin * u + cos * v

    def _unmoved(self, xs: Float32Array, ys: Float32Array, pose: Pose) -> tuple[Float32Array, Float32Array]:
        """Undo the pose: from where things are to where they are in the photograph."""
        head, person, near = (
            cv2.remap(weight, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for weight in (self._head, self._person, self._near)
        )
        body = person - head * person
        roll_x, roll_y = -pose.head_roll * (ys - NECK[1]), pose.head_roll * (xs - NECK[0])
        moved_x = head * (pose.head_x + roll_x) + near * pose.turn + body * pose.body_x + person * pose.camera_x
        moved_y = head * (pose.head_y + roll_y) + near * pose.nod + body * pose.body_y
        return xs - moved_x, ys - moved_y


def _blinked(xs: Float32Array, ys: Float32Array, eye: Eye, closed: float) -> Float32Array:
    """Return `ys` with the upper lid drawn down over one eye: lid skin stretches, the eye stays behind it."""
    if closed < 0.02:
        return ys
    arc = 1 - ((xs - eye.center_x) / eye.half_width) ** 2
    inside = np.clip(arc, 0, 1)
    open_edge = eye.center_y - eye.upper * inside
    edge = open_edge + closed * (eye.upper + eye.lower) * inside
    stretched = eye.brow + (ys - eye.brow) * (open_edge - eye.brow) / (edge - eye.brow)
    return np.where((arc > 0) & (ys > eye.brow) & (ys < edge), stretched, ys).astype(np.float32)
