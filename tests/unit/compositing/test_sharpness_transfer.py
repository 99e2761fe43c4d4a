"""Faces made as sharp and as grainy as what is around them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from musetalk.compositing.boundary import Borders, Boundary, find_boundary
from musetalk.compositing.sharpness_transfer import Sharpness, add_grain, details_of, measure_sharpness, sharpen
from musetalk.utils.arrays import UInt8Array


def levels(values: np.ndarray) -> UInt8Array:
    rounded: UInt8Array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def texture(seed: int = 0, sigma: float = 1.0) -> UInt8Array:
    noise = np.random.default_rng(seed).normal(size=(300, 320, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigma)
    return levels(128 + 20 * soft / soft.std())


def flat() -> UInt8Array:
    return soft(texture(5), 12)


def soft(picture: UInt8Array, sigma: float = 1.2) -> UInt8Array:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def grainy(picture: UInt8Array, strength: float, seed: int) -> UInt8Array:
    noise = np.random.default_rng(seed).normal(0, strength, picture.shape[:2]).astype(np.float32)
    softer = cv2.GaussianBlur(noise, (0, 0), 0.6)
    return levels(picture + softer[..., None] * (strength / softer.std()))


def boundary() -> Boundary:
    y, x = np.mgrid[:300, :320]
    depth = 1 - np.hypot((x - 160) / 160, (y - 150) / 150)
    found = find_boundary(np.clip(depth / 0.3, 0, 1).astype(np.float32), Borders())
    assert found is not None
    return found


def measured(sources: list[UInt8Array], faces: list[UInt8Array]) -> Sharpness:
    around = boundary()
    pairs = zip(sources, faces, strict=True)
    return measure_sharpness(
        [[details_of((7, 9), source[..., 1], face[..., 1], around) for source, face in pairs]],
    )


def detail(picture: UInt8Array) -> float:
    green = picture[..., 1].astype(np.float32)
    return float((green - cv2.GaussianBlur(green, (5, 5), 1.2)).std())


def test_equal_pictures_lack_nothing() -> None:
    sources = [grainy(texture(), 4, seed) for seed in (1, 2)]
    assert measured(sources, sources) == Sharpness()
    assert measured(sources[:1], sources[:1]) == Sharpness()


def test_a_soft_face_is_sharpened_towards_the_source() -> None:
    source = texture(sigma=1.6)
    face = soft(source)
    found = measured([source, source], [face, face])
    assert found.sharpen > 0.2
    assert found.grain == 0
    better = sharpen(face, found.sharpen)
    assert detail(face) < detail(better) < 1.05 * detail(source)
    assert np.abs(better.astype(int) - source).mean() < np.abs(face.astype(int) - source).mean()


def test_a_sharp_face_is_blurred_towards_the_source() -> None:
    source = texture(sigma=2.2)
    face = np.asarray(cv2.addWeighted(source, 2.2, soft(source), -1.2, 0), dtype=np.uint8)
    found = measured([source, source], [face, face])
    assert found.sharpen < -0.1
    softer = sharpen(face, found.sharpen)
    assert 0.95 * detail(source) < detail(softer) < detail(face)


def test_both_are_limited() -> None:
    source = texture(sigma=1.0)
    blurred = soft(source, 2.0)
    assert 0 < measured([source], [blurred]).sharpen <= 0.7
    assert -0.7 <= measured([blurred], [source]).sharpen < 0


@pytest.mark.parametrize("strength", [3.0, 5.0])
def test_missing_grain_is_added_and_no_more_than_the_source_has(strength: float) -> None:
    clean = flat()
    sources = [grainy(clean, strength, seed) for seed in (1, 2)]
    found = measured(sources, [clean, clean])
    assert found.sharpen == 0
    assert found.grain == pytest.approx(strength, rel=0.25)
    results = [add_grain(clean, found.grain, frame) for frame in (4, 5)]
    assert detail(results[0]) == pytest.approx(detail(sources[0]), rel=0.15)
    change = [float((b.astype(int) - a).std()) for a, b in (sources, results)]
    assert change[1] <= 1.1 * change[0]


def test_grain_that_the_face_has_already_is_not_added_again() -> None:
    sources = [grainy(flat(), 4, seed) for seed in (1, 2)]
    faces = [grainy(flat(), 4, seed) for seed in (3, 4)]
    assert measured(sources, faces).grain == 0


def test_texture_that_stays_is_no_grain() -> None:
    source = grainy(flat(), 4, 1)
    assert measured([source, source], [flat(), flat()]).grain == 0


def test_grain_follows_the_frame_number_and_is_grey() -> None:
    face = flat()
    first, again, other = (add_grain(face, 3.0, frame) for frame in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5
    added = first.astype(int) - face
    assert np.ptp(added, axis=-1).max() <= 1
    assert abs(float(added.mean())) < 0.3
    assert float(added.std()) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("size", [(3, 5), (950, 10), (1100, 1500)])
def test_faces_of_any_size_are_grained(size: tuple[int, int]) -> None:
    face = np.full((*size, 3), 128, np.uint8)
    result = add_grain(face, 4.0, 1)
    assert result.shape == face.shape
    assert result.std() > 1


def test_nothing_to_do_is_nothing_done() -> None:
    face = texture()
    assert sharpen(face, 0) is face
    assert add_grain(face, 0, 3) is face
    assert measure_sharpness([]) == Sharpness()


def test_a_patch_that_moves_is_compared_with_itself() -> None:
    """The frame stands still, the patch moves over it: no grain is seen in what stays."""
    frame = np.pad(grainy(texture(), 5, 1), ((20, 20), (20, 20), (0, 0)), mode="reflect")
    clean = soft(frame, 3.0)
    around = boundary()
    pair = []
    for x, y in ((10, 10), (13, 6)):
        part = np.s_[y : y + 300, x : x + 320, 1]
        pair.append(details_of((x, y), frame[part], clean[part], around))
    assert measure_sharpness([pair]).grain == 0
