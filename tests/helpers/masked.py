"""Masks as a layout makes them of drawn labels, for tests of what they cover."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from musetalk.backends.types import FaceGenerator, Framing, GeneratorSpec
from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.pipeline.cropping import FaceCropper
from musetalk.pipeline.masking import FaceMasker
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import SIDE, drawn_sample
from tests.helpers.drawn_labels import draw, shapes_of

FACE = drawn_sample()
DRAWN, PARSED = ["ellipse", "box"], ["raw", "jaw", "neck", "mouth"]
FPS = Fraction(25)


class Painter:
    """What a layout asks of a generator."""

    clip_length, device = 4, "cpu"

    def __init__(self, framing: Framing = "halved", crop_size: int | None = None) -> None:
        self.crop_size, self.spec = crop_size, GeneratorSpec(framing=framing, margin_below=True, mask="jaw")

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("a layout paints nothing")


def masker(
    parsed: ParsedFaces, painter: FaceGenerator, settings: RenderSettings, fps: Fraction | None = None
) -> FaceMasker:
    """As a render makes it; its cropper with it."""
    return FaceMasker(FaceCropper(parsed, painter, settings.crop), painter.spec, settings.mask, fps=fps)


def layout(
    folder: Path,
    labels: Mapping[int, UInt8Array] | None = None,
    *,
    fps: Fraction | None = None,
    framing: Framing = "halved",
    **mask: object,
) -> FaceMasker:
    shapes = shapes_of(folder, {0: draw()} if labels is None else labels)
    return masker(shapes, Painter(framing), RenderSettings.parse({"mask": mask}), fps=fps)


def mask_of(made: FaceMasker, frame: int = 0) -> tuple[FaceMask, CropTransform]:
    [crop] = made.cropper.crops([frame], [FACE])
    return made.mask(frame, FACE, crop), crop


def whole(mask: FaceMask) -> np.ndarray:
    """The mask's alpha over the frame and as much around it."""
    picture = np.zeros((3 * SIDE, 3 * SIDE), np.float32)
    rows, columns = mask.alpha.shape
    picture[SIDE + mask.y : SIDE + mask.y + rows, SIDE + mask.x : SIDE + mask.x + columns] = mask.alpha
    return picture


def middle(mask: FaceMask) -> tuple[float, float]:
    moments = cv2.moments(whole(mask))
    return moments["m10"] / moments["m00"] - SIDE, moments["m01"] / moments["m00"] - SIDE


def size(mask: FaceMask) -> tuple[int, int]:
    """Width and height of what is at least half."""
    half = whole(mask) >= 0.5
    return int(half.any(axis=0).sum()), int(half.any(axis=1).sum())
