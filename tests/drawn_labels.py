"""Labels of parsed faces, drawn with the proportions of the mean face."""

from __future__ import annotations

import cv2
import numpy as np

from musetalk.faces.extent import FaceExtent, measure_extent
from musetalk.faces.geometry import CropPlacement
from musetalk.faces.parsing_masks import FaceLabel

WHOLE = CropPlacement(0, 0, 512, 512)
# Heights of landmarks in the mean 68-point face, and its half width, for a drawing of it.
TOP, BROWS, EYES, LINE, BASE, LIPS, CHIN = -0.1, 0.2117, 0.3257, 0.4738, 0.6343, 0.77, 1.0608
HALF_WIDTH = 0.446


def draw(unit: float = 300.0, x: float = 256.0, y: float = 70.0, *, without: tuple[FaceLabel, ...] = ()) -> np.ndarray:
    """A mean face of `unit` pixels, whose eyes lie 0.3257 of them below `y`."""
    labels = np.zeros((512, 512), np.uint8)

    def ellipse(cx: float, cy: float, rx: float, ry: float, label: FaceLabel) -> None:
        if label not in without:
            middle, axes = (round(x + cx * unit), round(y + cy * unit)), (round(rx * unit), round(ry * unit))
            cv2.ellipse(labels, middle, axes, 0, 0, 360, int(label), -1)

    neck_top, neck_end = round(y + LIPS * unit), 511
    labels[neck_top:neck_end, round(x - 0.2 * unit) : round(x + 0.2 * unit)] = FaceLabel.NECK
    ellipse(0, (TOP + CHIN) / 2, HALF_WIDTH, (CHIN - TOP) / 2, FaceLabel.SKIN)
    for side, eye, brow in (
        (-1, FaceLabel.LEFT_EYE, FaceLabel.LEFT_BROW),
        (1, FaceLabel.RIGHT_EYE, FaceLabel.RIGHT_BROW),
    ):
        ellipse(side * 0.19, EYES, 0.08, 0.03, eye)
        ellipse(side * 0.2, BROWS, 0.13, 0.02, brow)
    ellipse(0, (0.3186 + BASE) / 2, 0.09, (BASE - 0.3186) / 2, FaceLabel.NOSE)
    ellipse(0, LIPS, 0.17, 0.06, FaceLabel.LOWER_LIP)
    return labels


def found(labels: np.ndarray, seen: CropPlacement = WHOLE) -> FaceExtent:
    extent = measure_extent(labels, seen)
    assert extent is not None
    return extent
