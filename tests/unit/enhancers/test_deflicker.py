"""An enhancer's flicker is damped where the face is still, and nowhere else."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.enhancers.deflicker import REMEMBERED, Memory, deflicker
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import MOUTH, drawn_face

pytestmark = pytest.mark.slow

SIDE, COUNT = 256, 12
STEADINESS = 0.7  # as it is set by default
STILL = np.s_[:, 40:145, 50:206]  # brows to nose


@lru_cache(maxsize=2)
def film(grain: float = 2.0) -> UInt8Array:
    """A still face whose mouth opens and shuts, with grain: uint8 RGB [COUNT, SIDE, SIDE, 3]. Not to be written to."""
    random = np.random.default_rng(11)
    frames = []
    for frame in range(COUNT):
        face = drawn_face(MOUTH, teeth=12 * abs(np.sin(frame * 1.1)))
        small = cv2.resize(face[30:286, 30:286], (SIDE, SIDE)).astype(float)
        frames.append(np.clip(np.rint(small + random.normal(0, grain, small.shape)), 0, 255))
    made = np.stack(frames).astype(np.uint8)
    made.setflags(write=False)
    return made


@lru_cache(maxsize=2)
def flicker(sigma: float) -> np.ndarray:
    """What an enhancer makes up anew for every frame, fine and coarse: float [COUNT, SIDE, SIDE, 3]."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(COUNT):
        both = np.zeros((SIDE, SIDE, 3))
        for width in (0.7, 12.0):
            part = cv2.GaussianBlur(random.normal(0, 1, both.shape), (0, 0), width)
            both += part / part.std() * sigma / 2**0.5
        made.append(both)
    return np.stack(made)


def sharpened(faces: UInt8Array, amount: float = 0.7) -> np.ndarray:
    exact = faces.astype(float)
    return np.stack([face + amount * (face - cv2.GaussianBlur(face, (0, 0), 2)) for face in exact])


@lru_cache(maxsize=1)
def sharp_and_unsteady() -> tuple[UInt8Array, UInt8Array]:
    """What a sharpener that flickers makes of the film, and that made steady in one piece. Not to be written to."""
    enhanced = as_faces(sharpened(film()) + flicker(2.0))
    return enhanced, deflicker(film(), enhanced, None, STEADINESS)[0]


def as_faces(exact: np.ndarray) -> UInt8Array:
    return np.asarray(np.clip(np.rint(exact), 0, 255).astype(np.uint8))


def change(faces: np.ndarray) -> float:
    """Mean absolute difference of consecutive frames in the still part, once enough frames are behind."""
    return float(np.abs(np.diff(faces[STILL].astype(float), axis=0))[REMEMBERED:].mean())


def in_pieces(inputs: UInt8Array, enhanced: UInt8Array, cuts: list[int]) -> UInt8Array:
    made, memory = [], None
    for start, stop in zip([0, *cuts], [*cuts, len(inputs)], strict=True):
        piece, memory = deflicker(inputs[start:stop], enhanced[start:stop], memory, STEADINESS)
        made.append(piece)
    return np.concatenate(made)


def test_flicker_adds_less_than_a_tenth_to_the_change_of_what_is_still() -> None:
    enhanced = as_faces(film() + flicker(2.0))
    calm, _ = deflicker(film(), enhanced, None, STEADINESS)
    own = change(film())
    assert change(enhanced) > 1.3 * own
    assert change(calm) < 1.1 * own


def test_a_sharpener_that_flickers_changes_less_than_sharpening_alone() -> None:
    """Sharpening sharpens grain, too: the grain that is added to earlier frames is averaged with the flicker."""
    enhanced, calm = sharp_and_unsteady()
    own = change(film())
    assert change(enhanced) > 1.8 * own
    assert change(calm) < 0.75 * change(as_faces(sharpened(film())))
    assert change(calm) < 1.2 * own


def test_detail_that_an_enhancer_adds_stays() -> None:
    added = as_faces(sharpened(film(0.0), 1.5))
    calm, _ = deflicker(film(0.0), added, None, STEADINESS)
    assert np.array_equal(calm[STILL], added[STILL])
    assert not np.array_equal(added[STILL], film(0.0)[STILL])


def test_what_moved_leaves_no_ghosts() -> None:
    inputs = film()
    enhanced = as_faces(sharpened(film(), 1.0) + 25 * np.sin(np.arange(SIDE) / 3)[None, None, :, None])
    calm, _ = deflicker(inputs, enhanced, None, 1.0)
    smooth = np.stack([cv2.blur(face.astype(np.float32), (5, 5)) for face in inputs])
    checked = 0
    for frame in range(1, COUNT):
        others = smooth[max(0, frame - REMEMBERED) : frame]
        moved = (np.abs(smooth[frame] - others).max(axis=-1) > 14).all(axis=0)
        off = np.abs(calm[frame].astype(int) - enhanced[frame]).max(axis=-1)
        assert off[moved].max(initial=0) <= 2
        checked += int(moved.sum())
    assert checked > 1000


def test_a_new_picture_takes_nothing_from_the_one_before() -> None:
    inputs = film() // 2
    inputs[6:] += 128
    residual = np.where(np.arange(COUNT) < 6, 30, -30)[:, None, None, None]
    enhanced = as_faces(sharpened(inputs) + residual)
    calm, _ = deflicker(inputs, enhanced, None, 1.0)
    alone, _ = deflicker(inputs[6:], enhanced[6:], None, 1.0)
    assert np.array_equal(calm[6:], alone)
    assert np.array_equal(calm[6], enhanced[6])
    assert not np.array_equal(calm[7], enhanced[7])


@pytest.mark.parametrize("steadiness", [0.0, 0.7, 1.0])
def test_an_enhancer_that_adds_nothing_changes_nothing(steadiness: float) -> None:
    calm, _ = deflicker(film(), film(), None, steadiness)
    assert np.array_equal(calm, film())


def test_without_steadiness_nothing_is_damped() -> None:
    enhanced = as_faces(film() + flicker(2.0))
    calm, memory = deflicker(film(), enhanced, None, 0.0)
    assert np.array_equal(calm, enhanced)
    assert len(memory.inputs) == len(memory.residuals) == REMEMBERED
    assert np.array_equal(memory.residuals[-1], enhanced[-1].astype(int) - film()[-1])


def test_more_steadiness_is_steadier() -> None:
    enhanced = as_faces(film() + flicker(3.0))
    changes = [change(deflicker(film(), enhanced, None, each)[0]) for each in (0.0, 0.2, 0.5, 1.0)]
    assert changes == sorted(changes, reverse=True)


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, COUNT), max_size=5).map(sorted))
def test_pieces_come_out_as_the_whole(cuts: list[int]) -> None:
    enhanced, whole = sharp_and_unsteady()
    assert np.array_equal(in_pieces(film(), enhanced, cuts), whole)


@settings(max_examples=6, deadline=None)
@given(start=st.integers(0, COUNT - REMEMBERED - 1))
def test_a_frame_depends_on_the_few_before_it_alone(start: int) -> None:
    enhanced, whole = sharp_and_unsteady()
    later, _ = deflicker(film()[start:], enhanced[start:], None, STEADINESS)
    assert np.array_equal(later[REMEMBERED:], whole[start + REMEMBERED :])


def test_inputs_stay_as_they_are() -> None:
    inputs, enhanced = film().copy(), as_faces(film() + flicker(2.0))
    kept = enhanced.copy()
    deflicker(inputs, enhanced, None, STEADINESS)
    assert np.array_equal(inputs, film())
    assert np.array_equal(enhanced, kept)


def test_arrays_may_lie_in_memory_as_networks_leave_them() -> None:
    enhanced = as_faces(film() + flicker(2.0))
    whole, _ = deflicker(film(), enhanced, None, STEADINESS)
    planes = np.ascontiguousarray(enhanced.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert np.array_equal(deflicker(film(), planes, None, STEADINESS)[0], whole)


@pytest.mark.parametrize("side", [40, 300])
def test_faces_of_any_size_are_calmed(side: int) -> None:
    inputs = np.full((REMEMBERED + 3, side, side, 3), 120, np.uint8)
    flicker_of = np.arange(len(inputs), dtype=np.uint8) % 2 * 9
    enhanced = (inputs + flicker_of[:, None, None, None]).astype(np.uint8)
    calm, _ = deflicker(inputs, enhanced, None, 1.0)
    assert (calm[1:].astype(int).min(), calm[1:].astype(int).max()) != (120, 129)
    assert np.abs(np.diff(calm[REMEMBERED:].astype(int), axis=0)).max() <= 2


def test_faces_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot have become"):
        deflicker(film(), film()[:, ::2, ::2], None, 0.7)
    _, memory = deflicker(film(), film(), None, 0.7)
    with pytest.raises(ValueError, match="do not follow"):
        deflicker(film()[:, ::2, ::2], film()[:, ::2, ::2], memory, 0.7)
    nothing, same = deflicker(film()[:0], film()[:0], memory, 0.7)
    assert len(nothing) == 0
    assert isinstance(same, Memory)
    assert np.array_equal(same.inputs, memory.inputs)
