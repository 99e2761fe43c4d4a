"""A color for each thing that face parsing tells apart, over a picture and in a legend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from musetalk.faces.parsing.labels import FaceLabel
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.drawing.pen import Color

_OPACITY = 0.55


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """Labels that share a color: left and right are not to be relied on.

    Attributes:
        name: For people.
        color: RGB.
        labels: Which.
    """

    name: str
    color: Color
    labels: tuple[FaceLabel, ...]


GROUPS = (
    LabelGroup("skin", (56, 135, 255), (FaceLabel.SKIN,)),
    LabelGroup("brows", (150, 84, 24), (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)),
    LabelGroup("eyes", (255, 240, 70), (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)),
    LabelGroup("glasses", (0, 225, 225), (FaceLabel.GLASSES,)),
    LabelGroup("nose", (70, 205, 90), (FaceLabel.NOSE,)),
    LabelGroup("lips", (255, 60, 95), (FaceLabel.UPPER_LIP, FaceLabel.LOWER_LIP)),
    LabelGroup("mouth", (125, 0, 35), (FaceLabel.MOUTH,)),
    LabelGroup("ears", (165, 130, 255), (FaceLabel.LEFT_EAR, FaceLabel.RIGHT_EAR, FaceLabel.EARRING)),
    LabelGroup("neck", (255, 150, 40), (FaceLabel.NECK, FaceLabel.NECKLACE)),
    LabelGroup("hair", (190, 60, 200), (FaceLabel.HAIR,)),
    LabelGroup("hat", (0, 120, 100), (FaceLabel.HAT,)),
    LabelGroup("clothes", (150, 156, 166), (FaceLabel.CLOTHES,)),
)


def paint_labels(picture: UInt8Array, labels: UInt8Array, place: tuple[float, float, float, float]) -> None:
    """Lay the colors of labels over a part of a picture; what is background stays as it is.

    Args:
        picture: uint8 RGB [h, w, 3], written to.
        labels: uint8 [n, n], values of `FaceLabel`.
        place: (x0, y0, x1, y1) of the part of the picture that they cover, in pixels; may leave it.
    """
    x0, y0, x1, y1 = place
    columns = _indices(x0, x1, picture.shape[1], labels.shape[1])
    rows = _indices(y0, y1, picture.shape[0], labels.shape[0])
    if not (len(columns[0]) and len(rows[0])):
        return
    shown = labels[rows[1][:, None], columns[1]]
    colors, opacity = _table()
    part = picture[rows[0][0] : rows[0][-1] + 1, columns[0][0] : columns[0][-1] + 1]
    part[...] = np.round(part + (colors[shown] - part) * opacity[shown][..., None]).astype(np.uint8)


def legend(faces: Iterable[UInt8Array]) -> str:
    """Return the colors of what is labelled in any of some faces, as HTML; empty where nothing is.

    Args:
        faces: uint8 [n, n] each, values of `FaceLabel`.
    """
    seen = {int(label) for labels in faces for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=19))}
    items = "".join(
        f'<li><span class="mt-swatch" style="background:rgb{group.color}"></span>{group.name}</li>'
        for group in GROUPS
        if seen.intersection(group.labels)
    )
    return f'<ul class="mt-legend" aria-label="Colours of the parsing">{items}</ul>' if items else ""


def _indices(start: float, stop: float, size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels whose middles lie in a range, and which of `count` cells across that range each of them shows."""
    pixels = np.arange(max(0, int(np.ceil(start - 0.5))), min(size, int(np.ceil(stop - 0.5))))
    cells = np.floor((pixels + 0.5 - start) / (stop - start) * count).astype(int)
    return pixels, np.clip(cells, 0, count - 1)


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Color, float32 [256, 3], and opacity, float32 [256], of each label."""
    colors, opacity = np.zeros((256, 3), np.float32), np.zeros(256, np.float32)
    for group in GROUPS:
        colors[list(group.labels)] = group.color
        opacity[list(group.labels)] = _OPACITY
    return colors, opacity
