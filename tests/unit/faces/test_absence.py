"""Why no face was found is said where it can be told, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from musetalk.faces.absence import Absence, explain_absence, turned_by, upside_down
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.types import FaceBox
from musetalk.media.probe import probe_source
from musetalk.pipeline.no_face_error import absence_note, no_face_error
from musetalk.progress import CancelToken
from musetalk.settings import DetectorSettings, Limits
from musetalk.utils.arrays import UInt8Array
from tests.helpers.media import write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector(DetectorSettings())


def why(haar: HaarDetector, frame: UInt8Array) -> Absence:
    assert haar.detect([frame]) == [[]]
    absence = explain_absence([frame], haar)
    assert absence is not None
    return absence


@pytest.mark.parametrize(
    ("turned", "back", "words"),
    [
        (90, 270, ("on their side", "90 degrees counterclockwise")),
        (180, 180, ("upside down", "180 degrees")),
        (270, 90, ("on their side", "90 degrees clockwise")),
    ],
)
def test_turned_faces(
    haar: HaarDetector, small_portrait: UInt8Array, turned: int, back: int, words: tuple[str, str]
) -> None:
    frame = turned_by(small_portrait, turned)
    absence = why(haar, frame)
    assert absence.turn == back
    assert words[0] in absence.reason
    assert absence.remedy == f"turn it by {words[1]}"
    assert haar.detect([turned_by(frame, absence.turn)])[0]


def test_faces_that_are_found_upside_down_are_told_from_upright_ones(small_portrait: UInt8Array) -> None:
    turned = turned_by(small_portrait, 180)
    absence = upside_down([turned])
    assert absence is not None
    assert (absence.turn, absence.remedy) == (180, "turn it by 180 degrees")
    assert upside_down([small_portrait]) is None
    assert upside_down([turned, small_portrait]) is None
    assert upside_down([np.zeros_like(small_portrait)]) is None
    assert upside_down([]) is None


class Undecided:
    """Finds a face however a frame is turned, as networks do, and the better the less it is upright."""

    fingerprint = "undecided"
    max_side = 480

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        self.calls += 1
        return [[FaceBox(10, 10, 90, 90, 0.9 + self.calls / 100)] for _ in frames]


def test_the_way_back_is_not_left_to_a_detector_that_takes_any(small_portrait: UInt8Array) -> None:
    absence = explain_absence([turned_by(small_portrait, 90)], Undecided())
    assert absence is not None
    assert absence.turn == 270


def test_light(haar: HaarDetector, small_portrait: UInt8Array) -> None:
    dark = why(haar, (small_portrait * 0.1).astype(np.uint8))
    assert "very dark" in dark.reason
    assert "brighten" in dark.remedy
    bright = why(haar, (230 + small_portrait * 0.09).astype(np.uint8))
    assert "over-exposed" in bright.reason
    assert "one colour" in why(haar, np.full_like(small_portrait, 90)).reason


def test_focus(haar: HaarDetector, small_portrait: UInt8Array) -> None:
    blurred = np.asarray(cv2.GaussianBlur(small_portrait, (0, 0), 9), np.uint8)
    assert "blurred" in why(haar, blurred).reason


def test_small_faces(haar: HaarDetector, portrait: Path) -> None:
    frame = np.full((720, 1280, 3), 120, np.uint8)
    picture = Image.open(portrait).convert("RGB")
    picture = picture.resize((100, round(100 * picture.height / picture.width)))
    frame[300 : 300 + picture.height, 560:660] = np.asarray(picture)
    absence = why(haar, frame)
    assert "too small" in absence.reason
    assert "of 1280 pixels" in absence.reason
    assert "crop it" in absence.remedy


def test_what_is_not_known_is_not_guessed(haar: HaarDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    assert explain_absence([noise], haar) is None
    assert explain_absence([], haar) is None
    assert absence_note(noise, haar, CancelToken()) == ""


def test_one_odd_look_is_not_believed(haar: HaarDetector, small_portrait: UInt8Array) -> None:
    noise = np.random.default_rng(0).integers(0, 255, small_portrait.shape).astype(np.uint8)
    assert explain_absence([turned_by(small_portrait, 180), noise], haar) is None
    absence = explain_absence([noise, turned_by(small_portrait, 180), turned_by(small_portrait, 180)], haar)
    assert absence is not None
    assert absence.turn == 180


def test_there_may_be_no_time_to_look(haar: HaarDetector, small_portrait: UInt8Array) -> None:
    assert explain_absence([turned_by(small_portrait, 90)], haar, lambda: False) is None


def test_the_error_says_how_a_video_is_turned(haar: HaarDetector, small_portrait: UInt8Array, tmp_path: Path) -> None:
    frames = np.stack([turned_by(small_portrait, 90)] * 6)
    source = probe_source(write_video(tmp_path / "side.mp4", frames), Limits(), fps=None)
    text = str(no_face_error(source, 6, haar, CancelToken()))
    assert text.startswith('no face was found in "side.mp4" (there are faces, but they are on their side): turn it')
    assert text.endswith('ffmpeg -i "side.mp4" -vf transpose=2 turned.mp4')
    Image.fromarray(frames[0]).save(tmp_path / "side.png")
    still = probe_source(tmp_path / "side.png", Limits(), fps=None)
    assert "ffmpeg" not in str(no_face_error(still, 1, haar, CancelToken()))
    assert absence_note(frames[0], haar, CancelToken()).startswith("There are faces, but they are on their side: turn")
