"""What brings generated colors to those of the source."""

from __future__ import annotations

import numpy as np
import pytest

from musetalk.compositing.color_transfer import correct, correction_table, fit_correction, green_of, no_correction
from musetalk.utils.arrays import UInt8Array


def colors(count: int = 400, low: int = 20, high: int = 235, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (count, 3)).astype(np.uint8)


def skin(count: int = 400, seed: int = 0) -> UInt8Array:
    """Colors of a narrow range."""
    near = np.random.default_rng(seed).normal((185, 145, 125), 12, (count, 3))
    values: UInt8Array = np.clip(near, 0, 255).astype(np.uint8)
    return values


def moved(picture: np.ndarray, levels: object) -> UInt8Array:
    values: UInt8Array = np.clip(np.rint(picture + np.asarray(levels)), 0, 255).astype(np.uint8)
    return values


@pytest.mark.parametrize("levels", [10, -10, (10, -6, 3)])
@pytest.mark.parametrize("make", [colors, skin])
def test_a_cast_is_taken_back_where_there_is_evidence(make: object, levels: object) -> None:
    source = make()  # type: ignore[operator]
    generated = moved(source, levels)
    correction = fit_correction(source, generated)
    low, high = np.quantile(generated, [0.02, 0.98], axis=0).astype(int)
    for channel, wanted in enumerate(np.broadcast_to(-np.asarray(levels), 3)):
        part = correction[channel, low[channel] : high[channel]]
        np.testing.assert_allclose(part, wanted, atol=1.5)


@pytest.mark.parametrize("gain", [0.8, 1.2])
def test_exposure_is_taken_back_beyond_what_was_seen(gain: float) -> None:
    source = skin()
    generated = np.clip(255 * ((source / 255) ** 2.2 * gain) ** (1 / 2.2), 0, 255).round().astype(np.uint8)
    table = correction_table(fit_correction(source, generated))
    for level in (40, 90, 150, 200):
        seen = round(255 * ((level / 255) ** 2.2 * gain) ** (1 / 2.2))
        np.testing.assert_allclose(table[:, seen].astype(int), level, atol=4)


def test_a_third_of_pairs_that_are_quite_wrong_does_not_count() -> None:
    source = skin(600)
    generated = moved(source, 8)
    generated[:200] = (30, 10, 10)
    generated[200:230] = 240
    np.testing.assert_allclose(fit_correction(source, generated)[:, [130, 150]], -8, atol=1.5)


def test_unlike_faces_are_hardly_changed_for_want_of_evidence() -> None:
    source, generated = colors(30, seed=1), colors(30, seed=2)
    assert np.abs(fit_correction(source, generated)).max() < 32
    assert not fit_correction(source[:5], generated[:5]).any()


def test_equal_colors_change_nothing_and_noise_next_to_nothing() -> None:
    source = colors()
    assert not fit_correction(source, source).any()
    noise = np.random.default_rng(3).normal(0, 1.5, source.shape)
    assert np.abs(fit_correction(source, moved(source, noise))).max() < 0.8
    picture = colors(100).reshape(10, 10, 3)
    assert correct(picture, no_correction() + np.float32(0.4)) is picture


def test_brighter_stays_brighter_and_corrections_are_bounded() -> None:
    source = colors()
    for generated in (moved(source, 90), moved(source, -90), moved(source * 0.4, 60)):
        correction = fit_correction(source, generated)
        assert np.abs(correction).max() <= 48
        assert (np.diff(correction_table(correction).astype(int), axis=1) >= 0).all()


def test_values_that_were_cut_say_nothing() -> None:
    source = colors(800, 0, 256)
    correction = fit_correction(source, moved(source, 30))
    np.testing.assert_allclose(correction[:, 60:230], -30, atol=2)


def test_corrections_are_by_channel() -> None:
    picture = colors(100, seed=4).reshape(10, 10, 3)
    correction = no_correction()
    correction[0] += 5
    correction[1] -= 3
    correction[2] += 0.4
    np.testing.assert_array_equal(correct(picture, correction), moved(picture, (5, -3, 0)))
    np.testing.assert_array_equal(green_of(picture, correction), moved(picture, (5, -3, 0))[..., 1])
    np.testing.assert_array_equal(green_of(picture), picture[..., 1])
