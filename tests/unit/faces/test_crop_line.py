"""Where a parsed face has its line, its chin and its edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import measure_extent
from musetalk.faces.parsing.labels import FaceLabel
from tests.helpers.drawn_labels import CHIN, HALF_WIDTH, LINE, WHOLE, draw, found


@pytest.mark.parametrize("unit", [120.0, 300.0])
def test_the_line_and_the_face_s_edges_are_where_the_landmarks_would_be(unit: float) -> None:
    extent = found(draw(unit))
    assert extent.line == pytest.approx(70 + LINE * unit, abs=0.012 * unit)
    assert extent.chin == pytest.approx(70 + CHIN * unit, abs=0.015 * unit)
    assert extent.left == pytest.approx(256 - HALF_WIDTH * unit, abs=0.006 * unit + 1.5)
    assert extent.right == pytest.approx(256 + HALF_WIDTH * unit, abs=0.006 * unit + 1.5)
    assert extent.above == pytest.approx(0.0776 * unit, rel=0.05)
    assert extent.below == pytest.approx(0.0794 * unit, rel=0.05)


def test_labels_are_brought_to_the_frame() -> None:
    inside = found(draw())
    extent = found(draw(), BoxCropTransform(-40, 100, 256, 1024))
    assert extent.left == pytest.approx(inside.left / 2 - 40)
    assert extent.line == pytest.approx(inside.line * 2 + 100)
    assert extent.chin == pytest.approx(inside.chin * 2 + 100)
    assert extent.above == pytest.approx(inside.above * 2)


EYES_GONE = (FaceLabel.LEFT_EYE, FaceLabel.RIGHT_EYE)
BROWS_GONE = (FaceLabel.LEFT_BROW, FaceLabel.RIGHT_BROW)


@pytest.mark.parametrize("without", [EYES_GONE, (*EYES_GONE, *BROWS_GONE), (FaceLabel.LEFT_EYE,), BROWS_GONE])
def test_what_is_hidden_moves_the_line_little(without: tuple[FaceLabel, ...]) -> None:
    extent = found(draw(without=without))
    assert extent.line == pytest.approx(70 + LINE * 300, abs=6)
    assert extent.chin == pytest.approx(70 + CHIN * 300, abs=5)


def test_glasses_stand_in_for_the_eyes_they_hide() -> None:
    labels = draw(without=(*EYES_GONE, *BROWS_GONE))
    glasses = np.zeros_like(labels)
    cv2.ellipse(glasses, (199, 168), (40, 24), 0, 0, 360, 1, -1)
    cv2.ellipse(glasses, (313, 168), (40, 24), 0, 0, 360, 1, -1)
    labels[(glasses > 0) & (labels == FaceLabel.SKIN)] = FaceLabel.GLASSES
    assert found(labels).line == pytest.approx(70 + LINE * 300, abs=5)


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_tilted_face_keeps_its_line(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((256, 230), degrees, 1)
    labels = cv2.warpAffine(draw(260), turn, (512, 512), flags=cv2.INTER_NEAREST)
    _, expected = turn @ (256, 70 + LINE * 260, 1)
    assert found(labels).line == pytest.approx(expected, abs=6)


def test_specks_and_a_smaller_face_beside_do_not_count() -> None:
    labels = draw(260, 200)
    clean = found(labels)
    labels[500:504, 20:60] = FaceLabel.SKIN
    labels[20:24, 20:24] = FaceLabel.NOSE
    small = draw(90, 440, 300)
    labels[small > 0] = small[small > 0]
    assert found(labels) == clean


def test_a_strand_of_skin_on_the_neck_is_no_chin() -> None:
    labels = draw()
    clean = found(labels)
    labels[380:470, 250:262] = FaceLabel.SKIN
    assert found(labels).chin == pytest.approx(clean.chin, abs=3)


def test_a_chin_that_is_cut_off_is_where_the_mean_face_has_it() -> None:
    extent = found(draw(430, y=80))
    assert extent.chin > 512
    assert extent.chin == pytest.approx(80 + CHIN * 430, abs=12)


@pytest.mark.parametrize("case", ["empty", "noise", "no nose", "no face below the nose"])
def test_what_is_no_whole_face_is_not_measured(case: str) -> None:
    labels = draw()
    if case == "empty":
        labels[:] = 0
    elif case == "noise":
        labels = np.random.default_rng(1).integers(0, 19, (512, 512)).astype(np.uint8)
    elif case == "no nose":
        labels = draw(without=(FaceLabel.NOSE,))
    else:
        labels[265:] = 0
    assert measure_extent(labels, WHOLE) is None
