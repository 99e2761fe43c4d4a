"""Labels of parsed faces, drawn with the proportions of the mean face."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import measure_extent
from musetalk.faces.parsing.label_store import LabelStore
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.proportions import FaceExtent
from musetalk.faces.types import FaceSample
from tests.helpers.drawn import drawn_sample

WHOLE = BoxCropTransform(0, 0, 512, 512)
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


def found(labels: np.ndarray, seen: BoxCropTransform = WHOLE) -> FaceExtent:
    extent = measure_extent(labels, seen)
    assert extent is not None
    return extent


def shapes_of(folder: Path, labels: Mapping[int, np.ndarray], face: FaceSample | None = None) -> ParsedFaces:
    """What a parser that gives these labels, by source frame, tells of a face that does not move."""
    reader = ParsedFacesBuilder(LabelStore(Path(mkdtemp(dir=folder)) / "labels.bin"))
    for frame, each in sorted(labels.items()):
        reader.add(frame, face or drawn_sample(), each)
    return reader.finish(2.0)


def with_strand(labels: np.ndarray, thickness: int = 9) -> np.ndarray:
    """A strand of hair from the temple over the cheek and the corner of the mouth to the chin."""
    return _line(labels, [(150, 100), (205, 270), (235, 420)], thickness, FaceLabel.HAIR)


def with_hand(labels: np.ndarray, label: FaceLabel = FaceLabel.BACKGROUND) -> np.ndarray:
    """A hand that comes in from the lower right corner and covers half of the mouth."""
    held = labels.copy()
    cv2.ellipse(held, (330, 330), (72, 60), -30, 0, 360, int(label), -1)
    return _line(held, [(340, 340), (440, 511)], 90, label)


def with_microphone(labels: np.ndarray) -> np.ndarray:
    """A microphone from below, in front of the lower lip and the chin."""
    held = labels.copy()
    cv2.circle(held, (256, 335), 38, int(FaceLabel.BACKGROUND), -1)
    return _line(held, [(256, 340), (262, 511)], 40, FaceLabel.CLOTHES)


def with_glasses(labels: np.ndarray) -> np.ndarray:
    """Large glasses, down to beside the nose's base."""
    worn = labels.copy()
    for x in (200, 312):
        cv2.ellipse(worn, (x, 190), (52, 62), 0, 0, 360, int(FaceLabel.GLASSES), -1)
    return _line(worn, [(250, 180), (262, 180)], 8, FaceLabel.GLASSES)


def _line(labels: np.ndarray, points: list[tuple[int, int]], thickness: int, label: FaceLabel) -> np.ndarray:
    drawn = labels.copy()
    cv2.polylines(drawn, [np.array(points, np.int32)], False, int(label), thickness)
    return drawn
