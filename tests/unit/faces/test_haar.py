from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from musetalk.errors import PackageError
from musetalk.faces.detection.haar import MAX_SIDE, HaarDetector
from musetalk.faces.tracking.following import FollowingDetector
from musetalk.faces.types import FaceBox
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.errors import raises_kind

pytestmark = pytest.mark.slow

EYES_AND_MOUTH = ((201, 101), (248, 103), (224, 146))  # pixels of the portrait


@pytest.fixture(scope="module")
def portrait() -> UInt8Array:
    picture = cv2.imread(str(PORTRAIT))
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector() -> HaarDetector:
    return HaarDetector(DetectorSettings())


@pytest.fixture(scope="module")
def found(detector: HaarDetector, portrait: UInt8Array) -> FaceBox:
    [[box]] = detector.detect([portrait])
    return box


def changed(picture: UInt8Array, angle: float = 0, scale: float = 1, dx: float = 0, dy: float = 0) -> UInt8Array:
    """The portrait turned clockwise and scaled about the nose, then moved."""
    matrix = cv2.getRotationMatrix2D((224, 122), -angle, scale)
    matrix[:, 2] += dx, dy
    return np.asarray(
        cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def close(box: FaceBox | None, wanted: FaceBox, within: float = 0.08) -> bool:
    """Whether the edges differ by less than a fraction of the wanted width."""
    assert box is not None
    pairs = ((box.x0, wanted.x0), (box.y0, wanted.y0), (box.x1, wanted.x1), (box.y1, wanted.y1))
    return all(abs(a - b) < within * wanted.width for a, b in pairs)


def scaled(box: FaceBox, factor: float) -> FaceBox:
    return FaceBox(box.x0 * factor, box.y0 * factor, box.x1 * factor, box.y1 * factor, box.score)


def moved(box: FaceBox, dx: float, dy: float) -> FaceBox:
    return FaceBox(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy, box.score)


def test_the_one_face_is_found_where_it_is(found: FaceBox) -> None:
    assert all(found.x0 < x < found.x1 and found.y0 < y < found.y1 for x, y in EYES_AND_MOUTH)
    assert 85 < found.width < 120
    assert abs(found.center[0] - 224) < 8
    assert found.score > 50


@pytest.mark.parametrize("factor", [0.4, 0.7, 2.5])
def test_boxes_are_in_pixels_of_the_frame_given(
    detector: HaarDetector, portrait: UInt8Array, found: FaceBox, factor: float
) -> None:
    resized = np.asarray(cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    [[box]] = detector.detect([resized])
    assert close(box, scaled(found, factor))


@pytest.mark.parametrize("angle", [-28, -20, -10, 10, 20, 28])
def test_tilted_heads_are_found(detector: HaarDetector, portrait: UInt8Array, found: FaceBox, angle: float) -> None:
    [[box]] = detector.detect([changed(portrait, angle)])
    assert close(box, found, within=0.2)


def test_two_faces_are_found(detector: HaarDetector, portrait: UInt8Array, found: FaceBox) -> None:
    [boxes] = detector.detect([np.hstack([portrait, portrait[:, ::-1]])])
    left, right = sorted(boxes, key=lambda box: box.x0)
    assert close(left, found)
    assert abs(right.center[0] - (1024 - found.center[0])) < 8


def test_frames_do_not_influence_each_other(detector: HaarDetector, portrait: UInt8Array) -> None:
    frames = [portrait, changed(portrait, dx=60, dy=30)]
    assert detector.detect(frames) == [*detector.detect(frames[:1]), *detector.detect(frames[1:])]
    assert detector.detect(frames[::-1]) == detector.detect(frames)[::-1]
    assert detector.detect([]) == []


def test_a_frame_is_left_as_it_is(detector: HaarDetector, portrait: UInt8Array) -> None:
    before = portrait.copy()
    portrait.setflags(write=False)
    detector.detect([portrait])
    np.testing.assert_array_equal(portrait, before)


def test_what_is_no_face_is_not_found(detector: HaarDetector, portrait: UInt8Array) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    below = np.ascontiguousarray(portrait[185:])
    lying = np.ascontiguousarray(np.rot90(portrait))
    for frame in (noise, below, lying, np.zeros((200, 300, 3), np.uint8)):
        assert detector.detect([frame]) == [[]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (19, 19), (64, 64)])
def test_tiny_frames_have_no_face(detector: HaarDetector, shape: tuple[int, int]) -> None:
    assert detector.detect([np.full((*shape, 3), 90, np.uint8)]) == [[]]


def test_faces_below_the_least_size_are_not_looked_for(portrait: UInt8Array) -> None:
    assert HaarDetector(DetectorSettings(min_face=0.35)).detect([portrait]) == [[]]


def test_a_face_scores_less_the_less_there_is_of_it(
    detector: HaarDetector, portrait: UInt8Array, found: FaceBox
) -> None:
    dimmed = portrait.copy()
    dimmed[:, 224:] = dimmed[:, 224:] * 0.4  # one half in deep shade
    [[box]] = detector.detect([dimmed])
    assert box.score < found.score


@pytest.mark.parametrize(("dx", "dy", "scale"), [(0, 0, 1), (14, -9, 1), (0, 6, 1.12), (-8, 0, 0.9)])
def test_a_known_face_is_followed(
    detector: HaarDetector, portrait: UInt8Array, found: FaceBox, dx: float, dy: float, scale: float
) -> None:
    frame = changed(portrait, scale=scale, dx=dx, dy=dy)
    [box] = detector.follow(frame, [found])
    [[searched]] = detector.detect([frame])
    assert close(box, searched, within=0.06)


def test_a_tilting_head_is_followed(detector: HaarDetector, portrait: UInt8Array, found: FaceBox) -> None:
    [box] = detector.follow(changed(portrait, 25), [found])
    assert close(box, found, within=0.2)


def test_what_is_gone_is_not_followed(detector: HaarDetector, portrait: UInt8Array, found: FaceBox) -> None:
    covered = portrait.copy()
    covered[60:190, 150:300] = 120
    far = moved(found, 200, 200)
    assert detector.follow(covered, [found, far]) == [None, None]
    first, second = detector.follow(portrait, [far, found])
    assert first is None
    assert close(second, found)
    assert detector.follow(portrait, [FaceBox(-90, -90, -20, -20, 1), FaceBox(700, 700, 800, 800, 1)]) == [None, None]


def test_it_is_a_detector_that_follows(detector: HaarDetector) -> None:
    assert isinstance(detector, FollowingDetector)


def test_the_fingerprint_tells_settings_apart() -> None:
    settings = [DetectorSettings(), DetectorSettings(max_side=640), DetectorSettings(min_face=0.1)]
    assert len({HaarDetector(item).fingerprint for item in settings}) == 3
    assert HaarDetector(settings[0]).fingerprint == HaarDetector(DetectorSettings()).fingerprint


def test_its_frames_have_a_size_of_their_own_unless_settings_say_otherwise() -> None:
    assert HaarDetector(DetectorSettings()).max_side == MAX_SIDE == 480
    wanted = HaarDetector(DetectorSettings(max_side=480))
    assert wanted.fingerprint == HaarDetector(DetectorSettings()).fingerprint
    assert HaarDetector(DetectorSettings(max_side=960)).max_side == 960


def test_missing_cascades_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.zeros((50, 50, 3), np.uint8)
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with raises_kind(PackageError, path=tmp_path / "haarcascade_frontalface_alt2.xml"):
        HaarDetector(DetectorSettings()).detect([frame])
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with raises_kind(PackageError, path=None):
        HaarDetector(DetectorSettings()).detect([frame])
