"""Crops and masks of planned faces: by labels where there are some, by the box where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.backends.types import GeneratorSpec
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.errors import OutputError
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.label_store import LabelStore, pack_labels
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.pipeline.masking import FaceMasker, first_row_shown
from musetalk.pipeline.parse import FaceReaders, parse_pictures
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, MOUTH, SIDE, drawn_face, drawn_sample
from tests.helpers.errors import raises_kind
from tests.helpers.masked import masker

FACE = drawn_sample()


class Painter:
    """What a layout asks of a generator."""

    clip_length, device = 4, "cpu"

    def __init__(self, spec: GeneratorSpec, crop_size: int | None = 256) -> None:
        self.spec, self.crop_size = spec, crop_size

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("a layout paints nothing")


MUSETALK = Painter(GeneratorSpec(framing="halved", margin_below=True, mask="jaw"))
OLDER = Painter(GeneratorSpec(framing="halved", margin_below=False, mask="raw"))
LOOKS = ({"look": "published"}, {"look": "ours"})
SQUARE = Painter(GeneratorSpec(), crop_size=None)


def drawn_labels(box: FaceBox = BOX) -> UInt8Array:
    """The labels of `drawn_face` in the view that a parser has of it."""
    view = parsing_view(box)
    k = LABEL_SIDE / view.width
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)

    def ellipse(x: float, y: float, a: float, b: float, label: FaceLabel) -> None:
        center = (round((x - view.x) * k), round((y - view.y) * k))
        cv2.ellipse(labels, center, (round(a * k), round(b * k)), 0, 0, 360, int(label), -1)

    ellipse(160, 150, 88, 112, FaceLabel.SKIN)
    for x, label in ((122, FaceLabel.LEFT_EYE), (198, FaceLabel.RIGHT_EYE)):
        ellipse(x, 125, 14, 7, label)
    ellipse(160, 160, 14, 22, FaceLabel.NOSE)
    ellipse(MOUTH.cx, MOUTH.cy - 5, 32, 8, FaceLabel.UPPER_LIP)
    ellipse(MOUTH.cx, MOUTH.cy + 5, 30, 8, FaceLabel.LOWER_LIP)
    return labels


class DrawnLabeller:
    """Sees the drawn face in every crop but the numbers that it misses."""

    at_once, fingerprint = 4, "drawn"

    def __init__(self, missing: Sequence[int] = ()) -> None:
        self.missing, self.seen = set(missing), 0

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        numbers = range(self.seen, self.seen + len(crops))
        self.seen += len(crops)
        empty = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
        return np.stack([empty if number in self.missing else drawn_labels() for number in numbers])


def plan_of(frames: Sequence[int], count: int) -> FacePlan:
    rows = len(frames)
    box = [BOX.x0, BOX.y0, BOX.x1, BOX.y1, BOX.score]
    mouth = [MOUTH.cx, MOUTH.cy, MOUTH.half_width, MOUTH.angle]
    return FacePlan(
        count,
        SIDE,
        SIDE,
        np.zeros(count, np.int32),
        np.array(frames, np.int64),
        np.zeros(rows, np.int32),
        np.tile(np.array(box, np.float32), (rows, 1)),
        np.tile(np.array(mouth, np.float32), (rows, 1)),
    )


def read(folder: Path, frames: Sequence[int], parser: DrawnLabeller, run: RenderRun | None = None) -> ParsedFaces:
    count = max(frames) + 1
    pictures = [(number, drawn_face() ^ np.uint8(number % 2)) for number in range(count)]  # none as the one before
    plan = plan_of(frames, count)
    return parse_pictures(pictures, plan, FaceReaders(parser), 2.0, folder=folder, run=run or RenderRun(), total=count)


def layout(shapes: ParsedFaces, painter: Painter = MUSETALK, **values: object) -> FaceMasker:
    return masker(shapes, painter, RenderSettings.parse(values))


def alpha_at(made: FaceMasker, x: float, y: float) -> float:
    [crop] = made.cropper.crops([0], [FACE])
    mask = made.mask(0, FACE, crop)
    row, column = round(y) - mask.y, round(x) - mask.x
    inside = 0 <= row < mask.alpha.shape[0] and 0 <= column < mask.alpha.shape[1]
    return float(mask.alpha[row, column]) if inside else 0.0


def test_the_crop_follows_the_labels(tmp_path: Path) -> None:
    made = layout(read(tmp_path, [0], DrawnLabeller()), extra_margin=0)
    [crop] = made.cropper.crops([0], [FACE])
    line = made.cropper.line(0, FACE)
    assert line is not None
    assert abs(crop.y + crop.height - 262) <= 3  # the drawn chin
    assert abs(crop.y + crop.height / 2 - line) <= 1
    assert 130 < line < 182  # between the eyes and the nose's end
    assert abs(crop.x - 72) <= 8
    assert abs(crop.x + crop.width - 248) <= 8


def test_without_labels_the_crop_follows_the_box() -> None:
    made = layout(ParsedFaces(), extra_margin=0)
    [crop] = made.cropper.crops([0], [FACE])
    assert (crop.x, crop.x + crop.width, crop.y + crop.height) == (80, 240, 250)
    assert made.cropper.line(0, FACE) == 154


@pytest.mark.parametrize(("painter", "room"), [(MUSETALK, 12), (OLDER, 0)])
def test_only_version_1_5_has_room_below_the_chin(painter: Painter, room: int) -> None:
    heights = [
        layout(ParsedFaces(), painter, extra_margin=margin).cropper.crops([0], [FACE])[0].height for margin in (12, 0)
    ]
    assert heights[0] - heights[1] == room


def test_a_square_generator_is_given_squares_and_has_no_line() -> None:
    made = layout(ParsedFaces(), SQUARE)
    [crop] = made.cropper.crops([0], [FACE])
    assert (crop.width, crop.size) == (crop.height, crop.width)
    assert made.cropper.line(0, FACE) is None
    assert made.cropper.shift_range([0], [FACE]) is None


def test_the_useful_shift_is_told() -> None:
    low, high = layout(ParsedFaces()).cropper.shift_range([0], [FACE]) or (0, 0)
    assert (low, high) == (-13, 14)


@pytest.mark.parametrize("shape", ["raw", "jaw", "neck", "auto"])
def test_parsed_masks_show_the_mouth_and_keep_eyes_and_surroundings(tmp_path: Path, shape: str) -> None:
    made = layout(read(tmp_path, [0], DrawnLabeller()), mask={"shape": shape})
    assert alpha_at(made, MOUTH.cx, MOUTH.cy) > 0.99
    assert alpha_at(made, 122, 125) == 0
    assert alpha_at(made, 62, 200) == 0
    assert alpha_at(made, 160, 285) == 0


def test_the_published_shape_is_the_usual_one(tmp_path: Path) -> None:
    shapes = read(tmp_path, [0], DrawnLabeller())
    nose = (160, 178)  # jaw leaves it to the source, and so does raw
    masks = {}
    for painter, name in ((MUSETALK, "jaw"), (OLDER, "raw")):
        [crop] = layout(shapes, painter).cropper.crops([0], [FACE])
        usual = layout(shapes, painter).mask(0, FACE, crop)
        asked = layout(shapes, painter, mask={"shape": name}).mask(0, FACE, crop)
        np.testing.assert_array_equal(usual.alpha, asked.alpha)
        masks[name] = usual.alpha
    assert masks["jaw"].shape != masks["raw"].shape or not np.array_equal(masks["jaw"], masks["raw"])
    assert alpha_at(layout(shapes, MUSETALK), *nose) < 0.5


@pytest.mark.parametrize(("painter", "shape"), [(MUSETALK, "jaw"), (OLDER, "raw")])
def test_the_published_look_has_upstreams_masks_and_scaling(tmp_path: Path, painter: Painter, shape: str) -> None:
    """Its own labels alone, cut where the crop ends; and the crop brought back bilinear."""
    shapes = read(tmp_path, [0, 1, 2], DrawnLabeller())
    made, ours = (masker(shapes, painter, RenderSettings.parse(each), fps=Fraction(25)) for each in LOOKS)
    [crop], [fine] = made.cropper.crops([1], [FACE]), ours.cropper.crops([1], [FACE])
    assert isinstance(crop, BoxCropTransform)
    assert replace(crop, back="fine") == fine
    face = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    np.testing.assert_array_equal(crop.warp_back(face), cv2.resize(face, (crop.width, crop.height)))
    parsed = shapes.parsed(1, FACE)
    assert parsed is not None
    upstreams = parsed_mask(parsed.labels, parsed.seen, crop, ParsedMaskOptions(shape))  # type: ignore[arg-type]
    mask = made.mask(1, FACE, crop)
    assert (mask.x, mask.y) == (upstreams.x, upstreams.y)
    np.testing.assert_array_equal(mask.alpha, upstreams.alpha)
    assert not np.array_equal(mask.alpha, ours.mask(1, FACE, fine).alpha)


@pytest.mark.parametrize("shape", ["auto", "ellipse", "box"])
def test_drawn_masks_end_inside_the_crop(shape: str) -> None:
    made = layout(ParsedFaces(), mask={"shape": shape})
    [crop] = made.cropper.crops([0], [FACE])
    mask = made.mask(0, FACE, crop)
    rows, columns = mask.alpha.shape
    assert crop.x <= mask.x
    assert mask.x + columns <= crop.x + crop.width
    assert mask.y + rows <= crop.y + crop.height
    assert max(mask.alpha[0].max(), mask.alpha[-1].max(), mask.alpha[:, 0].max(), mask.alpha[:, -1].max()) < 0.05
    assert alpha_at(made, MOUTH.cx, MOUTH.cy) > 0.99


def test_rows_above_the_mask_need_not_be_painted(tmp_path: Path) -> None:
    made = layout(read(tmp_path, [0], DrawnLabeller()))
    crops = made.cropper.crops([0], [FACE])
    masks = [made.mask(0, FACE, crop) for crop in crops]
    first = first_row_shown(masks, crops)
    assert 80 < first < 128
    top = crops[0].y + first * crops[0].height / 256
    assert top <= masks[0].y
    assert first_row_shown([*masks, masks[0]], [*crops, crops[0]]) == first


def test_a_mask_is_made_once(tmp_path: Path) -> None:
    made = layout(read(tmp_path, [0], DrawnLabeller()))
    [crop] = made.cropper.crops([0], [FACE])
    assert made.mask(0, FACE, crop) is made.mask(0, FACE, crop)


def test_faces_that_the_parser_misses_are_counted_and_drawn(tmp_path: Path) -> None:
    run = RenderRun()
    frames = range(6)
    shapes = read(tmp_path, frames, DrawnLabeller(missing=[2, 3]), run)
    assert run.warnings == ("face parsing saw no face in 2 of 6 crops: their masks are their neighbours', or drawn",)
    assert [shapes.parsed(frame, FACE) is None for frame in frames] == [k in (2, 3) for k in frames]
    lines = [shapes.extent(frame, FACE).line for frame in frames]
    assert max(lines) - min(lines) < 1  # the crop does not jump where labels are missing


def test_a_fragment_of_a_face_is_no_measure_of_it(tmp_path: Path) -> None:
    class Distant(DrawnLabeller):
        """Sees a face a third as large as the detector's."""

        def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
            small = cv2.resize(drawn_labels(), None, fx=0.35, fy=0.35, interpolation=cv2.INTER_NEAREST)
            labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
            labels[200 : 200 + len(small), 200 : 200 + len(small)] = small
            return np.repeat(labels[None], len(crops), axis=0)

    [crop] = layout(read(tmp_path, [0], Distant())).cropper.crops([0], [FACE])
    [assumed] = layout(ParsedFaces()).cropper.crops([0], [FACE])
    assert crop == assumed


@pytest.mark.parametrize("shift", [-40, 0, 40, 120])
def test_the_line_told_is_the_one_the_crop_is_halved_at(shift: int) -> None:
    made = layout(ParsedFaces(), OLDER, bbox_shift=shift)
    [crop] = made.cropper.crops([0], [FACE])
    assert made.cropper.line(0, FACE) == crop.y + crop.height / 2


def test_labels_belong_to_their_frame(tmp_path: Path) -> None:
    frames = [1, 2, 5]
    shapes = read(tmp_path, frames, DrawnLabeller())
    assert [shapes.parsed(frame, FACE) is not None for frame in range(7)] == [k in frames for k in range(7)]
    stranger = FaceSample(9, BOX, MOUTH)
    assert shapes.parsed(1, stranger) is None
    parsed = shapes.parsed(5, FACE)
    assert parsed is not None
    np.testing.assert_array_equal(parsed.labels, drawn_labels())
    assert parsed.seen == parsing_view(BOX)


def test_label_maps_come_back_as_they_were(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.bin")
    maps = np.random.default_rng(3).integers(0, 19, (3, LABEL_SIDE, LABEL_SIDE), np.uint8)
    for each in maps:
        store.add(pack_labels(each))
    assert len(store) == 3
    for index in (2, 0, 1):
        np.testing.assert_array_equal(store.read(index), maps[index])


def test_a_disk_that_takes_no_labels_is_named(tmp_path: Path) -> None:
    reader = ParsedFacesBuilder(LabelStore(tmp_path / "gone" / "labels.bin"))
    with raises_kind(OutputError, path=tmp_path / "gone"):
        reader.add(0, FACE, drawn_labels())
