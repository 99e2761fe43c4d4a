from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.faces.tracking.tracker import Seen, ShotTracker, Track
from musetalk.faces.types import FaceBox, MouthShape
from musetalk.settings import TrackerSettings

FPS = Fraction(25)


def box(x: float, y: float = 50, size: float = 40, score: float = 100) -> FaceBox:
    return FaceBox(x, y, x + size, y + size, score)


def prior(face: FaceBox) -> MouthShape:
    return MouthShape(face.center[0], face.y0 + 0.75 * face.height, 0.2 * face.width, 0.0)


def mouth_in(face: FaceBox, x: float = 0.55, y: float = 0.8) -> MouthShape:
    return MouthShape(face.x0 + x * face.width, face.y0 + y * face.height, 0.15 * face.width, 0.1)


def tracks_of(
    seen: Mapping[int, Sequence[Seen | FaceBox]], length: int | None = None, settings: TrackerSettings | None = None
) -> list[Track]:
    tracker = ShotTracker()
    for frame in sorted(seen):
        tracker.add(frame, [item if isinstance(item, Seen) else Seen(item, mouth_in(item)) for item in seen[frame]])
    length = max(seen) + 1 if length is None else length
    return tracker.finish(length, fps=FPS, settings=settings or TrackerSettings(), prior=prior)


def still(frames: Iterable[int], x: float = 100) -> dict[int, list[FaceBox]]:
    return {frame: [box(x)] for frame in frames}


def test_a_constant_face_stays_exactly_constant() -> None:
    [track] = tracks_of(still(range(30)))
    assert track.frames.tolist() == list(range(30))
    assert (track.boxes == np.float32([100, 50, 140, 90, 100])).all()
    assert (track.mouths == track.mouths[0]).all()
    np.testing.assert_allclose(track.mouths[0], [122, 82, 6, 0.1], rtol=1e-6)


@given(st.floats(-6, 6), st.floats(-6, 6), st.integers(6, 50), st.floats(0, 1))
def test_linear_motion_has_no_lag_at_either_end(dx: float, dy: float, count: int, seconds: float) -> None:
    boxes = {k: [box(300 + dx * k, 300 + dy * k)] for k in range(count)}
    [track] = tracks_of(boxes, settings=TrackerSettings(smoothing_seconds=seconds))
    wanted = [[b.x0, b.y0, b.x1, b.y1] for [b] in boxes.values()]
    np.testing.assert_allclose(track.boxes[:, :4], wanted, atol=1e-2)
    mouths = [[mouth_in(b).cx, mouth_in(b).cy] for [b] in boxes.values()]
    np.testing.assert_allclose(track.mouths[:, :2], mouths, atol=1e-2)


@given(st.integers(0, 20), st.integers(0, 15))
def test_gaps_are_bridged_up_to_the_limit_and_no_further(gap: int, bridge: int) -> None:
    frames = [*range(10), *range(10 + gap, 20 + gap)]
    [track] = tracks_of(still(frames), settings=TrackerSettings(bridge_frames=bridge))
    wanted = list(range(20 + gap)) if gap <= bridge else frames
    assert track.frames.tolist() == wanted


def test_bridged_frames_lie_on_the_way() -> None:
    boxes = {k: [box(100 + 2 * k)] for k in [*range(10), *range(18, 30)]}
    [track] = tracks_of(boxes)
    np.testing.assert_allclose(track.boxes[:, 0], 100 + 2 * np.arange(30), atol=1e-3)


def test_nothing_is_invented_before_the_first_or_after_the_last_detection() -> None:
    [track] = tracks_of(still(range(8, 25)), length=40)
    assert (track.frames[0], track.frames[-1]) == (8, 24)


def test_two_faces_make_two_tracks_that_do_not_swap() -> None:
    pairs = {k: [box(100 + k), box(220 - k)] if k % 2 else [box(220 - k), box(100 + k)] for k in range(30)}
    left, right = tracks_of(pairs)
    np.testing.assert_allclose(left.boxes[:, 0], 100 + np.arange(30), atol=1e-3)
    np.testing.assert_allclose(right.boxes[:, 0], 220 - np.arange(30), atol=1e-3)


def test_the_same_face_after_a_long_absence_is_the_same_track() -> None:
    frames = [*range(20), *range(60, 80)]
    [track] = tracks_of(still(frames))
    assert track.frames.tolist() == frames


def test_a_face_far_away_is_another_track() -> None:
    first, second = tracks_of({**still(range(20)), **still(range(60, 80), x=400)})
    assert (first.frames[0], second.frames[0]) == (0, 60)


def test_a_face_of_another_size_is_another_track() -> None:
    near = {k: [box(100, size=120)] for k in range(20)}
    far = {k: [box(130, size=40)] for k in range(20, 40)}
    assert len(tracks_of({**near, **far})) == 2


def test_what_flashes_up_is_a_false_alarm() -> None:
    seen = still(range(40))
    for frame in (9, 10, 30):
        seen[frame].append(box(300))
    [track] = tracks_of(seen)
    assert track.boxes[0, 0] == 100


def test_what_scores_far_below_another_face_is_a_false_alarm() -> None:
    seen = {k: [box(100, score=150), box(300, score=6)] for k in range(40)}
    assert len(tracks_of(seen)) == 1
    assert len(tracks_of({k: boxes[1:] for k, boxes in seen.items()})) == 1  # alone it is believed


def test_what_is_seen_only_now_and_then_is_a_false_alarm() -> None:
    assert tracks_of(still(range(0, 60, 10))) == []


@pytest.mark.parametrize("length", [1, 2, 3])
def test_shots_of_a_few_frames_have_faces_too(length: int) -> None:
    [track] = tracks_of(still(range(length)))
    assert len(track.frames) == length


def test_a_box_that_jumps_once_is_put_right() -> None:
    seen = still(range(30))
    seen[12] = [box(112, size=44)]
    [track] = tracks_of(seen)
    assert np.abs(track.boxes[:, :4] - np.float32([100, 50, 140, 90])).max() < 1


def test_a_mouth_that_was_not_located_keeps_its_place_in_the_face() -> None:
    boxes = [box(100 + 3 * k) for k in range(40)]
    lost = {5, 6, 7, 20, 38, 39}
    [track] = tracks_of({k: [Seen(b, None if k in lost else mouth_in(b))] for k, b in enumerate(boxes)})
    wanted = [[mouth_in(b).cx, mouth_in(b).cy, mouth_in(b).half_width, 0.1] for b in boxes]
    np.testing.assert_allclose(track.mouths, wanted, atol=0.01)


def test_a_mouth_located_in_the_wrong_place_does_not_jump() -> None:
    boxes = [box(100) for _ in range(40)]
    stray = {11, 25}
    seen = {k: [Seen(b, mouth_in(b, x=0.9, y=0.5) if k in stray else mouth_in(b))] for k, b in enumerate(boxes)}
    [track] = tracks_of(seen)
    np.testing.assert_allclose(track.mouths[:, :2], [[122, 82]] * 40, atol=0.3)


def test_where_no_mouth_was_located_the_usual_one_is_assumed() -> None:
    [track] = tracks_of({k: [Seen(box(100 + k), None)] for k in range(20)})
    np.testing.assert_allclose(track.mouths, [[120 + k, 80, 8, 0] for k in range(20)], atol=1e-3)


def test_the_mouth_follows_a_nod_that_the_box_does_not_show() -> None:
    boxes = [box(100) for _ in range(60)]
    heights = 0.8 + 0.08 * np.sin(2 * np.pi * np.arange(60) / 12)
    [track] = tracks_of({k: [Seen(b, mouth_in(b, y=heights[k]))] for k, b in enumerate(boxes)})
    assert np.abs(track.mouths[:, 1] - (50 + 40 * heights)).max() < 0.8
