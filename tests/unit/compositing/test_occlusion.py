"""What lies in front of a face keeps its pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.backends.types import GeneratorSpec
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask
from musetalk.compositing.occlusion import find_occluders, keep_in_front
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.labels import FaceLabel, look_up
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, SIDE, drawn_sample
from tests.helpers.drawn_labels import WHOLE, draw, shapes_of, with_glasses, with_hand, with_microphone, with_strand
from tests.helpers.masked import masker

FACE = drawn_sample()
Change = Callable[[UInt8Array], UInt8Array]
OCCLUDERS: dict[str, Change] = {
    "strand": with_strand,
    "hand": with_hand,
    "sleeve": lambda labels: with_hand(labels, FaceLabel.CLOTHES),
    "microphone": with_microphone,
    "glasses": with_glasses,
}


class Painter:
    """What a layout asks of a generator: crops of the source's own pixels, or a part of them that it paints."""

    clip_length, device = 4, "cpu"

    def __init__(self, *, partly: bool = False) -> None:
        self.crop_size = 128 if partly else None
        shown = (lambda size: np.pad(np.ones((size - 40, size - 40), np.float32), 20)) if partly else None
        self.spec = GeneratorSpec(framing="halved", mask="painted" if partly else "jaw", paste_mask=shown)

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("a layout paints nothing")


def masked(
    folder: Path, labels: UInt8Array, painter: Painter | None = None, **mask: object
) -> tuple[FaceMask, CropTransform]:
    made = masker(shapes_of(folder, {0: labels}), painter or Painter(), RenderSettings.parse({"mask": mask}))
    [crop] = made.cropper.crops([0], [FACE])
    return made.mask(0, FACE, crop), crop


def in_frame(labels: UInt8Array) -> UInt8Array:
    return look_up(labels, parsing_view(BOX), BoxCropTransform(0, 0, SIDE, SIDE), SIDE, SIDE)


def alpha_in_frame(mask: FaceMask) -> np.ndarray:
    whole = np.zeros((3 * SIDE, 3 * SIDE), np.float32)
    rows, columns = mask.alpha.shape
    whole[SIDE + mask.y : SIDE + mask.y + rows, SIDE + mask.x : SIDE + mask.x + columns] = mask.alpha
    return whole[SIDE : 2 * SIDE, SIDE : 2 * SIDE]


@pytest.mark.parametrize("shape", ["raw", "jaw", "neck", "mouth", "ellipse", "box", "painted"])
@pytest.mark.parametrize("name", OCCLUDERS)
def test_what_lies_in_front_keeps_its_pixels(tmp_path: Path, name: str, shape: str) -> None:
    plain = draw()
    labels = OCCLUDERS[name](plain)
    painter = Painter(partly=shape == "painted")
    wanted = {} if shape == "painted" else {"shape": shape}
    mask, crop = masked(tmp_path, labels, painter, **wanted)
    source = np.random.default_rng(4).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    frame = source.copy()
    composite(frame, 255 - crop.crop(source), crop, mask)
    covered = in_frame(labels) != in_frame(plain)
    assert covered.sum() > 300
    np.testing.assert_array_equal(frame[covered], source[covered])
    assert alpha_in_frame(mask).max() > 0.9  # the rest of the face is painted


@pytest.mark.parametrize("name", OCCLUDERS)
def test_without_the_wish_it_is_painted_over(tmp_path: Path, name: str) -> None:
    labels = OCCLUDERS[name](draw())
    covered = in_frame(labels) != in_frame(draw())
    mask, _ = masked(tmp_path, labels, shape="box", occlusion=False)
    assert alpha_in_frame(mask)[covered].max() > 0.9


def test_the_edge_around_it_is_soft() -> None:
    hand = find_occluders(with_hand(draw()))
    mask = FaceMask(0, 0, np.ones((512, 512), np.float32))
    kept = keep_in_front(mask, WHOLE, present=hand, around=None, edge=4.0).alpha
    assert kept[hand > 0].max() == 0
    distance = cv2.distanceTransform(255 - hand, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert kept[distance > 6].min() == 1
    near = kept[(distance > 0) & (distance < 4)]
    assert 0 < near.min() < near.max() < 1


def test_strands_survive_where_the_frame_is_coarser_than_the_labels() -> None:
    labels = with_strand(draw(), thickness=3)
    small = BoxCropTransform(0, 0, 100, 100)
    mask = FaceMask(0, 0, np.ones((100, 100), np.float32))
    kept = keep_in_front(mask, small, present=find_occluders(labels), around=None, edge=0.5).alpha
    rows = np.arange(25, 78)
    assert (kept[rows].min(axis=1) == 0).all()


@pytest.mark.parametrize("change", ["nothing", "collar", "sliver", "open mouth", "specks", "neighbour"])
def test_what_is_not_in_front_changes_nothing(change: str) -> None:
    labels = draw()
    if change == "collar":
        labels[(labels == FaceLabel.BACKGROUND) | (labels == FaceLabel.NECK)] = FaceLabel.CLOTHES
    if change == "sliver":  # the outline is a little hollow at one cheek
        rows, columns = np.indices(labels.shape)
        labels[(columns < 132) & (np.abs(rows - 220) < 60)] = FaceLabel.BACKGROUND
    if change == "open mouth":
        cv2.ellipse(labels, (256, 308), (40, 24), 0, 0, 360, int(FaceLabel.BACKGROUND), -1)
        cv2.ellipse(labels, (256, 308), (42, 26), 0, 0, 360, int(FaceLabel.LOWER_LIP), 6)
    if change == "specks":
        for x, y in ((200, 330), (300, 350), (240, 370)):
            labels[y : y + 3, x : x + 3] = FaceLabel.HAIR
            labels[y - 20 : y - 10, x : x + 9] = FaceLabel.BACKGROUND
    if change == "neighbour":  # another face, so near that a common outline would hold what lies between
        cv2.ellipse(labels, (492, 250), (40, 90), 0, 0, 360, int(FaceLabel.SKIN), -1)
    assert not find_occluders(labels).any()


@pytest.mark.parametrize("where", ["beard", "moustache"])
def test_a_beard_does_not_freeze_the_mouth(where: str) -> None:
    labels = draw()
    rows = np.indices(labels.shape)[0]
    lower = (rows > 285) if where == "beard" else (rows > 261) & (rows < 286)
    labels[lower & (labels == FaceLabel.SKIN)] = FaceLabel.HAIR
    labels[:120][labels[:120] == FaceLabel.BACKGROUND] = FaceLabel.HAIR
    front = find_occluders(labels)
    assert not front[262:].any()
    assert front[:120].any()


def test_a_hand_that_parts_the_face_in_two_is_in_front() -> None:
    labels = draw()
    labels[285:330] = FaceLabel.CLOTHES
    front = find_occluders(labels)
    assert front[290:325, 160:350].all()
    assert not front[340:, 200:300].any()
    assert front[300, :100].all()  # it goes on beside the face


def test_no_face_has_nothing_in_front() -> None:
    assert not find_occluders(np.zeros((512, 512), np.uint8)).any()
    assert not find_occluders(np.full((512, 512), FaceLabel.CLOTHES, np.uint8)).any()


def test_a_free_face_keeps_its_mask() -> None:
    mask = FaceMask(100, 200, np.ones((50, 60), np.float32))
    free = np.zeros((512, 512), np.uint8)
    assert keep_in_front(mask, WHOLE, present=free, around=free, edge=3) is mask
    assert keep_in_front(mask, WHOLE, present=None, around=None, edge=3) is mask
    elsewhere = free.copy()
    elsewhere[:100] = 255
    assert keep_in_front(mask, WHOLE, present=elsewhere, around=elsewhere, edge=3) is mask


def test_what_lies_in_front_in_other_frames_thins_the_mask() -> None:
    mask = FaceMask(-20, 0, np.ones((100, 100), np.float32))
    around = np.zeros((512, 512), np.uint8)
    around[:, 40:60] = 102
    kept = keep_in_front(mask, WHOLE, present=np.zeros_like(around), around=around, edge=3).alpha
    np.testing.assert_allclose(kept[:, 65:75], 0.6, atol=1e-3)
    assert (kept[:, :58] == 1).all()
