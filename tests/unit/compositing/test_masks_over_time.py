"""Masks keep still over time: averaged over the frames around, inside a track, whatever was asked for before."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.compositing.masks_over_time import time_weights, weighted_mean
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.pipeline.masking import FaceMasker
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import SIDE
from tests.helpers.drawn_labels import draw, with_hand, with_strand
from tests.helpers.masked import FACE, FPS, PARSED, Painter, layout, mask_of, masker, whole


def test_weights_fall_to_half_at_half_the_width() -> None:
    weights = time_weights(0.4, FPS)
    assert weights[0] == 1
    assert weights[5] == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in pairwise(weights))
    assert time_weights(0.4, None) == time_weights(0.0, FPS) == (1.0,)
    assert len(time_weights(1.0, Fraction(120))) <= 25


def test_the_mean_of_maps_is_weighted() -> None:
    maps = [np.full((4, 5), level, np.uint8) for level in (0, 100, 255)]
    mean = weighted_mean(zip((1.0, 2.0, 1.0), maps, strict=True))
    assert mean is not None
    assert (mean.dtype, int(mean[0, 0])) == (np.uint8, 114)
    assert weighted_mean([(0.3, maps[1])]) is maps[1]
    assert weighted_mean([]) is None


def flickering(count: int) -> dict[int, UInt8Array]:
    """Labels of a face that stands still, as a nervous parser gives them."""
    random = np.random.default_rng(12)
    frames = {}
    for frame in range(count):
        labels = draw(300 + random.uniform(-5, 5), 256 + random.uniform(-4, 4), 70 + random.uniform(-4, 4))
        for x, y in random.integers((150, 250), (360, 400), (3, 2)):
            cv2.circle(labels, (int(x), int(y)), 9, int(FaceLabel.NECK), -1)
        frames[frame] = labels
    return frames


def unrest(made: FaceMasker, frames: range) -> float:
    alphas = [whole(mask_of(made, frame)[0]) for frame in frames]
    return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(alphas)]))


@pytest.mark.parametrize("shape", PARSED)
def test_masks_of_flickering_labels_keep_still(tmp_path: Path, shape: str) -> None:
    labels = flickering(24)
    made = layout(tmp_path, labels, fps=FPS, shape=shape)
    raw = masker(
        made.cropper.parsed, Painter(), RenderSettings.parse({"mask": {"shape": shape, "smoothing_seconds": 0}})
    )
    assert unrest(made, range(6, 18)) < 0.45 * unrest(raw, range(6, 18))


def test_one_frame_s_noise_passes_softly(tmp_path: Path) -> None:
    labels = dict.fromkeys(range(13), draw())
    labels[6] = with_strand(draw(), thickness=15)
    made = layout(tmp_path, labels, fps=FPS, shape="box")
    alphas = [whole(mask_of(made, frame)[0])[SIDE + 175, SIDE + 134] for frame in range(13)]
    assert alphas[6] == 0
    assert alphas[0] == alphas[12] == 1
    assert 0 < alphas[5] < alphas[4] < 1
    assert alphas[5] == alphas[7]


def test_a_mask_does_not_depend_on_what_was_asked_for_before(tmp_path: Path) -> None:
    labels = flickering(12)
    labels[4] = with_hand(labels[4])
    made = layout(tmp_path, labels, fps=FPS)
    forwards = [mask_of(made, frame)[0] for frame in range(12)]
    for order in (range(11, -1, -1), (7, 0, 11, 3)):
        other = masker(made.cropper.parsed, Painter(), RenderSettings(), fps=FPS)
        for frame in order:
            mask = mask_of(other, frame)[0]
            assert (mask.x, mask.y) == (forwards[frame].x, forwards[frame].y)
            np.testing.assert_array_equal(mask.alpha, forwards[frame].alpha)


def test_smoothing_ends_where_the_track_does(tmp_path: Path) -> None:
    wide, narrow = draw(310), draw(290)
    labels = {**dict.fromkeys(range(5), wide), **dict.fromkeys(range(6, 10), narrow)}
    made = layout(tmp_path, labels, fps=FPS, smoothing_seconds=0.4)
    alone = masker(made.cropper.parsed, Painter(), RenderSettings())
    for frame in (0, 4, 6, 9):  # frame 5 is missing
        np.testing.assert_array_equal(mask_of(made, frame)[0].alpha, mask_of(alone, frame)[0].alpha)
    assert [at for at, _ in made.cropper.parsed.around(3, FACE, 9)] == [0, 1, 2, 3, 4]
    assert [at for at, _ in made.cropper.parsed.around(7, FACE, 1)] == [6, 7, 8]
    assert made.cropper.parsed.around(5, FACE, 3) == []


def test_a_frame_whose_labels_fail_takes_the_shape_of_those_around_it(tmp_path: Path) -> None:
    labels = {frame: draw() if frame != 3 else np.zeros((512, 512), np.uint8) for frame in range(7)}
    made = layout(tmp_path, labels, fps=FPS)
    np.testing.assert_array_equal(mask_of(made, 3)[0].alpha, mask_of(made, 2)[0].alpha)
