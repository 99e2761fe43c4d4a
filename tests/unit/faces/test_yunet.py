"""YuNet through OpenCV's `FaceDetectorYN`, with a small network in its format that takes blue squares for faces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from musetalk.backends.registry import BackendRegistry
from musetalk.errors import CheckpointError
from musetalk.faces.detection.yunet import YuNetDetector
from musetalk.faces.tracking.following import FollowingDetector, SearchingDetector
from musetalk.faces.types import FaceBox
from musetalk.pipeline.components import ComponentLoader
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.catalog import YUNET
from tests.helpers.errors import raises_kind
from tests.helpers.onnx_small import POINTS, SIDE, write_yunet

pytestmark = pytest.mark.slow

BLUE, RED = (0, 0, 255), (255, 0, 0)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yunet(tmp_path_factory.mktemp("models") / YUNET.path)


@pytest.fixture(scope="module")
def detector(network: Path) -> YuNetDetector:
    return YuNetDetector(DetectorSettings(), network)


def picture(*squares: tuple[int, int], side: int = SIDE, size: tuple[int, int] = (320, 320)) -> UInt8Array:
    """Black with blue squares around (x, y): uint8 RGB."""
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in squares:
        frame[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = BLUE
    return frame


def check(box: FaceBox | None, x: float, y: float, scale: float = 1.0) -> None:
    assert box is not None
    assert box.points is not None
    assert box.center == pytest.approx((x, y), abs=6 * scale)
    assert (box.width, box.height) == pytest.approx((96 * scale, 96 * scale), rel=0.05)
    np.testing.assert_allclose(box.points.array(), POINTS * scale + (x, y), atol=6 * scale)


def test_a_face_is_found_with_its_points_and_the_box_of_every_detector(detector: YuNetDetector) -> None:
    [[box]] = detector.detect([picture((150, 130))])
    check(box, 150, 130)
    assert 0.9 < box.score <= 1


def test_it_is_given_colors_in_opencvs_order(detector: YuNetDetector) -> None:
    red = picture((150, 130))[:, :, ::-1]
    assert detector.detect([np.ascontiguousarray(red)]) == [[]]


def test_large_frames_are_looked_at_in_small(detector: YuNetDetector) -> None:
    [[box]] = detector.detect([picture((900, 600), side=4 * SIDE, size=(1280, 1000))])
    check(box, 900, 600, 4)


def test_frames_stand_alone_and_faces_are_told_apart(detector: YuNetDetector) -> None:
    frames = [picture((80, 80), (230, 200)), picture(), picture((150, 130), size=(300, 200))]
    [both, none, one] = detector.detect(frames)
    check(min(both, key=lambda box: box.x0), 80, 80)
    check(max(both, key=lambda box: box.x0), 230, 200)
    assert none == []
    assert [one] == detector.detect(frames[2:])


def test_known_faces_are_followed(detector: YuNetDetector) -> None:
    frame = picture((150, 130))
    [[known]] = detector.detect([frame])
    moved, gone = detector.follow(picture((162, 122)), [known, known.moved(150, 150)])
    check(moved, 162, 122)
    assert gone is None
    assert isinstance(detector, FollowingDetector)
    assert isinstance(detector, SearchingDetector)
    assert [box.center for box in detector.search([frame])[0]] == [pytest.approx((150, 130), abs=6)]


def test_faces_below_the_least_size_are_passed_over(network: Path) -> None:
    assert YuNetDetector(DetectorSettings(min_face=0.4), network).detect([picture((150, 130))]) == [[]]


def test_threads_share_it(detector: YuNetDetector) -> None:
    frames = [picture((120 + 8 * step, 130), size=(320, 240 + 20 * step)) for step in range(3)]
    alone = [detector.detect([frame]) for frame in frames]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda frame: detector.detect([frame]), frames)) == alone


def test_it_is_loaded_where_settings_name_it(network: Path) -> None:
    wanted = DetectorSettings.model_validate({"name": "yunet", "max_side": 640})
    with ComponentLoader(BackendRegistry()).detector(wanted, "auto", network.parents[1]) as detector:
        assert detector.fingerprint.startswith("yunet-1 max_side=640 min_face=0.08 weights=")
        assert detector.max_side == 640


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with raises_kind(CheckpointError, path=tmp_path / "x.onnx"):
        YuNetDetector(DetectorSettings(), tmp_path / "x.onnx")
