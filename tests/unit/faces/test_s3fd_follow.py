"""Following faces with S3FD, proved with a network that sees colored rectangles instead of faces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.faces.detection.s3fd import S3FDDetector
from musetalk.faces.detection.s3fd_boxes import square_box
from musetalk.faces.detection.s3fd_preprocess import MEAN, Cutout
from musetalk.faces.proportions import assumed_extent
from musetalk.faces.tracking.following import FollowingDetector
from musetalk.faces.types import FaceBox
from tests.helpers.green_faces import CPU, GreenNetwork, Searching, Size, draw, green, tight

pytestmark = pytest.mark.usefixtures("one_thread")


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
    """A quarter or half of the face is left; what lies beyond is the mean color to the network."""
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


def test_beyond_the_frame_lies_the_mean_color() -> None:
    frame = np.full((100, 100, 3), 7, np.uint8)
    seen = Cutout(-10, 80, 32, 32).apply(frame)
    assert (seen[:, :10] == MEAN[::-1]).all()
    assert (seen[20:] == MEAN[::-1]).all()
    assert (seen[:20, 10:] == 7).all()
    assert (Cutout(500, -700, 64, 32).apply(frame) == MEAN[::-1]).all()


def test_threads_do_not_disturb_each_other() -> None:
    detector, _ = green()
    faces = [tight(150 + 20 * k, 150, 60 + 5 * k) for k in range(8)]
    frames = [draw((640, 360), [face]) for face in faces]
    known = [[moved(square_box(face), 3, 3)] for face in faces]
    alone = [detector.follow(frame, boxes) for frame, boxes in zip(frames, known, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.follow, frames, known)) == alone
