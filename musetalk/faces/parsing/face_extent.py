"""How far a face reaches, and the line across its nose at which MuseTalk halves the crop.

MuseTalk was trained on crops that end at the chin and at the cheeks, and whose middle lies at the third of the four
points of the nose bridge (number 29 of the 68-point scheme). Face parsing shows where that is: eyes and the base of
the nose are found, and the point is laid between them as it lies in the mean face.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.faces.crops.crop import BoxCropTransform, square_around
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.proportions import FaceExtent, assumed_extent
from musetalk.faces.types import FaceBox
from musetalk.utils.arrays import UInt8Array

_Mask: TypeAlias = npt.NDArray[np.bool_]

# Heights in the mean face of the 68-point scheme, y down (the template of OpenFace's align_dlib, the mean of dlib's
# training set). The 51-point mean face used in lip reading has landmark 29 at 0.470 of the way from the eyes down to
# landmark 33, this one at 0.480; the nose's label ends at 33.
_EYES, _BROWS, _NOSE_TOP, _LINE, _NOSE_BASE = 0.3257, 0.2117, 0.3186, 0.4738, 0.6343
_ABOVE, _BELOW = 0.0776, 0.0794  # from landmark 28 to 29, and from 29 to 30
_REACH = _NOSE_BASE - _EYES  # what other lengths are told in

_UPPER_MARKS: tuple[tuple[tuple[FaceLabel, ...], float], ...] = (  # what may tell the upper end, the surest first
    ((FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE), _EYES),
    ((FaceLabel.GLASSES,), _EYES),  # glasses hide the eyes behind them from the labels
    ((FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW), _BROWS),
)
_LIPS = (FaceLabel.MOUTH, FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)
_FACE = (FaceLabel.SKIN, FaceLabel.NOSE, *_LIPS, *(label for labels, _ in _UPPER_MARKS for label in labels))

_LEAST_PIXELS = 24  # of the labels: fewer are specks
_NOSE_END, _CHIN_END = 0.15, 0.1  # of its greatest width: what is narrower is no longer nose, no longer chin
_CHEEK_ROWS = (-0.1, 0.9)  # from the line: rows in which cheeks are looked for, in reaches; the mouth is at 0.93
_STRAY_ROWS = 0.1  # share of these rows that may reach further out than what counts as the cheek
_CHIN_DEPTH = 1.9  # distance from the line to the chin in the mean face, in reaches
_CHIN_DEPTHS = (1.2, 3.0)  # believed ones; the mean face's lips end at 1.19
_WIDTHS = (1.3, 4.6)  # believed widths, in reaches; 2.89 in the mean face

PARSING_EXPAND = 1.5  # side of what is parsed and blended, as a multiple of the crop's longer side
_SQUATTEST = 0.25  # least height of a crop, as a part of its width, however far its line is shifted


def parsing_view(box: FaceBox) -> BoxCropTransform:
    """Place the square to be parsed: what upstream's parser sees of a typical face, half as large again as its crop."""
    return square_around(halved_crop(assumed_extent(box), size=None), PARSING_EXPAND)


def measure_extent(labels: UInt8Array, seen: BoxCropTransform) -> FaceExtent | None:
    """Measure a face in its labels.

    The line lies 0.48 of the way from the middle of the eyes down to the base of the nose; without eyes glasses tell,
    then brows, then the upper end of the nose. The chin is the lowest row in which the face is still wider than a tip,
    or where the mean face has it if the labels end before.
    The cheeks are the outermost skin between the line and the mouth: there lie the jaw's landmarks that upstream takes.

    Args:
        labels: uint8 [512, 512], values of `FaceLabel`.
        seen: The part of the frame that they cover.

    Returns:
        The extent in pixels of the frame, or None where the labels show no whole face.
    """
    own = _around_nose(labels)
    if own is None:
        return None
    face, nose = own != FaceLabel.BACKGROUND, own == FaceLabel.NOSE
    upper, height = _upper_mark(own, nose)
    unit = (_ends(nose, _NOSE_END)[1] - upper) / (_NOSE_BASE - height)  # of the mean face, in rows
    line, reach = upper + (_LINE - height) * unit, _REACH * unit
    if reach < 4 or not 0 <= line < len(labels):
        return None
    left, right = _cheeks(face[max(0, round(line + _CHEEK_ROWS[0] * reach)) : round(line + _CHEEK_ROWS[1] * reach)])
    chin = _ends(face, _CHIN_END)[1]
    if chin >= len(labels) - 1:  # cut off by the picture's edge, or skin that the padding prolongs
        chin = line + _CHIN_DEPTH * reach
    if not (_within((chin - line) / reach, _CHIN_DEPTHS) and _within((right - left) / reach, _WIDTHS)):
        return None
    sx, sy = seen.width / labels.shape[1], seen.height / labels.shape[0]
    return FaceExtent(
        left=seen.x + left * sx,
        right=seen.x + right * sx,
        line=seen.y + line * sy,
        chin=seen.y + chin * sy,
        above=_ABOVE * unit * sy,
        below=_BELOW * unit * sy,
    )


def halved_crop(
    extent: FaceExtent, *, size: int | None, bbox_shift: float = 0.0, extra_margin: int = 0
) -> BoxCropTransform:
    """Place the crop that MuseTalk sees: from cheek to cheek, as far above the line as the chin lies below it.

    Args:
        extent: The face.
        size: Side of the square that the generator sees.
        bbox_shift: Pixels of the source by which the line is moved, down where positive: the mouth opens more. The
            crop keeps a least height however large it is.
        extra_margin: Pixels of the source that are added under the chin, where the crop then is no longer halved by
            the line but a little lower: MuseTalk v1.5 adds 10.

    Returns:
        The crop; it may leave the frame, where upstream stretches what is left or gives up.
    """
    x0, x1 = round(extent.left), round(extent.right)
    width = max(1, x1 - x0)
    chin = round(extent.chin)
    half = max(chin - round(extent.line + bbox_shift), round(_SQUATTEST * width / 2), 1)
    return BoxCropTransform(x0, chin - 2 * half, width, 2 * half + extra_margin, size, "upstream")


def shift_range(extents: Sequence[FaceExtent]) -> tuple[int, int]:
    """Return the useful range of `bbox_shift`, lowest and highest, in whole pixels of the source.

    As upstream: mean distances from landmark 29 to its neighbours on the bridge, cut to whole pixels. Upstream prints
    the way down as the lower limit and the way up as the upper one (they differ by 2 %); here each limits its own way.
    """
    if not extents:
        return 0, 0
    above = sum(extent.above for extent in extents) / len(extents)
    below = sum(extent.below for extent in extents) / len(extents)
    return -int(above), int(below)


def _around_nose(labels: UInt8Array) -> UInt8Array | None:
    """Return the labels of the one face with the most nose, everything else background; None without a nose."""
    table = _face_table()
    count, parts = cv2.connectedComponents(table[labels], connectivity=4)
    noses = np.bincount(parts[labels == FaceLabel.NOSE], minlength=count)
    best = int(noses.argmax())
    if noses[best] < _LEAST_PIXELS:
        return None
    return np.where(parts == best, labels, np.uint8(FaceLabel.BACKGROUND))


@lru_cache(maxsize=1)
def _face_table() -> UInt8Array:
    table = np.zeros(256, np.uint8)
    table[list(_FACE)] = 1
    return table


def _upper_mark(own: UInt8Array, nose: _Mask) -> tuple[float, float]:
    """Return the row of the best upper mark, and its height in the mean face."""
    for labels, height in _UPPER_MARKS:
        rows = [np.nonzero(own == label)[0] for label in labels]
        middles = [float(found.mean()) + 0.5 for found in rows if len(found) >= _LEAST_PIXELS]
        if middles:
            return sum(middles) / len(middles), height  # of a tilted face the middle between both sides
    return _ends(nose, _NOSE_END)[0], _NOSE_TOP


def _ends(mask: _Mask, share: float) -> tuple[float, float]:
    """Upper and lower edge of the rows that hold at least a share of the widest one's pixels."""
    widths = np.count_nonzero(mask, axis=1)
    rows = np.flatnonzero(widths >= max(1.0, share * float(widths.max(initial=0))))
    return (float(rows[0]), float(rows[-1]) + 1) if len(rows) else (0.0, 0.0)


def _cheeks(rows: _Mask) -> tuple[float, float]:
    """Left and right edge of a face in some of its rows, but for the few that reach furthest; 0, 0 if all are empty."""
    rows = rows[rows.any(axis=1)]
    if not len(rows):
        return 0.0, 0.0
    left, right = rows.argmax(axis=1), rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    return float(np.quantile(left, _STRAY_ROWS)), float(np.quantile(right, 1 - _STRAY_ROWS))


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
