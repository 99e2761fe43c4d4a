"""Following faces with S3FD, proved with a network that sees coloured rectangles instead of faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musetalk.arrays import UInt8Array
from musetalk.faces.extent import assumed_extent
from musetalk.faces.plan import FacePlan
from musetalk.faces.planner import plan_faces
from musetalk.faces.s3fd import S3FDDetector
from musetalk.faces.s3fd_boxes import square_box
from musetalk.faces.s3fd_input import MEAN, Cutout
from musetalk.faces.s3fd_network import S3FD, Heads
from musetalk.faces.types import FaceBox
from musetalk.faces.watch import FollowingDetector
from musetalk.settings import TrackerSettings

CPU = torch.device("cpu")
STRIDES = (4, 8, 16, 32, 64, 128)
FACE, GROUND = (40, 250, 40), (60, 60, 60)
TALL = 1.27  # height of a face as S3FD draws it, in widths: here the square's two measures of its side agree
SMALLEST = 14  # pixels of the network's input: a smaller face is not seen

Size = tuple[int, int]


class GreenNetwork:
    """Stands in for S3FD: a face is a green rectangle, measured by its moments to a fraction of a pixel.

    Args:
        swell: By how much faces of 200 pixels seem larger than they are, against those of 100.
    """

    def __init__(self, swell: float = 0.0) -> None:
        self._swell = swell
        self.shown: list[Size] = []  # (height, width) of each picture

    def __call__(self, x: Tensor) -> Heads:
        self.shown += [(x.shape[2], x.shape[3])] * len(x)
        maps = [(-(-x.shape[2] // stride), -(-x.shape[3] // stride)) for stride in STRIDES]
        heads = [(torch.zeros(len(x), 2, h, w), torch.zeros(len(x), 4, h, w)) for h, w in maps]
        for logits, _ in heads:
            logits[:, 0] = 9.0
        for picture, pixels in enumerate(x):
            colours = pixels.permute(1, 2, 0).numpy() + np.array(MEAN, np.float32)
            for cx, cy, width, height in rectangles(colours):
                factor = 1 + self._swell * float(np.log2(height / 100))
                mark(heads, picture, cx, cy, factor * width, factor * height)
        return heads


def rectangles(colours: np.ndarray) -> Iterator[tuple[float, float, float, float]]:
    """(centre x, centre y, width, height) of each green rectangle, from the share of each pixel that it covers."""
    green = colours[..., 1] - colours[..., 0]
    share = np.clip((green - 14) / (FACE[1] - FACE[0] - 14), 0, 1)  # of the mean colour, green less red is 13
    count, parts = cv2.connectedComponents((share > 0).astype(np.uint8))
    for part in range(1, count):
        weight = np.where(parts == part, share, 0)
        x, width = spread(weight.sum(axis=0))
        y, height = spread(weight.sum(axis=1))
        if height >= SMALLEST:
            yield x, y, width, height


def spread(weight: np.ndarray) -> tuple[float, float]:
    """Middle and length of a level stretch that was averaged over pixels."""
    places = np.arange(len(weight)) + 0.5
    middle = float((weight * places).sum() / weight.sum())
    variance = float((weight * (places - middle) ** 2).sum() / weight.sum())
    return middle, float(np.sqrt(max(12 * variance - 1, 1)))  # the pixels themselves add a twelfth


def mark(heads: Heads, picture: int, x: float, y: float, width: float, height: float) -> None:
    """Set the outputs of the anchor nearest to a face."""
    level = min(range(6), key=lambda index: abs(np.log(4 * STRIDES[index] / height)))
    (logits, offsets), stride = heads[level], STRIDES[level]
    row, column = (min(int(place / stride), size - 1) for place, size in zip((y, x), logits.shape[2:], strict=True))
    side = 4 * stride
    logits[picture, :, row, column] = torch.tensor([-4.0, 4.0])
    offsets[picture, :, row, column] = torch.tensor(
        [
            (x - stride * (column + 0.5)) / side / 0.1,
            (y - stride * (row + 0.5)) / side / 0.1,
            np.log(width / side) / 0.2,
            np.log(height / side) / 0.2,
        ]
    )


class Searching:
    """The same detector, but it searches every frame."""

    def __init__(self, detector: S3FDDetector) -> None:
        self._detector = detector
        self.fingerprint, self.max_side, self.detect = detector.fingerprint, detector.max_side, detector.detect


def tight(cx: float, cy: float, width: float) -> FaceBox:
    return FaceBox(cx - width / 2, cy - TALL * width / 2, cx + width / 2, cy + TALL * width / 2, 1.0)


def draw(size: Size, faces: Iterable[FaceBox], ground: tuple[int, int, int] = GROUND) -> UInt8Array:
    """Faces as rectangles that cover their pixels in part at the rim: uint8 RGB, size as (width, height)."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = ground
    for face in faces:
        columns, across = covered(size[0], face.x0, face.x1)
        rows, down = covered(size[1], face.y0, face.y1)
        part = picture[rows, columns]
        part[:] = (part + (down[:, None] * across)[..., None] * (np.float32(FACE) - part)).round()
    return picture


def covered(count: int, start: float, end: float) -> tuple[slice, np.ndarray]:
    """The pixels of a row that a stretch touches, and which share of each it covers."""
    first, last = max(0, int(np.floor(start))), min(count, int(np.ceil(end)))
    places = np.arange(first, last, dtype=np.float32)
    return slice(first, last), np.minimum(places + 1, end) - np.maximum(places, start)


def green(longest: int = 640) -> tuple[S3FDDetector, GreenNetwork]:
    network = GreenNetwork()
    return S3FDDetector(network, device=CPU, longest=longest), network


def moved(box: FaceBox, dx: float, dy: float, grown: float = 1.0) -> FaceBox:
    (cx, cy), half = box.center, box.width * grown / 2
    return FaceBox(cx + dx - half, cy + dy - half, cx + dx + half, cy + dy + half, box.score)


def apart(a: FaceBox | None, b: FaceBox) -> float:
    """The greatest distance between edges, in pixels."""
    assert a is not None
    return max(abs(p - q) for p, q in ((a.x0, b.x0), (a.y0, b.y0), (a.x1, b.x1), (a.y1, b.y1)))


def test_it_is_a_detector_that_follows() -> None:
    assert isinstance(green()[0], FollowingDetector)
    assert not isinstance(Searching(green()[0]), FollowingDetector)


def test_squares_stand_on_the_chin_with_the_cheeks_where_they_belong() -> None:
    face = tight(300, 200, 100)
    square = square_box(face)
    extent = assumed_extent(square)
    assert square.width == pytest.approx(square.height)
    assert square.score == face.score
    assert extent.chin == pytest.approx(face.y1)
    assert (extent.left, extent.right) == pytest.approx((face.x0, face.x1), abs=0.3)
    assert extent.line == pytest.approx(face.y0 + 0.53 * face.height, abs=0.3)
    wide = square_box(FaceBox(face.x0 - 10, face.y0, face.x1 + 10, face.y1, 1.0))
    assert wide.width == pytest.approx(square.width + 0.5 * 20 / 0.8)  # half of what its cheeks ask for
    assert wide.center[0] == pytest.approx(square.center[0])
    assert wide.y1 == pytest.approx(square.y1)


@pytest.mark.parametrize("size", [(640, 360), (480, 640), (1280, 720), (1920, 1080)])
@pytest.mark.parametrize("share", [0.06, 0.17, 0.4, 0.66])
def test_both_ways_lead_to_the_face_as_it_is(size: Size, share: float) -> None:
    width = share * min(size)
    face = tight(0.43 * size[0] + 0.3, 0.52 * size[1] + 0.7, width)
    true, frame = square_box(face), draw(size, [face])
    detector, network = green()
    [[found]] = detector.detect([frame])
    within = max(1.0, 0.008 * true.width)
    assert apart(found, true) < within
    network.shown.clear()
    known = moved(true, 0.12 * width, -0.1 * width, 1.1)  # where it was a moment before
    [followed] = detector.follow(frame, [known])
    assert apart(followed, true) < within
    assert apart(followed, found) < within
    assert followed is not None
    assert followed.score == pytest.approx(found.score)
    assert len(network.shown) == 1
    assert max(network.shown[0]) <= 224  # and no more than that, however large the face


def test_the_closer_look_undoes_what_the_size_does_to_boxes() -> None:
    """Else boxes would jump at each frame that is searched as a whole."""
    face = tight(330, 190, 220)
    true, frame = square_box(face), draw((640, 360), [face])
    detector = S3FDDetector(GreenNetwork(swell=0.08), device=CPU)
    [[rough]] = detector.tight_boxes([frame])
    assert square_box(rough).width > 1.1 * true.width
    [[found]] = detector.detect([frame])
    [followed] = detector.follow(frame, [found])
    assert apart(followed, found) < 0.01 * true.width
    assert apart(found, true) < 0.02 * true.width


@settings(max_examples=20, deadline=None)
@given(
    x=st.floats(0.0, 1.0),
    y=st.floats(0.1, 0.9),
    share=st.floats(0.08, 0.5),
    dx=st.floats(-0.2, 0.2),
    zoom=st.floats(0.8, 1.25),
)
def test_what_is_followed_is_what_would_be_found(x: float, y: float, share: float, dx: float, zoom: float) -> None:
    face = tight(700 * x, 400 * y, 400 * share)
    frame = draw((700, 400), [face])
    detector, _ = green()
    [[found]] = detector.detect([frame])
    [followed] = detector.follow(frame, [moved(found, dx * found.width, 0.0, zoom)])
    assert apart(followed, found) < max(1.0, 0.01 * found.width)


@pytest.mark.parametrize("place", [(0, 180), (640, 180), (320, 0), (320, 360), (0, 0), (640, 360)])
def test_faces_that_leave_the_frame_are_followed(place: Size) -> None:
    """A quarter or half of the face is left; what lies beyond is the mean colour to the network."""
    inside = tight(min(max(place[0], 25), 615), min(max(place[1], 32), 328), 120)
    frame = draw((640, 360), [inside])
    detector, network = green()
    [[found]] = detector.detect([frame])
    before = moved(found, 8 if place[0] == 0 else -8, 5)
    [followed] = detector.follow(frame, [before])
    assert apart(followed, found) < 1.0
    assert apart(found, square_box(seen_part(inside))) < 1.5
    assert network.shown[-1] == (192, 192)


def seen_part(face: FaceBox) -> FaceBox:
    return FaceBox(max(face.x0, 0), max(face.y0, 0), min(face.x1, 640), min(face.y1, 360), face.score)


@pytest.mark.parametrize("gap", [40.0, 10.0])
def test_two_faces_keep_apart(gap: float) -> None:
    left, right = tight(280, 160, 80), tight(280 + 80 + gap, 175, 80)
    frame = draw((640, 360), [left, right])
    detector, _ = green()
    [found] = detector.detect([frame])
    assert len(found) == 2
    known = [moved(square_box(right), -6, 4), moved(square_box(left), 5, -3)]
    ours = detector.follow(frame, known)
    assert apart(ours[0], square_box(right)) < 1.0
    assert apart(ours[1], square_box(left)) < 1.0
    assert detector.follow(frame, known[::-1]) == ours[::-1]


def test_of_two_faces_that_both_may_be_the_known_one_the_nearer_is_taken() -> None:
    left, right = tight(280, 170, 80), tight(370, 170, 80)
    detector, _ = green()
    known = [moved(square_box(left), 38, 0), moved(square_box(right), -38, 0)]
    first, second = detector.follow(draw((640, 360), [left, right]), known)
    assert apart(first, square_box(left)) < 1.0
    assert apart(second, square_box(right)) < 1.0


def test_faces_of_all_sizes_are_followed_at_once() -> None:
    faces = [tight(100, 120, 30), tight(330, 300, 240), tight(620, 150, 70), tight(800, 420, 45)]
    frame = draw((960, 540), faces)
    detector, _ = green()
    known = [moved(square_box(face), 2, 2) for face in faces]
    together = detector.follow(frame, known)
    assert together == [detector.follow(frame, [box])[0] for box in known]
    assert all(apart(box, square_box(face)) < 2 for box, face in zip(together, faces, strict=True))
    assert detector.follow(frame, []) == []


def test_what_is_gone_is_not_followed() -> None:
    detector, _ = green()
    face = tight(200, 150, 80)
    away = FaceBox(5000, 5000, 5080, 5080, 1.0)
    assert detector.follow(draw((640, 360), []), [square_box(face), away]) == [None, None]
    beside = moved(square_box(face), 75, 0)  # its square shows the face, but at its rim
    assert detector.follow(draw((640, 360), [face]), [beside, FaceBox(-60, -60, -20, -20, 1)]) == [None, None]


def test_what_only_the_second_look_finds_is_followed() -> None:
    face = tight(900, 500, 24)  # 8 pixels wide in the first look
    frame = draw((1920, 1080), [face])
    detector, network = green()
    [[found]] = detector.detect([frame])
    assert network.shown == [(368, 640), (1088, 1920), (64, 64)]
    [followed] = detector.follow(frame, [moved(found, 3, -2)])
    assert apart(followed, found) < 0.5
    assert apart(followed, square_box(face)) < 0.5


def test_cutouts_show_no_more_than_the_first_look_and_are_small() -> None:
    for side, scale in ((12, 1.0), (40, 1.0), (200, 1.0), (200, 1 / 3), (30, 1 / 3), (900, 1 / 3), (3000, 1 / 6)):
        cutout = Cutout.around(FaceBox(50, 60, 50 + side, 60 + side, 1), scale)
        shrunk = cutout.side / cutout.span
        assert cutout.side % 32 == 0
        assert cutout.side <= 192
        assert cutout.span >= 2 * side - 1
        assert shrunk * side <= 96.5
        assert shrunk <= max(scale, 32 / side) + 0.01
        assert shrunk <= 1


def test_beyond_the_frame_lies_the_mean_colour() -> None:
    frame = np.full((100, 100, 3), 7, np.uint8)
    seen = Cutout(-10, 80, 32, 32).apply(frame)
    assert (seen[:, :10] == MEAN).all()
    assert (seen[20:] == MEAN).all()
    assert (seen[:20, 10:] == 7).all()
    assert (Cutout(500, -700, 64, 32).apply(frame) == MEAN).all()


def test_threads_do_not_disturb_each_other() -> None:
    detector, _ = green()
    faces = [tight(150 + 20 * k, 150, 60 + 5 * k) for k in range(8)]
    frames = [draw((640, 360), [face]) for face in faces]
    known = [[moved(square_box(face), 3, 3)] for face in faces]
    alone = [detector.follow(frame, boxes) for frame, boxes in zip(frames, known, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.follow, frames, known)) == alone


Clip = Sequence[tuple[int, Sequence[FaceBox]]]  # per frame the shade of its ground, and its faces


def walking(k: int) -> FaceBox:
    """Across and towards the camera, and back."""
    swing = np.sin(k / 12)
    return tight(300 + 3.1 * k, 210 + 25 * swing, 120 + 18 * swing)


CLIPS: dict[str, Clip] = {
    "one face": [(60, [walking(k)]) for k in range(45)],
    "comes and goes": [(60, [walking(k)] if 14 <= k < 38 else []) for k in range(60)],
    "two faces": [
        (60, [walking(k), *([tight(640 - k, 330, 100)] if k > 7 else [])] if k < 31 else [tight(640 - k, 330, 100)])
        for k in range(44)
    ],
    "cutaway": [
        *((60, [walking(k)]) for k in range(23)),
        *((190, []) for _ in range(13)),
        *((60, [tight(420 + k, 260, 90)]) for k in range(26)),
    ],
}


def plan_of(detector: S3FDDetector | Searching, clip: Clip, size: Size = (960, 540)) -> FacePlan:
    frames = (draw(size, faces, (shade, shade, shade)) for shade, faces in clip)
    return plan_faces(frames, frame_size=size, fps=Fraction(25), detector=detector, settings=TrackerSettings())


@pytest.mark.parametrize("name", CLIPS)
def test_plans_are_the_same_as_by_searching_every_frame(name: str) -> None:
    clip, (detector, network) = CLIPS[name], green()
    searched = plan_of(Searching(detector), clip)
    assert searched.frame.tolist() == [k for k, (_, faces) in enumerate(clip) for _ in faces]
    whole = (368, 640)
    network.shown.clear()
    followed = plan_of(detector, clip)
    assert network.shown.count(whole) <= 0.1 * len(clip) + 2 * followed.shot_count
    for name_of in ("shots", "frame", "track"):
        assert np.array_equal(getattr(followed, name_of), getattr(searched, name_of))
    sizes = searched.boxes[:, 2] - searched.boxes[:, 0]
    assert (np.abs(followed.boxes[:, :4] - searched.boxes[:, :4]).max(axis=1) <= 0.01 * sizes).all()


def flop(size: Size, network: S3FD) -> int:
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, *size, device="meta"))
    return int(counter.get_total_flops())


def test_planning_costs_a_tenth_of_passes_at_full_size_at_most() -> None:
    clip = [(60, [tight(800 + 3 * k, 500, 260)]) for k in range(31)]
    detector, network = green()
    plan = plan_of(detector, clip, (1920, 1080))
    assert plan.frame.tolist() == list(range(31))
    with torch.device("meta"):
        s3fd = S3FD().requires_grad_(False)
    sizes = Counter(network.shown)
    assert (368, 640) in sizes
    spent = sum(count * flop(size, s3fd) for size, count in sizes.items())
    assert spent / len(clip) <= flop((1088, 1920), s3fd) / 10
