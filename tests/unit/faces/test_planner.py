from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import Cancelled
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceBox, Sought
from musetalk.progress import CancelToken
from musetalk.settings import FaceChoice, TrackerSettings
from musetalk.utils.arrays import UInt8Array

Script = Mapping[int, Sequence[FaceBox]]
HEIGHT, WIDTH = 48, 64


def frames_of(shades: Sequence[int]) -> Iterator[UInt8Array]:
    """Flat frames in one shared buffer; the first pixel carries the frame's number, a new shade is a cut."""
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for index, shade in enumerate(shades):
        frame[:] = shade
        frame[0, 0] = index // 256, index % 256, 0
        yield frame


def number_of(frame: UInt8Array) -> int:
    return int(frame[0, 0, 0]) * 256 + int(frame[0, 0, 1])


class Scripted:
    """Finds in each frame what the script says."""

    fingerprint = "scripted"
    max_side = 480

    def __init__(self, script: Script) -> None:
        self.script = script
        self.searched: list[int] = []

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        numbers = [number_of(frame) for frame in frames]
        self.searched += numbers
        return [list(self.script.get(number, [])) for number in numbers]


class Following(Scripted):
    """Also finds what lies near a known place."""

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        here = self.script.get(number_of(frame), [])
        return [next((face for face in here if abs(face.x0 - box.x0) < 6), None) for box in boxes]


class Searching(Following):
    """Its search is cheaper than a look at each face; tells in which frames faces were followed."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.followed: list[int] = []

    def search(self, frames: Sequence[UInt8Array], _sought: Sought | None = None) -> list[list[FaceBox]]:
        return self.detect(frames)

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        self.followed.append(number_of(frame))
        return super().follow(frame, boxes)


def face(x: float, score: float = 50) -> FaceBox:
    return FaceBox(x, 10, x + 12, 22, score)


def held(pictures: int, each: int) -> Iterator[UInt8Array]:
    """Every picture several times in a row."""
    for frame in frames_of([90] * pictures):
        for _ in range(each):
            yield frame


@pytest.mark.parametrize("detector", [Scripted, Following])
@pytest.mark.parametrize(("pictures", "each"), [(6, 25), (40, 2), (12, 3)])
def test_a_picture_that_is_repeated_is_looked_at_once_and_its_face_holds_still(
    detector: type[Scripted], pictures: int, each: int
) -> None:
    seen = detector({k: [face(20 + k % 3)] for k in range(pictures)})
    plan = plan_faces(
        held(pictures, each),
        frame_size=(WIDTH, HEIGHT),
        fps=Fraction(25),
        detector=seen,
        settings=TrackerSettings(),
    )
    assert len(seen.searched) == len(set(seen.searched))
    assert frames_with_face(plan) == list(range(pictures * each))
    boxes = plan.boxes.reshape(pictures, each, 5)
    assert (boxes == boxes[:, :1]).all()
    if each == 25:  # longer than what is smoothed over
        np.testing.assert_allclose(boxes[:, 0, 0], [20 + k % 3 for k in range(pictures)], atol=0.05)


def plan_of(detector: Scripted, shades: Sequence[int], **options: object) -> FacePlan:
    settings = TrackerSettings(**options)  # type: ignore[arg-type]
    return plan_faces(
        frames_of(shades), frame_size=(WIDTH, HEIGHT), fps=Fraction(25), detector=detector, settings=settings
    )


def frames_with_face(plan: FacePlan) -> list[int]:
    return sorted(set(plan.frame.tolist()))


def test_boxes_come_out_in_source_pixels() -> None:
    detector = Scripted({k: [face(20)] for k in range(8)})
    plan = plan_faces(
        frames_of([90] * 8),
        frame_size=(WIDTH * 3, HEIGHT * 2),
        fps=Fraction(30000, 1001),
        detector=detector,
        settings=TrackerSettings(),
    )
    assert (plan.frame_count, plan.width, plan.height) == (8, 192, 96)
    assert (plan.boxes == np.float32([60, 20, 96, 44, 50])).all()
    assert np.isfinite(plan.mouths).all()
    assert ((plan.mouths[:, 0] > 60) & (plan.mouths[:, 0] < 96)).all()
    assert ((plan.mouths[:, 1] > 20) & (plan.mouths[:, 1] < 50)).all()


def test_cuts_part_the_tracks_and_are_never_bridged() -> None:
    shades = [40] * 20 + [200] * 20
    script = {k: [face(20)] for k in range(40) if not 17 <= k < 24}
    plan = plan_of(Following(script), shades, bridge_frames=20)
    assert plan.shots.tolist() == [0] * 20 + [1] * 20
    assert frames_with_face(plan) == [*range(17), *range(24, 40)]
    assert [(summary.shot, summary.first, summary.last) for summary in plan.tracks] == [(0, 0, 16), (1, 24, 39)]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    holes=st.sets(st.integers(0, 120), max_size=40),
    following=st.booleans(),
    bridge=st.integers(0, 15),
)
def test_every_frame_is_planned_once_and_faces_stay_in_their_shot(
    lengths: list[int], holes: set[int], following: bool, bridge: int
) -> None:
    shades = [shade for number, length in enumerate(lengths) for shade in [40 + 160 * (number % 2)] * length]
    script = {k: [face(20)] for k in range(len(shades)) if k not in holes}
    detector = Following(script) if following else Scripted(script)
    plan = plan_of(detector, shades, bridge_frames=bridge)
    assert plan.frame_count == len(shades)
    assert plan.shots.tolist() == [number for number, length in enumerate(lengths) for _ in range(length)]
    for summary in plan.tracks:
        own = plan.frame[plan.track == summary.track]
        assert {plan.shot(int(frame)) for frame in own} == {summary.shot}
        assert {summary.first, summary.last} <= set(script)  # the ends of a track were seen, not made up


def test_every_frame_is_searched_where_the_detector_cannot_follow() -> None:
    detector = Scripted({})
    plan = plan_of(detector, [40] * 33 + [200] * 4)
    assert detector.searched == list(range(37))
    assert plan.face_frames == 0


def test_a_detector_that_follows_searches_few_frames_and_loses_nothing() -> None:
    script = {k: [face(10 + 0.3 * k)] for k in range(100)}
    detector = Following(script)
    plan = plan_of(detector, [40] * 100)
    assert frames_with_face(plan) == list(range(100))
    assert len(detector.searched) < 15
    np.testing.assert_allclose(plan.boxes[:, 0], 10 + 0.3 * np.arange(100), atol=1e-2)


@pytest.mark.parametrize(("first", "last"), [(3, 58), (7, 44), (20, 31)])
def test_a_face_that_comes_and_goes_is_followed_to_both_ends(first: int, last: int) -> None:
    plan = plan_of(Following({k: [face(20)] for k in range(first, last + 1)}), [40] * 60)
    assert frames_with_face(plan) == list(range(first, last + 1))


def test_a_second_face_that_comes_later_is_found() -> None:
    script = {k: [face(5), *([face(40)] if k >= 15 else [])] for k in range(40)}
    plan = plan_of(Following(script), [40] * 40)
    assert [(summary.first, summary.last) for summary in plan.tracks] == [(0, 39), (15, 39)]


def test_a_face_that_moves_is_looked_at_in_every_frame_and_one_at_rest_in_every_other() -> None:
    def looked_at(step: float) -> Searching:
        detector = Searching({k: [face(20 + step * (k % 5))] for k in range(60)})
        assert frames_with_face(plan_of(detector, [40] * 60)) == list(range(60))
        return detector

    assert set(looked_at(1.0).followed) == set(range(60))
    assert len(set(looked_at(0.02).followed)) < 40


def test_of_a_face_at_rest_what_lies_between_two_looks_is_halfway() -> None:
    plan = plan_of(Searching({k: [face(20 + 0.01 * k)] for k in range(30)}), [40] * 30, smoothing_seconds=0)
    np.testing.assert_allclose(plan.boxes[:, 0], 20 + 0.01 * np.arange(30), atol=1e-4)


@pytest.mark.parametrize("choice", ["largest", "all"])
def test_searches_are_rarer_while_they_show_what_is_known_and_one_face_is_wanted(choice: FaceChoice) -> None:
    script = {k: [face(20), *([face(40)] if k >= 75 else [])] for k in range(150)}
    detector = Searching(script)
    plan = plan_faces(
        frames_of([40] * 150),
        frame_size=(WIDTH, HEIGHT),
        fps=Fraction(25),
        detector=detector,
        settings=TrackerSettings(),
        choice=choice,
    )
    searched = sorted(set(detector.searched))
    assert searched == ([0, 10, 40, 70, 100, 110, 140, 149] if choice == "largest" else [*range(0, 150, 10), 149])
    come = 100 if choice == "largest" else 75  # one that cannot be chosen is not followed back from its search
    assert [(summary.first, summary.last) for summary in plan.tracks] == [(0, 149), (come, 149)]


def test_a_video_of_one_frame_has_its_face() -> None:
    plan = plan_of(Following({0: [face(20)]}), [40])
    assert frames_with_face(plan) == [0]


def test_no_frames_make_an_empty_plan() -> None:
    plan = plan_of(Scripted({}), [])
    assert (plan.frame_count, plan.shot_count, plan.face_frames) == (0, 0, 0)


def test_progress_counts_frames_and_cancelling_ends_it() -> None:
    token, counts = CancelToken(), []

    def on_frame(done: int) -> None:
        counts.append(done)
        if done == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        plan_faces(
            frames_of([40] * 50),
            frame_size=(WIDTH, HEIGHT),
            fps=Fraction(25),
            detector=Scripted({}),
            settings=TrackerSettings(),
            on_frame=on_frame,
            cancel=token,
        )
    assert counts == [1, 2, 3, 4, 5]
