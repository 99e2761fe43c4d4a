"""Membranes, and faces that meet their surroundings by them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from musetalk.compositing.boundary import Borders
from musetalk.compositing.poisson import membrane, on_the_boundary_of
from musetalk.utils.arrays import Float32Array, UInt8Array


def picture(seed: int = 0, height: int = 210, width: int = 290) -> UInt8Array:
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    levels: UInt8Array = np.clip(128 + 25 * soft / soft.std(), 50, 205).astype(np.uint8)
    return levels


def ellipse(height: int = 210, width: int = 290) -> Float32Array:
    y, x = np.mgrid[:height, :width]
    depth = 1 - np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    alpha: Float32Array = np.clip(depth / 0.25, 0, 1).astype(np.float32)
    return alpha


@pytest.mark.parametrize("shape", [(40, 60), (7, 50), (64, 64)])
def test_a_membrane_between_sides_of_a_slope_is_the_slope(shape: tuple[int, int]) -> None:
    slope = np.repeat(np.add.outer(np.arange(shape[0]), 2 * np.arange(shape[1]))[..., None], 3, axis=2)
    known = np.zeros(shape, bool)
    known[[0, -1]] = known[:, [0, -1]] = True
    filled = membrane(np.where(known[..., None], slope, 0).astype(np.float32), known)
    np.testing.assert_array_equal(filled[known], slope[known])
    assert np.abs(filled - slope).max() < 0.02 * slope.max()


def test_a_membrane_stays_between_the_values_it_hangs_from() -> None:
    random = np.random.default_rng(1)
    known = random.random((50, 33)) < 0.05
    values = np.where(known[..., None], random.uniform(-20, 30, (50, 33, 3)), 0).astype(np.float32)
    filled = membrane(values, known)
    assert values[known].min() - 1e-3 <= filled.min() <= filled.max() <= values[known].max() + 1e-3


def test_an_unchanged_face_is_returned_as_it_is() -> None:
    source = picture()
    face = source.copy()
    assert on_the_boundary_of(source, face, ellipse(), Borders()) is face


@pytest.mark.parametrize("cast", [10, -10])
def test_a_cast_is_taken_away_everywhere(cast: int) -> None:
    source = picture()
    result = on_the_boundary_of(source, (source.astype(int) + cast).astype(np.uint8), ellipse(), Borders())
    assert np.abs(result.astype(int) - source).max() <= 1


def test_light_that_falls_from_one_side_is_followed() -> None:
    source = picture()
    fall = np.linspace(-12, 12, source.shape[1])[None, :, None]
    face = np.rint(source - fall).astype(np.uint8)
    alpha = ellipse()
    off = on_the_boundary_of(source, face, alpha, Borders()).astype(int) - source
    assert np.abs(off[(alpha > 0.02)]).max() <= 4
    assert np.abs(off[alpha > 0.02]).mean() < 1
    assert np.abs(face.astype(int) - source).max() >= 12


def test_the_inside_keeps_its_own_gradients() -> None:
    source = picture()
    face = (source.astype(int) + 8).astype(np.uint8)
    cv2.circle(face, (145, 105), 25, (40, 10, 10), -1)
    result = on_the_boundary_of(source, face, ellipse(), Borders())
    assert np.ptp(face.astype(int) - result) <= 2


def test_edges_that_do_not_meet_do_not_bleed_far() -> None:
    source = picture()
    face = (source.astype(int) + 5).astype(np.uint8)
    face[:, :30] = 255
    result = on_the_boundary_of(source, face, ellipse(), Borders())
    assert np.abs(result[60:150, 100:].astype(int) - source[60:150, 100:]).max() <= 4


def test_sides_that_the_frame_cuts_ask_for_nothing() -> None:
    source, alpha = picture(), np.ones((210, 290), np.float32)
    face = (source.astype(int) + 9).astype(np.uint8)
    assert on_the_boundary_of(source, face, alpha, Borders(top=True, bottom=True, left=True, right=True)) is face
    shifted = on_the_boundary_of(source, face, alpha, Borders(top=True, bottom=True, left=True))
    assert np.abs(shifted.astype(int) - source).max() <= 1
