"""What landmarks and labels tell of a face: how far it reaches, what it is aligned by, where an enhancer sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.aligner import FaceAligner
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import GeneratorSpec
from musetalk.enhancers.alignment import face_view
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.crops.rotated_crop import fitted
from musetalk.faces.landmarks.marks import extent_of_landmarks, five_of_landmarks, landmarks_believed
from musetalk.faces.landmarks.point_smoothing import smooth_points
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.label_points import five_of_labels
from musetalk.faces.parsing.label_store import LabelStore
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFaces, ParsedFacesBuilder
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.pipeline.components import ComponentLoader
from musetalk.pipeline.parse import FaceReaders, parse_pictures
from musetalk.progress import Cancelled, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float64Array, UInt8Array
from tests.helpers.drawn import drawn_face, drawn_sample
from tests.helpers.drawn_labels import BASE, EYES, LIPS, draw
from tests.helpers.drawn_landmarks import mean_landmarks, write_landmarks

pytestmark = pytest.mark.slow

FACE = drawn_sample()
TEMPLATE = np.array([[193, 240], [319, 240], [256.6, 314], [201, 371], [313, 371]])  # eyes, nose, corners of 512
UNIT, MIDDLE, TOP = 300.0, 256.0, 70.0  # of the drawn labels


class TestLandmarks:
    def test_the_line_is_that_of_landmark_29_and_the_rest_the_outermost(self) -> None:
        landmarks = mean_landmarks(FACE.box)
        extent = extent_of_landmarks(landmarks)
        assert extent.line == landmarks[29, 1]
        assert (extent.left, extent.right) == (landmarks[0, 0], landmarks[16, 0])
        assert extent.chin == landmarks[8, 1]
        assert extent.above == pytest.approx(landmarks[29, 1] - landmarks[28, 1])
        assert extent.below == pytest.approx(landmarks[30, 1] - landmarks[29, 1])

    def test_latentsyncs_points_are_means_of_brows_and_nose(self) -> None:
        landmarks = mean_landmarks(FACE.box)
        wanted = [landmarks[part].mean(axis=0) for part in (slice(17, 22), slice(22, 27), slice(27, 36))]
        np.testing.assert_allclose(FaceAligner().of_landmarks(landmarks), wanted)

    def test_the_enhancers_five(self) -> None:
        landmarks = mean_landmarks(FACE.box)
        wanted = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0), *landmarks[[30, 48, 54]]]
        np.testing.assert_allclose(five_of_landmarks(landmarks), wanted)

    def test_what_cannot_be_the_face_is_not_believed(self) -> None:
        landmarks = mean_landmarks(FACE.box)
        assert landmarks_believed(landmarks, FACE.box)
        middle = landmarks.mean(axis=0)
        strange = (landmarks + 0.6 * FACE.box.width, middle + (landmarks - middle) * 0.3, landmarks * np.nan)
        assert not any(landmarks_believed(each, FACE.box) for each in strange)


class TestFiveOfLabels:
    def test_they_lie_where_they_were_drawn(self) -> None:
        found = five_of_labels(draw(UNIT, MIDDLE, TOP), BoxCropTransform(100, 40, 256, 256))
        assert found is not None
        eyes, lips, tip = TOP + EYES * UNIT, TOP + LIPS * UNIT, TOP + (EYES + 0.737 * (BASE - EYES)) * UNIT
        across = MIDDLE + np.array([-0.19, 0.19, 0, -0.17, 0.17]) * UNIT
        wanted = np.stack([across, [eyes, eyes, tip, lips, lips]], axis=1) / 2 + (100, 40)
        np.testing.assert_allclose(found, wanted, atol=2.5)

    @pytest.mark.parametrize("degrees", [-35, 20])
    def test_they_turn_with_the_face(self, degrees: float) -> None:
        matrix = cv2.getRotationMatrix2D((256, 256), degrees, 1.0)
        upright, whole = draw(240, 256, 120), BoxCropTransform(0, 0, 512, 512)
        turned = cv2.warpAffine(upright, matrix, (512, 512), flags=cv2.INTER_NEAREST)
        before, after = five_of_labels(upright, whole), five_of_labels(np.asarray(turned, np.uint8), whole)
        assert before is not None
        assert after is not None
        np.testing.assert_allclose(after, before @ matrix[:, :2].T + matrix[:, 2], atol=3)

    @pytest.mark.parametrize("gone", [FaceLabel.LEFT_EYE, FaceLabel.NOSE, FaceLabel.LOWER_LIP])
    def test_without_an_eye_the_nose_or_the_lips_nothing_is_told(self, gone: FaceLabel) -> None:
        assert five_of_labels(draw(without=(gone,)), BoxCropTransform(0, 0, 512, 512)) is None


class TestSteadyPoints:
    BOXES = (FaceBox(0, 0, 100, 100, 1),) * 9

    def test_gaps_are_filled_and_strays_left_out(self) -> None:
        true = np.array([[30.0, 40], [70, 40]])
        measured: list[Float64Array | None] = [true.copy() for _ in self.BOXES]
        measured[3], measured[6] = None, true + 40
        calm = smooth_points(measured, self.BOXES, sigma=1.5)
        assert calm is not None
        np.testing.assert_allclose(calm, np.tile(true, (9, 1, 1)), atol=1e-6)

    def test_without_any_measure_nothing_is_known(self) -> None:
        assert smooth_points([None] * 9, self.BOXES, sigma=1.5) is None


class TestFaceView:
    def test_a_similarity_is_found_again(self) -> None:
        points = np.array([[3.0, 4], [40, 9], [22, 31], [8, 44]])
        a, b, tx, ty = 0.8, -0.3, 12.0, 5.0
        moved = points @ np.array([[a, b], [-b, a]]) + (tx, ty)
        assert fitted(points, moved) == pytest.approx((a, b, tx, ty))

    @pytest.mark.parametrize("size", [256, 512])
    def test_known_points_come_to_their_places_whatever_the_box_says(self, size: int) -> None:
        true = TEMPLATE * 0.4 + (31, 17)
        box = FaceBox(10, 12, 190, 192, 1)  # too small, and off
        view = face_view(FaceSample(0, box, FACE.mouth), size, true)
        for point, place in zip(true, TEMPLATE * (size / 512), strict=True):
            assert view.point_in_crop(*point) == pytest.approx(place, abs=1.0)


class Landmarker:
    """Gives the mean face's landmarks in each box, but for some faces, whose are nowhere."""

    at_once, fingerprint = 2, "mean"

    def __init__(self, astray: Sequence[int] = ()) -> None:
        self.astray, self.seen = astray, 0

    def crop(self, frame: UInt8Array, box: FaceBox) -> UInt8Array:
        return frame[:8, :8].copy()

    def landmarks(
        self, crops: Sequence[UInt8Array], boxes: Sequence[FaceBox], check: Callable[[], None]
    ) -> Float64Array:
        check()
        found = []
        for box in boxes:
            found.append(mean_landmarks(box) + (900 if self.seen in self.astray else 0))
            self.seen += 1
        return np.stack(found)


class DrawnLabels:
    """Gives one face's labels."""

    at_once, fingerprint = 1, "drawn"

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        return np.stack([draw()] * len(crops))


def plan(count: int) -> FacePlan:
    box, mouth = FACE.box, FACE.mouth
    row = [box.x0, box.y0, box.x1, box.y1, 1.0]
    return FacePlan(
        count,
        320,
        320,
        np.zeros(count, np.int32),
        np.arange(count),
        np.zeros(count, np.int32),
        np.tile(np.array(row, np.float32), (count, 1)),
        np.tile(np.array([mouth.cx, mouth.cy, mouth.half_width, mouth.angle], np.float32), (count, 1)),
    )


def read(folder: Path, readers: FaceReaders, run: RenderRun | None = None, count: int = 6) -> ParsedFaces:
    pictures = [(number, drawn_face()) for number in range(count)]
    for number, picture in pictures:
        picture[:8, :8] = number  # no two are alike
    return parse_pictures(pictures, plan(count), readers, 1.5, folder=folder, run=run or RenderRun(), total=count)


class TestShapes:
    def test_landmarks_count_before_labels(self, tmp_path: Path) -> None:
        found = read(tmp_path, FaceReaders(DrawnLabels(), Landmarker(), FaceAligner(), five=True))
        landmarks = mean_landmarks(FACE.box)
        assert found.extent(2, FACE).line == pytest.approx(landmarks[29, 1])
        np.testing.assert_allclose(found.points(2, FACE), FaceAligner().of_landmarks(landmarks), atol=1e-4)
        np.testing.assert_allclose(found.five(2, FACE), five_of_landmarks(landmarks), atol=1e-4)
        assert found.parsed(2, FACE) is not None

    def test_they_do_without_labels(self, tmp_path: Path) -> None:
        found = read(tmp_path, FaceReaders(landmarker=Landmarker(), five=True))
        assert found.extent(2, FACE).line == pytest.approx(mean_landmarks(FACE.box)[29, 1])
        assert found.parsed(2, FACE) is None
        assert found.points(2, FACE) is None
        assert not list(tmp_path.iterdir())

    def test_where_they_go_astray_others_stand_in_and_it_is_said(self, tmp_path: Path) -> None:
        run = RenderRun()
        found = read(tmp_path, FaceReaders(landmarker=Landmarker(astray=(2, 3)), five=True), run)
        assert found.extent(2, FACE).line == pytest.approx(mean_landmarks(FACE.box)[29, 1])
        np.testing.assert_allclose(found.five(3, FACE), five_of_landmarks(mean_landmarks(FACE.box)), atol=1e-4)
        assert run.warnings == ("the landmarks of 2 of 6 faces cannot be theirs: neighbours stood in for them",)

    def test_without_landmarks_labels_tell_the_five(self, tmp_path: Path) -> None:
        found = read(tmp_path, FaceReaders(DrawnLabels(), five=True))
        np.testing.assert_allclose(found.five(2, FACE), five_of_labels(draw(), parsing_view(FACE.box)), atol=1e-4)
        assert read_nothing(tmp_path).five(2, FACE) is None

    def test_stop_ends_it(self, tmp_path: Path) -> None:
        run = RenderRun()
        run.cancel.cancel()
        with pytest.raises(Cancelled):
            read(tmp_path, FaceReaders(landmarker=Landmarker()), run)


def read_nothing(folder: Path) -> ParsedFaces:
    reader = ParsedFacesBuilder(LabelStore(folder / "none.bin"), five=True)
    reader.add(2, FACE, np.zeros((512, 512), np.uint8))
    return reader.finish(1.5)


class Painter:
    crop_size, clip_length, device = 256, 4, "cpu"

    def __init__(self, spec: GeneratorSpec) -> None:
        self.spec = spec

    def generate(self, clip: object) -> UInt8Array:
        raise AssertionError("nothing is painted here")


@pytest.mark.parametrize(("framing", "there"), [("halved", True), ("square", False)])
def test_they_are_loaded_where_somebody_asks_for_them(framing: str, there: bool, tmp_path: Path) -> None:
    spec = GeneratorSpec(framing="halved") if framing == "halved" else GeneratorSpec()
    registry = BackendRegistry((BackendSpec("one", "for tests", lambda _: Painter(spec)),))
    values = {"backend": "one", "models_dir": tmp_path, "network": {"device": "cpu"}, "detector": {"name": "haar"}}
    settings = RenderSettings.parse(values)
    loader = ComponentLoader(registry)
    with loader.lease(loader.check(settings)) as components:
        assert components.readers.idle
    write_landmarks(tmp_path)
    loader = ComponentLoader(registry)
    with loader.lease(loader.check(settings)) as components:
        assert (components.landmarker is not None) == there
    assert any("masks follow the boxes" in note for note in components.notes) == there
    assert not any("crops and masks" in note for note in components.notes)
