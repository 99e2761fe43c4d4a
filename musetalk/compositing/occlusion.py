"""What lies in front of a face and stays there: hair, glasses, hands, microphones.

Face parsing names hair, hats, glasses and earrings. It has no name for hands and microphones: they show as background,
clothes or necklace inside the face's outline, which is the convex hull of what is labelled as face.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.labels import (
    LABEL_SIDE,
    LIPS,
    FaceLabel,
    find_mouth,
    is_bearded,
    look_up,
    select_labels,
)
from musetalk.utils.arrays import Float32Array, Int32Array, UInt8Array
from musetalk.utils.easing import smoothstep

BoolArray: TypeAlias = npt.NDArray[np.bool_]

_WORN = (FaceLabel.HAT, FaceLabel.GLASSES, FaceLabel.EARRING)
_AROUND = (FaceLabel.BACKGROUND, FaceLabel.CLOTHES, FaceLabel.NECKLACE)
_EYES = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW, FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)
_FACE = (FaceLabel.SKIN, FaceLabel.NOSE, *_EYES, *LIPS)

# In pixels of labels, of which a face is about 290 wide.
_THIN = 15  # what is nowhere as wide lies between the hull and the true outline; a finger is twice that
_SPECK_WINDOW, _SPECK = 21, 24  # with fewer pixels in such a square around it, hair is noise
_LIPS_NEAR = 9  # side of the square that finds lips beside an open mouth
_TOUCHES = 4  # a thing that comes that close to the hull's edge goes on beyond it

_COARSE = 4  # the face's parts are told apart in every fourth pixel
_LEAST_PART = 0.03  # of the largest part's area: smaller ones are noise
_ASIDE = 0.3  # of the labels' width: a part whose middle lies further from theirs is another face


def find_occluders(labels: UInt8Array) -> UInt8Array:
    """Find what lies in front of a face.

    Hair and what is worn; and things inside the face's outline that are no face, unless they are thin, or an open mouth
    that was taken for background. A beard that is labelled hair is not in front of the mouth. What comes in over the
    outline's lower or side edge goes on beyond it.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`, with the face in the middle.

    Returns:
        uint8 [512, 512]: 255 lies in front, 0 does not.
    """
    front = _hair_and_worn(labels)
    things = _things(labels)
    return front if things is None else np.asarray(cv2.bitwise_or(front, things), dtype=np.uint8)


def keep_in_front(
    mask: FaceMask, seen: BoxCropTransform, *, present: UInt8Array | None, around: UInt8Array | None, edge: float
) -> FaceMask:
    """Take what lies in front of a face out of its mask.

    Args:
        mask: The face's.
        seen: The part of the frame that the following two cover.
        present: uint8 [512, 512], what lies in front in this frame: there the mask becomes exactly 0, and it comes back
            softly around it. None: not known.
        around: uint8 [512, 512], the same averaged over the frames around: the mask is scale_alpha by as much. None: as
            `present`.
        edge: Width of the soft edge, in pixels of the frame.

    Returns:
        The mask; the same one where nothing lies in front.
    """
    alpha = mask.alpha
    for factor in (_outside(mask, seen, present, edge), _seldom(mask, seen, around)):
        if factor is not None:
            alpha = alpha * factor
    if alpha is mask.alpha:
        return mask
    alpha.setflags(write=False)
    return FaceMask(mask.x, mask.y, alpha)


def _outside(mask: FaceMask, seen: BoxCropTransform, present: UInt8Array | None, edge: float) -> Float32Array | None:
    """0 on what lies in front, rising to 1 over `edge` pixels; None where nothing does."""
    if present is None or not present.any():
        return None
    coarseness = -(-LABEL_SIDE // seen.width)  # pixels of the labels in one of the frame: none must be skipped
    if coarseness > 1:
        present = np.asarray(cv2.dilate(present, np.ones((coarseness, coarseness), np.uint8)), dtype=np.uint8)
    rows, columns = mask.alpha.shape
    part = BoxCropTransform(mask.x, mask.y, columns, rows)
    free = np.asarray(cv2.bitwise_not(look_up(present, seen, part, rows, columns)), dtype=np.uint8)
    if free.all():
        return None
    distance = np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_3), dtype=np.float32)
    return smoothstep(distance * np.float32(1 / (edge + 1)))


def _seldom(mask: FaceMask, seen: BoxCropTransform, around: UInt8Array | None) -> Float32Array | None:
    """1 less the share of the time in which something lies in front; None where nothing ever does."""
    if around is None or not around.any():
        return None
    k, m = LABEL_SIDE / seen.width, LABEL_SIDE / seen.height
    matrix = np.array([[k, 0, (mask.x + 0.5 - seen.x) * k - 0.5], [0, m, (mask.y + 0.5 - seen.y) * m - 0.5]])
    rows, columns = mask.alpha.shape
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    hidden = np.asarray(cv2.warpAffine(around, matrix, (columns, rows), flags=how), dtype=np.uint8)
    return 1 - hidden * np.float32(1 / 255) if hidden.any() else None


def _hair_and_worn(labels: UInt8Array) -> UInt8Array:
    found = select_labels(labels, FaceLabel.HAIR, *_WORN)
    if not found.any():
        return found
    place = find_mouth(labels)
    if place is not None and is_bearded(labels, place):
        found[place.base :] = select_labels(labels[place.base :], *_WORN)
    window = (_SPECK_WINDOW, _SPECK_WINDOW)
    crowd = cv2.blur(found, window, borderType=cv2.BORDER_CONSTANT)
    found[crowd < round(255 * _SPECK / (_SPECK_WINDOW * _SPECK_WINDOW))] = 0
    return found


def _things(labels: UInt8Array) -> UInt8Array | None:
    """Return what is no face inside the face's outline, and goes on beyond it; None where there is nothing."""
    hull = _hull(labels)
    if hull is None:
        return None
    other = select_labels(labels, *_AROUND)
    inside = np.asarray(cv2.bitwise_and(other, hull), dtype=np.uint8)
    # Beyond the labels' edge there is no face: a hull that they cut through ends there.
    cores = cv2.erode(inside, np.ones((_THIN, _THIN), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if not np.any(cores):
        return None
    count, numbered = cv2.connectedComponents(inside, connectivity=4)
    parts = np.asarray(numbered, dtype=np.int32)
    things = _marked(parts, count, cores) & ~_open_mouths(labels, parts, count, hull)
    if not things.any():
        return None
    found = np.where(things, np.uint8(255), np.uint8(0)).take(parts)
    return np.asarray(cv2.bitwise_or(found, cv2.bitwise_and(_beyond(found, hull), other)), dtype=np.uint8)


def _open_mouths(labels: UInt8Array, parts: Int32Array, count: int, hull: UInt8Array) -> BoolArray:
    """Return which parts are enclosed by the face and touch the lips, or no lips are seen that they could touch."""
    inner = cv2.erode(hull, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    enclosed = ~_marked(parts, count, cv2.subtract(hull, inner))
    lips = select_labels(labels, *LIPS)
    if not lips.any():
        return enclosed
    return enclosed & _marked(parts, count, cv2.dilate(lips, np.ones((_LIPS_NEAR, _LIPS_NEAR), np.uint8)))


def _marked(parts: Int32Array, count: int, marks: npt.ArrayLike) -> BoolArray:
    """Return which of the numbered parts have a marked pixel; never 0, which is none."""
    marked = np.zeros(count, np.bool_)
    marked[parts[np.asarray(marks) > 0]] = True
    marked[0] = False
    return marked


def _beyond(found: UInt8Array, hull: UInt8Array) -> UInt8Array:
    """255 below and beside the hull, in columns and rows in which something was found at its end."""
    places, near = np.arange(LABEL_SIDE), np.arange(_TOUCHES)[:, None]
    in_rows, in_columns = hull > 0, np.ascontiguousarray(hull.T) > 0
    # The last of the hull in each column and row, and the first in each row; where there is none, nothing is found.
    last_row = LABEL_SIDE - 1 - in_columns[:, ::-1].argmax(axis=1)
    last, first = LABEL_SIDE - 1 - in_rows[:, ::-1].argmax(axis=1), in_rows.argmax(axis=1)
    down = found[np.maximum(last_row - near, 0), places].any(axis=0)
    right = found[places, np.maximum(last - near, 0)].any(axis=0)
    left = found[places, np.minimum(first + near, LABEL_SIDE - 1)].any(axis=0)
    further = (places[:, None] > last_row) & down
    further |= (places > last[:, None]) & right[:, None]
    further |= (places < first[:, None]) & left[:, None]
    return np.where(further, np.uint8(255), np.uint8(0))


def _hull(labels: UInt8Array) -> UInt8Array | None:
    """Return the convex hull of the face: uint8 [512, 512], 255 inside; None without a face."""
    face = _own_face(select_labels(labels, *_FACE))
    rows = np.flatnonzero(face.any(axis=1))
    if len(rows) < 2:
        return None
    seen = face[rows] > 0
    left, right = seen.argmax(axis=1), LABEL_SIDE - 1 - seen[:, ::-1].argmax(axis=1)
    points = np.stack([np.concatenate([left, right]), np.concatenate([rows, rows])], axis=1).astype(np.int32)
    hull = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 255)
    return hull


def _own_face(face: UInt8Array) -> UInt8Array:
    """Return a face without specks and without other faces beside it; a hand may part it in two."""
    small = np.ascontiguousarray(face[::_COARSE, ::_COARSE])
    count, parts, stats, middles = cv2.connectedComponentsWithStats(small, connectivity=4)
    if count == 1:
        return np.zeros_like(face)
    side = LABEL_SIDE / _COARSE
    near = np.abs(middles[:, 0] - side / 2) < _ASIDE * side
    near[0] = False  # what is no face
    areas = stats[:, cv2.CC_STAT_AREA] * near
    kept = near & (areas >= _LEAST_PART * areas.max())
    if kept[1:].all():
        return face
    own = cv2.dilate((kept[np.asarray(parts)] * np.uint8(255)).astype(np.uint8), np.ones((3, 3), np.uint8))
    large = cv2.resize(own, (LABEL_SIDE, LABEL_SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.bitwise_and(face, large), dtype=np.uint8)
