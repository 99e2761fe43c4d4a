"""Extents of a face over time: smooth, without lag, and believed only where they agree."""

from __future__ import annotations

import numpy as np

from musetalk.faces.parsing.extent_smoothing import smooth_extents
from musetalk.faces.proportions import FaceExtent, assumed_extent
from musetalk.faces.types import FaceBox


def rows(extents: list[FaceExtent]) -> np.ndarray:
    return np.array([(e.left, e.right, e.line, e.chin, e.above, e.below) for e in extents])


def moving(count: int) -> tuple[list[FaceBox], list[FaceExtent]]:
    """A face that walks to the right and down, and what would be measured of it without any error."""
    boxes = [FaceBox(50 + 2 * k, 40 + k, 250 + 2 * k, 240 + k, 1.0) for k in range(count)]
    return boxes, [assumed_extent(FaceBox(b.x0 + 3, b.y0 + 8, b.x1 + 5, b.y1 + 9, 1)) for b in boxes]


def steady(measured: list[FaceExtent | None], boxes: list[FaceBox]) -> np.ndarray:
    return rows(smooth_extents(measured, boxes, sigma=2.1))


def test_steady_extents_follow_the_face_without_lag() -> None:
    boxes, true = moving(40)
    np.testing.assert_allclose(steady([*true], boxes), rows(true), atol=1e-6)


def test_noise_is_smoothed_and_outliers_are_not_believed() -> None:
    boxes, true = moving(60)
    noise = np.random.default_rng(4).normal(0, 1.5, (60, 6))
    noisy = [FaceExtent(*row) for row in (rows(true) + noise).tolist()]
    error = steady([*noisy], boxes) - rows(true)
    assert error.std() < 0.65 * noise.std()
    wild = [*noisy[:20], *(FaceExtent(0, 300, 10, 500, 5, 5) for _ in range(5)), *noisy[25:]]
    assert np.abs(steady([*wild], boxes) - rows(true)).max() < 4


def test_frames_that_were_not_measured_are_filled_in() -> None:
    boxes, true = moving(30)
    gaps: list[FaceExtent | None] = [*true]
    gaps[0:4] = [None] * 4
    gaps[10:18] = [None] * 8
    np.testing.assert_allclose(steady(gaps, boxes), rows(true), atol=1e-6)


def test_without_any_measure_the_box_tells() -> None:
    boxes, _ = moving(5)
    expected = rows([assumed_extent(box) for box in boxes])
    np.testing.assert_allclose(steady([None] * 5, boxes), expected)
    assert smooth_extents([], [], sigma=2) == []
