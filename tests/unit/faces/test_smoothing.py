from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.faces.smoothing import smooth

NOISE = 0.01


def run(values: list[float] | np.ndarray, sigma: float, size: float = 100.0) -> np.ndarray:
    column = np.asarray(values, dtype=np.float64)[:, None]
    ones = np.ones(len(column))
    return smooth(column, ones, ones * size, sigma, NOISE)[:, 0]


@given(st.floats(-1e4, 1e4), st.integers(1, 40), st.floats(0, 30))
def test_a_constant_stays_exactly_constant(value: float, count: int, sigma: float) -> None:
    assert (run([value] * count, sigma) == value).all()


@given(st.floats(-50, 50), st.floats(-1e3, 1e3), st.integers(2, 60), st.floats(0.1, 20))
def test_linear_motion_is_kept_up_to_the_ends(slope: float, start: float, count: int, sigma: float) -> None:
    line = start + slope * np.arange(count)
    np.testing.assert_allclose(run(line, sigma), line, atol=1e-5)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40), st.floats(0.2, 10))
def test_time_runs_both_ways_alike(values: list[float], sigma: float) -> None:
    np.testing.assert_allclose(run(values[::-1], sigma)[::-1], run(values, sigma), atol=1e-6)


def test_noise_is_calmed() -> None:
    noise = np.random.default_rng(1).normal(0, 0.4, 200)
    assert run(noise, 2.0).std() < 0.5 * noise.std()
    assert np.abs(np.diff(run(noise, 2.0))).mean() < 0.25 * np.abs(np.diff(noise)).mean()


@pytest.mark.parametrize("at", [0, 1, 20, 39])
def test_a_single_outlier_leaves_next_to_no_trace(at: int) -> None:
    values = 3.0 * np.arange(40)
    broken = values.copy()
    broken[at] += 60
    np.testing.assert_allclose(run(broken, 2.0), values, atol=2.0)


def test_quick_motion_is_followed() -> None:
    nod = 20 * np.sin(2 * np.pi * np.arange(60) / 9)  # a fifth of the face, almost three times a second
    assert np.abs(run(nod, 2.0) - nod).max() < 3
    shake = 22 * np.sin(2 * np.pi * np.arange(60) / 7)
    assert np.abs(run(shake, 2.0) - shake).max() < 5
    assert np.abs(run(nod, 0.0) - nod).max() == 0


def test_a_jump_is_not_smeared() -> None:
    steps = np.repeat([0.0, 40.0], 20)
    result = run(steps, 2.0)
    np.testing.assert_allclose(result[:18], 0, atol=1.5)
    np.testing.assert_allclose(result[22:], 40, atol=1.5)
