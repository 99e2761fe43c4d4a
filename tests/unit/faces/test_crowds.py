"""Plans of crowds: only faces that can be chosen are followed, and what they cost is counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from musetalk.assets import PORTRAIT
from musetalk.errors import Cancelled
from musetalk.faces.detection import haar, mtcnn_networks
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.detection.haar_cascades import Cascades
from musetalk.faces.detection.mtcnn import MtcnnDetector
from musetalk.faces.detection.s3fd import S3FDDetector
from musetalk.faces.detection.s3fd_boxes import find_boxes
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.following import ANY_FACE, search_frames
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceBox, FaceDetector, Sought
from musetalk.media.pictures.decoding import read_image
from musetalk.progress import CancelToken
from musetalk.settings import DetectorSettings, FaceChoice, TrackerSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.green_faces import STRIDES, draw, green, tight

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, FRAMES = 640, 360, 24
CHOICES: tuple[FaceChoice, ...] = ("largest", "leftmost", "rightmost", (400.0, 300.0))


def crowd(frame: int, *, late: int = 0) -> list[FaceBox]:
    """Sixty faces that sway, one of them larger than the others; the larger one comes at frame `late`."""
    sway = 4 * math.sin(frame / 9)
    faces = []
    for number in range(60):
        row, column = divmod(number, 12)
        larger = number == 27
        x, y, side = 12 + 52 * column + sway, 20 + 68 * row - sway, 44.0 if larger else 26.0 + number % 5
        if not larger or frame >= late:
            faces.append(FaceBox(x, y, x + side, y + side, 50.0 - number / 10))
    return faces


class Crowd:
    """Finds what `crowd` says; counts the work."""

    fingerprint = "crowd"
    max_side = 640

    def __init__(self, faces: Sequence[Sequence[FaceBox]]) -> None:
        self.faces = faces
        self.searched = 0
        self.followed = 0

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        self.searched += len(frames)
        return [list(self.faces[number_of(frame)]) for frame in frames]

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        self.followed += len(boxes)
        here = self.faces[number_of(frame)]
        return [next((face for face in here if math.dist(face.center, box.center) < 13), None) for box in boxes]


def number_of(frame: UInt8Array) -> int:
    return int(frame[0, 0, 0])


def planned(detector: FaceDetector, choice: FaceChoice, cancel: CancelToken | None = None) -> FacePlan:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)

    def frames() -> Iterator[UInt8Array]:
        for number in range(FRAMES):
            frame[0, 0] = number
            yield frame

    return plan_faces(
        frames(),
        frame_size=(WIDTH, HEIGHT),
        fps=Fraction(25),
        detector=detector,
        settings=TrackerSettings(smoothing_seconds=0),
        choice=choice,
        cancel=cancel,
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_a_crowd_costs_at_most_twice_one_face(choice: FaceChoice) -> None:
    alone = Crowd([crowd(frame)[27:28] for frame in range(FRAMES)])
    planned(alone, choice)
    many = Crowd([crowd(frame) for frame in range(FRAMES)])
    planned(many, choice)
    assert many.searched == alone.searched
    assert alone.followed <= many.followed <= 2 * alone.followed


@pytest.fixture(scope="module")
def every() -> FacePlan:
    """With each face followed."""
    detector = Crowd([crowd(frame) for frame in range(FRAMES)])
    plan = planned(detector, "all")
    assert detector.followed >= 60 * FRAMES / 2  # at rest in every other frame, at most
    return plan


@pytest.mark.parametrize("choice", CHOICES)
def test_the_chosen_face_is_measured_in_every_frame(every: FacePlan, choice: FaceChoice) -> None:
    plan = planned(Crowd([crowd(frame) for frame in range(FRAMES)]), choice).select(choice)
    assert plan.frame.tolist() == list(range(FRAMES))
    np.testing.assert_allclose(plan.boxes, every.select(choice).boxes, atol=0.1)


def test_the_others_are_on_their_way_between_two_searches(every: FacePlan) -> None:
    plan = planned(Crowd([crowd(frame) for frame in range(FRAMES)]), "leftmost")
    assert len(plan.tracks) == len(every.tracks) == 60
    assert plan.frame.tolist() == every.frame.tolist()
    assert np.abs(plan.boxes[:, :4] - every.boxes[:, :4]).max() < 2  # pixels, of faces of 26 and more


def test_one_that_comes_late_is_followed_from_its_first_frame() -> None:
    detector = Crowd([crowd(frame, late=14) for frame in range(FRAMES)])
    plan = planned(detector, "largest")
    summary = max(plan.tracks, key=lambda track: track.box.area)
    assert (summary.first, summary.last) == (14, FRAMES - 1)
    rows = plan.boxes[plan.track == summary.track]
    true = [crowd(frame)[27] for frame in range(14, FRAMES)]
    np.testing.assert_allclose(rows[:, 0], [face.x0 for face in true], atol=0.1)


def test_a_stop_is_heeded_within_a_look() -> None:
    cancel = CancelToken()

    class Stopped(Crowd):
        def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
            cancel.cancel()
            return super().follow(frame, boxes)

    detector = Stopped([crowd(frame) for frame in range(FRAMES)])
    with pytest.raises(Cancelled):
        planned(detector, "largest", cancel)
    assert detector.searched == 2
    assert detector.followed <= 2


def portraits(count: int) -> UInt8Array:
    """So many faces of one portrait in a frame of 480 x 270; one in the middle is larger."""
    head = read_image(PORTRAIT)[50:185, 160:290]
    frame = np.full((270, 480, 3), 110, np.uint8)
    for number in range(60) if count > 1 else [27]:
        width = 40 if number == 27 else 33
        small = cv2.resize(head, (width, width + 2), interpolation=cv2.INTER_AREA)
        row, column = divmod(number, 12)
        frame[54 * row + 6 : 54 * row + width + 8, 40 * column : 40 * column + width] = small
    return frame


def counted_plan(detector: FaceDetector, count: int) -> FacePlan:
    picture = portraits(count)

    def frames() -> Iterator[UInt8Array]:
        for number in range(31):
            yield np.roll(picture, number % 2, axis=1)

    return plan_faces(
        frames(),
        frame_size=(480, 270),
        fps=Fraction(25),
        detector=detector,
        settings=TrackerSettings(),
        choice="largest",
    )


def test_mtcnn_is_shown_no_more_than_thrice_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a second and a quarter: a search ends at the faces that come first."""
    shown: list[int] = []
    run = mtcnn_networks._run

    def counting(network: object, pictures: UInt8Array, outputs: Sequence[str]) -> object:
        shown.append(int(pictures.shape[0]) * int(pictures.shape[1]) * int(pictures.shape[2]))
        return run(network, pictures, outputs)  # type: ignore[arg-type]

    monkeypatch.setattr(mtcnn_networks, "_run", counting)
    detector, spent = MtcnnDetector(DetectorSettings()), []
    for count in (1, 60):
        shown.clear()
        plan = counted_plan(detector, count).select("largest")
        assert plan.frame.tolist() == list(range(31))
        assert plan.boxes[:, :2].mean(axis=0) == pytest.approx((124.5, 118), abs=3)
        spent.append(sum(shown))
    assert spent[1] <= 3 * spent[0]


def test_haar_measures_few_faces_of_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[FaceBox] = []
    measure = haar._measure

    def counting(cascades: Cascades, gray: UInt8Array, expected: FaceBox) -> FaceBox | None:
        measured.append(expected)
        return measure(cascades, gray, expected)

    monkeypatch.setattr(haar, "_measure", counting)
    detector, sought = HaarDetector(DetectorSettings()), Sought(3, lambda face: face.center[0])
    [found] = detector.search([portraits(60)], sought)
    assert len(found) >= 3
    assert max(face.center[0] for face in found) < 100  # the leftmost ones
    assert len(measured) <= 6


def test_any_face_is_enough_for_a_first_look() -> None:
    detector = HaarDetector(DetectorSettings())
    assert len(search_frames(detector, [portraits(60)], ANY_FACE)[0]) == 1


@pytest.mark.parametrize("choice", ["leftmost", (460.0, 250.0)])
def test_each_choice_finds_its_face_in_a_crowd(choice: FaceChoice) -> None:
    detector = MtcnnDetector(DetectorSettings())
    plan = plan_faces(
        [portraits(60)] * 2,
        frame_size=(480, 270),
        fps=Fraction(25),
        detector=detector,
        settings=TrackerSettings(),
        choice=choice,
    ).select(choice)
    middles = (plan.boxes[:, :2] + plan.boxes[:, 2:4]) / 2
    assert len(plan.frame) == 2
    if choice == "leftmost":
        assert (middles[:, 0] < 40).all()
    else:
        assert (np.abs(middles - (460, 237)) < 12).all()


@pytest.mark.usefixtures("one_thread")
def test_s3fd_looks_at_no_more_than_twice_the_pixels() -> None:
    spent = []
    for faces in ([27], range(60)):
        detector, network = green()
        boxes = [tight(30 + 52 * (n % 12), 40 + 66 * (n // 12), 40 if n == 27 else 24) for n in faces]
        picture = draw((WIDTH, HEIGHT), boxes)
        plan = plan_faces(
            [picture] * 21,
            frame_size=(WIDTH, HEIGHT),
            fps=Fraction(25),
            detector=detector,
            settings=TrackerSettings(),
            choice="largest",
        )
        assert len(plan.tracks) == len(boxes)
        spent.append(sum(height * width for height, width in network.shown))
    assert spent[1] <= 2 * spent[0]


def test_noise_is_searched_once_and_is_not_measured() -> None:
    """A network that sees a face at every place."""
    shown: list[int] = []

    def network(x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        shown.append(x.shape[2] * x.shape[3])
        random = torch.Generator().manual_seed(1)
        sizes = [(1, channels, x.shape[2] // stride, x.shape[3] // stride) for stride in STRIDES for channels in (2, 4)]
        heads = iter([torch.randn(size, generator=random) for size in sizes])
        return [(logits, offsets) for logits, offsets in zip(heads, heads, strict=True)]

    detector = S3FDDetector(network, device=torch.device("cpu"))  # type: ignore[arg-type]
    [found] = search_frames(detector, [np.zeros((384, 640, 3), np.uint8)])
    assert 0 < len(found) <= 256
    assert shown == [384 * 640]
    [boxes] = find_boxes(network(torch.zeros(1, 3, 384, 640)))
    assert len(boxes) <= 5000
