"""The points that LatentSync aligns faces by, found in labels, and made steady."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians, sin

import cv2
import numpy as np
import pytest

from hybrid.landmarks import FacePoints, assumed_points, points_from_labels, smooth_points
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.types import FaceBox

SEEN = BoxCropTransform(100, 50, 768, 768)
TILTS = [-40, -15, 0, 15, 40]
# A frontal face as (x, y) from the nose's base, in thirds of a hundred label pixels: brows, eyes, nose.
BROW = [(-29, -32), (-25, -37), (-18, -39), (-11, -38), (-6, -36), (-7, -33), (-11, -34), (-18, -35)]
NOSE = [(-5, -24), (-7, -10), (-10, -4), (-7, -2), (0, 0), (7, -2), (10, -4), (7, -10), (5, -24)]


def drawn_labels(tilt: float = 0.0, *, brows: str = "both", eyes: bool = True, swapped: bool = False) -> np.ndarray:
    labels = np.zeros((512, 512), np.uint8)
    angle = radians(tilt)
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])

    def fill(shape: Sequence[tuple[float, float]], label: FaceLabel) -> None:
        places = (np.array(shape, float) * 3) @ turn.T + (256, 280)
        cv2.fillPoly(labels, [np.round(places).astype(np.int32)], int(label))

    def mirrored(shape: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(-x, y) for x, y in shape]

    fill([(50 * cos(t) * 0.8, 60 * sin(t) - 8) for t in np.linspace(0, 6.2, 60)], FaceLabel.SKIN)
    one, other = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)[:: -1 if swapped else 1]
    if brows != "none":
        fill(BROW, one)
    if brows == "both":
        fill(mirrored(BROW), other)
    if eyes:
        for x, label in ((-16, FaceLabel.LEFT_EYE), (16, FaceLabel.RIGHT_EYE)):
            fill([(x + 6 * cos(t), -25.5 + 2 * sin(t)) for t in np.linspace(0, 6.2, 30)], label)
    fill(NOSE, FaceLabel.NOSE)
    return labels


def turned_points(tilt: float) -> np.ndarray:
    """Where upstream's landmarks' means lie in the drawn face, in pixels of the frame."""
    angle = radians(tilt)
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    level = np.array([(-17.8, -36.4), (17.8, -36.4), (0.0, -6.9)])
    return ((level * 3) @ turn.T + (256.5, 280.5)) * (SEEN.width / 512) + (SEEN.x, SEEN.y)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("tilt", TILTS)
def test_points_are_found_in_labels(tilt: float, swapped: bool) -> None:
    found = points_from_labels(drawn_labels(tilt, swapped=swapped), SEEN)
    assert found is not None
    assert np.abs(found.array() - turned_points(tilt)).max() < 5  # of brows 160 pixels apart
    assert found.left[0] < found.right[0]


@pytest.mark.parametrize("brows", ["one", "none"])
@pytest.mark.parametrize("tilt", TILTS)
def test_eyes_stand_in_for_brows(tilt: float, brows: str) -> None:
    found = points_from_labels(drawn_labels(tilt, brows=brows), SEEN)
    assert found is not None
    assert np.abs(found.array() - turned_points(tilt)).max() < 8


def test_labels_without_a_face_tell_nothing() -> None:
    assert points_from_labels(np.zeros((512, 512), np.uint8), SEEN) is None
    assert points_from_labels(np.full((512, 512), FaceLabel.SKIN, np.uint8), SEEN) is None
    assert points_from_labels(drawn_labels(brows="none", eyes=False), SEEN) is None
    noseless = drawn_labels()
    noseless[noseless == FaceLabel.NOSE] = FaceLabel.SKIN
    assert points_from_labels(noseless, SEEN) is None


def test_a_strangers_brows_are_not_taken() -> None:
    labels = drawn_labels()
    alone = points_from_labels(labels, SEEN)
    labels[20:30, 20:120] = FaceLabel.LEFT_BROW
    assert points_from_labels(labels, SEEN) == alone


def moving_boxes(count: int) -> list[FaceBox]:
    return [FaceBox(100 + 2.0 * k, 80 + k, 300 + 2.0 * k, 280 + k, 1.0) for k in range(count)]


def test_steady_points_do_not_lag_and_calm_noise() -> None:
    boxes = moving_boxes(60)
    true = [assumed_points(box) for box in boxes]
    generator = np.random.default_rng(4)
    noisy = [
        FacePoints(*(tuple(row) for row in (each.array() + generator.normal(0, 1, (3, 2))).tolist()))  # type: ignore[arg-type]
        for each in true
    ]
    steady = smooth_points(noisy, boxes, sigma=3)
    before = np.stack([a.array() - b.array() for a, b in zip(noisy, true, strict=True)])
    after = np.stack([a.array() - b.array() for a, b in zip(steady, true, strict=True)])
    assert after.std() < 0.5 * before.std()
    assert np.abs(after.mean(axis=0)).max() < 0.4
    exact = smooth_points(true, boxes, sigma=3)
    np.testing.assert_allclose([p.array() for p in exact], [p.array() for p in true], atol=1e-6)


def test_frames_that_were_not_measured_are_filled_in() -> None:
    boxes = moving_boxes(20)
    true = [assumed_points(box) for box in boxes]
    measured: list[FacePoints | None] = list(true)
    measured[5] = measured[6] = None
    measured[12] = FacePoints((100.0, 80.0), (110.0, 80.0), (105.0, 90.0))  # far from where it is in other frames
    steady = smooth_points(measured, boxes, sigma=2)
    np.testing.assert_allclose([p.array() for p in steady], [p.array() for p in true], atol=1e-6)
    assert smooth_points([None] * 20, boxes, sigma=2) == true
    assert smooth_points([], [], sigma=2) == []
