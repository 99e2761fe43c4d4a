"""Faces drawn from ellipses, for tests that need to know where the mouth is."""

from __future__ import annotations

import math

import cv2
import numpy as np

from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.utils.arrays import UInt8Array

SIDE = 320
BOX = FaceBox(60.0, 50.0, 260.0, 250.0, 1.0)
MOUTH = MouthShape(160.0, 206.0, 32.0, 0.0)
SKIN, LIPS = (214, 170, 145), (178, 92, 88)


def drawn_sample(mouth: MouthShape = MOUTH) -> FaceSample:
    return FaceSample(0, BOX, mouth)


def drawn_face(
    mouth: MouthShape = MOUTH,
    *,
    teeth: float = 0.0,
    skin: tuple[int, int, int] = SKIN,
    lips: tuple[int, int, int] = LIPS,
) -> UInt8Array:
    """A face, uint8 RGB [SIDE, SIDE, 3], with closed lips, or with a row of teeth of that height in pixels."""
    scale = 4  # drawn large and averaged: smooth edges at sub-pixel places
    picture = np.full((SIDE * scale, SIDE * scale, 3), (96, 110, 128), np.uint8)

    def ellipse(x: float, y: float, a: float, b: float, color: tuple[int, int, int], angle: float = 0.0) -> None:
        place = (round(x * scale), round(y * scale))
        cv2.ellipse(picture, place, (round(a * scale), round(b * scale)), math.degrees(angle), 0, 360, color, -1)

    def in_mouth(along: float, down: float) -> tuple[float, float]:
        cos, sin = math.cos(mouth.angle), math.sin(mouth.angle)
        return mouth.cx + cos * along - sin * down, mouth.cy + sin * along + cos * down

    ellipse(160, 150, 88, 112, skin)
    for x in (122, 198):
        ellipse(x, 125, 14, 7, (245, 245, 245))
        ellipse(x, 125, 6, 6, (40, 30, 25))
    for x in (150, 170):
        ellipse(x, 178, 5, 3, (120, 80, 70))
    half = mouth.half_width
    ellipse(*in_mouth(0, -0.14 * half - teeth / 2), half, 0.26 * half, lips, mouth.angle)
    ellipse(*in_mouth(0, 0.16 * half + teeth / 2), 0.92 * half, 0.32 * half, lips, mouth.angle)
    if teeth:
        ellipse(*in_mouth(0, 0), 0.8 * half, teeth / 2, (235, 230, 222), mouth.angle)
    else:
        ellipse(*in_mouth(0, 0), half, 1.4, (70, 28, 28), mouth.angle)
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(5).normal(0, 2, small.shape)
    return np.clip(cv2.GaussianBlur(small, (0, 0), 0.8) + grain, 0, 255).astype(np.uint8)
