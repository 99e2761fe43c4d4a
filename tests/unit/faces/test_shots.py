from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from musetalk.faces.tracking.shots import ShotFinder
from musetalk.settings import TrackerSettings
from musetalk.utils.arrays import UInt8Array

THRESHOLD = TrackerSettings().shot_threshold


def scene(seed: int, height: int = 180, width: int = 240) -> UInt8Array:
    """A large picture of soft blobs, to be looked at through a smaller window."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(picture, dtype=np.uint8)


def window(picture: UInt8Array, x: float, y: float = 60, zoom: float = 1.0) -> UInt8Array:
    matrix = np.array([[zoom, 0, -x], [0, zoom, -y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, (240, 180)), dtype=np.uint8)


def shots(frames: list[UInt8Array]) -> list[int]:
    finder = ShotFinder(THRESHOLD)
    return [finder.next(frame) for frame in frames]


def test_every_cut_is_found_where_it_is() -> None:
    lengths = [7, 1, 12, 3]
    frames = [window(scene(seed), k) for seed, length in enumerate(lengths) for k in range(length)]
    assert shots(frames) == [seed for seed, length in enumerate(lengths) for _ in range(length)]


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_pan_is_no_cut(step: int) -> None:
    picture = scene(5)
    assert set(shots([window(picture, k * step) for k in range(20)])) == {0}


def test_a_zoom_is_no_cut() -> None:
    picture = scene(6)
    zooms = [1 + 0.03 * k for k in range(15)]
    assert set(shots([window(picture, 240 * zoom - 120, 180 * zoom - 90, zoom) for zoom in zooms])) == {0}


def test_a_cut_in_the_middle_of_a_pan_is_found() -> None:
    frames = [window(scene(7), 6 * k) for k in range(10)] + [window(scene(8), 6 * k) for k in range(10)]
    assert shots(frames) == [0] * 10 + [1] * 10


def test_something_small_that_appears_is_no_cut() -> None:
    still = window(scene(9), 40)
    changed = still.copy()
    changed[40:110, 80:150] = 255 - changed[40:110, 80:150]
    assert shots([still, still, changed, changed, still]) == [0] * 5


def test_a_noisy_still_is_one_shot() -> None:
    noise = np.random.default_rng(0)
    still = window(scene(10), 40).astype(np.int32)
    frames = [np.clip(still + noise.normal(0, 20, still.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    assert set(shots(frames)) == {0}


def test_lasting_flicker_is_not_cut_into_single_frames() -> None:
    picture = window(scene(11), 40)
    frames = [picture if k % 2 else picture // 2 for k in range(40)]
    numbers = shots(frames)
    assert all(b - a in (0, 1) for a, b in pairwise(numbers))
    assert numbers[-1] == numbers[20]  # it settles


def test_frames_of_any_size_are_taken() -> None:
    assert shots([np.full((2, 3, 3), 10, np.uint8), np.full((2, 3, 3), 200, np.uint8)]) == [0, 1]
