from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import CoordsError, OutputError
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox
from tests.helpers.errors import raises_kind

Row = tuple[int, int, float, float]  # frame, track, x, size


def plan_of(shots: Sequence[int], rows: Sequence[Row]) -> FacePlan:
    rows = sorted(rows)
    return FacePlan(
        frame_count=len(shots),
        width=640,
        height=480,
        shots=np.array(shots, np.int32),
        frame=np.array([row[0] for row in rows], np.int64),
        track=np.array([row[1] for row in rows], np.int32),
        boxes=np.array([[x, 10, x + size, 10 + size, 5] for _, _, x, size in rows], np.float32).reshape(-1, 5),
        mouths=np.array([[x + size / 2, 40, size / 5, 0.1] for _, _, x, size in rows], np.float32).reshape(-1, 4),
    )


def two_people() -> FacePlan:
    """Shot 0: a large face on the right (0-7) and a small one on the left (0-9); shot 1: one face; shot 2: none."""
    right = [(k, 0, 400.0, 120.0) for k in range(8)]
    left = [(k, 1, 50.0, 60.0) for k in range(10)]
    alone = [(k, 2, 200.0, 80.0) for k in range(12, 15)]
    return plan_of([0] * 10 + [1] * 5 + [2] * 5, right + left + alone)


def tracks_by_frame(plan: FacePlan) -> list[tuple[int, ...]]:
    return [tuple(face.track for face in plan.faces(frame)) for frame in range(plan.frame_count)]


@st.composite
def plans(draw: st.DrawFn) -> FacePlan:
    steps = draw(st.lists(st.booleans(), max_size=30))
    shots = [0, *np.cumsum(steps).tolist()]
    rows = []
    for frame, shot in enumerate(shots):
        for which in draw(st.sets(st.integers(0, 2))):
            rows.append((frame, shot * 3 + which, draw(st.floats(0, 500, width=32)), draw(st.floats(1, 99, width=32))))
    return plan_of(shots, rows)


@given(plans())
def test_rows_and_frames_agree(plan: FacePlan) -> None:
    faces = [(frame, face) for frame in range(plan.frame_count) for face in plan.faces(frame)]
    assert [frame for frame, _ in faces] == plan.frame.tolist()
    assert [face.track for _, face in faces] == plan.track.tolist()
    for row, (_, face) in enumerate(faces):
        box, mouth = face.box, face.mouth
        assert [box.x0, box.y0, box.x1, box.y1, box.score] == plan.boxes[row].tolist()
        assert [mouth.cx, mouth.cy, mouth.half_width, mouth.angle] == plan.mouths[row].tolist()
    assert plan.face_frames == len({frame for frame, _ in faces})
    assert [plan.shot(frame) for frame in range(plan.frame_count)] == plan.shots.tolist()
    assert sum(summary.frames for summary in plan.tracks) == len(faces)


@given(plans(), st.sampled_from(["largest", "leftmost", "rightmost", (100.0, 30.0)]))
def test_a_choice_leaves_one_track_per_shot(plan: FacePlan, choice: object) -> None:
    chosen = plan.select(choice)  # type: ignore[arg-type]
    shots = [summary.shot for summary in chosen.tracks]
    assert len(shots) == len(set(shots))
    assert set(shots) == {summary.shot for summary in plan.tracks}
    kept = set(chosen.track.tolist())
    wanted = [tuple(track for track in tracks if track in kept) for tracks in tracks_by_frame(plan)]
    assert tracks_by_frame(chosen) == wanted


@pytest.mark.parametrize(
    ("choice", "track"), [("largest", 0), ("leftmost", 1), ("rightmost", 0), ((60.0, 40.0), 1), ((500.0, 400.0), 0)]
)
def test_the_choice_picks_the_track_it_names(choice: object, track: int) -> None:
    chosen = two_people().select(choice)  # type: ignore[arg-type]
    first = [(track,)] * 10 if track == 1 else [(0,)] * 8 + [()] * 2  # absent from a part: that part passes through
    assert tracks_by_frame(chosen) == [*first, (), (), (2,), (2,), (2,), *[()] * 5]


def test_all_keeps_everything() -> None:
    plan = two_people()
    assert tracks_by_frame(plan.select("all")) == tracks_by_frame(plan)


def test_a_brief_face_is_not_chosen_for_its_place() -> None:
    rows = [(k, 0, 300.0, 80.0) for k in range(30)] + [(k, 1, 10.0, 80.0) for k in range(6)]
    assert {face for faces in tracks_by_frame(plan_of([0] * 30, rows).select("leftmost")) for face in faces} == {0}


def test_tracks_are_summed_up() -> None:
    first, second, third = two_people().tracks
    assert (first.track, first.shot, first.first, first.last, first.frames) == (0, 0, 0, 7, 8)
    assert first.box == FaceBox(400, 10, 520, 130, 5)
    assert (second.shot, third.shot) == (0, 1)
    assert two_people().shot_count == 3


@pytest.mark.parametrize("frame", [-1, 20])
def test_frames_outside_are_refused(frame: int) -> None:
    with pytest.raises(IndexError):
        two_people().faces(frame)
    with pytest.raises(IndexError):
        two_people().shot(frame)


def test_a_plan_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        two_people().boxes[0, 0] = 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"frame": np.array([0], np.int64)}, "instead of"),
        ({"boxes": np.zeros((21, 5), np.float64)}, "instead of"),
        ({"shots": np.arange(20, dtype=np.int32)[::-1].copy()}, "shots"),
        ({"track": np.zeros(21, np.int32)}, "order"),
        ({"mouths": np.full((21, 4), np.nan, np.float32)}, "no place"),
        ({"boxes": np.zeros((21, 5), np.float32)}, "empty"),
        ({"frame": np.arange(21, dtype=np.int64)}, "outside"),
        ({"shots": np.repeat(np.arange(4, dtype=np.int32), 5)}, "crosses a cut"),
        ({"width": 0}, "size"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        replace(two_people(), **change)  # type: ignore[arg-type]


@given(plan=plans())
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, plan: FacePlan) -> None:
    path = tmp_path_factory.mktemp("coords") / "plan.npz"
    plan.save(path, "key")
    loaded = FacePlan.load(path, "key")
    assert (loaded.frame_count, loaded.width, loaded.height) == (plan.frame_count, plan.width, plan.height)
    for name in ("shots", "frame", "track", "boxes", "mouths"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(plan, name), strict=True)
    assert [entry.name for entry in path.parent.iterdir()] == ["plan.npz"]


def test_saving_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "plan.npz"
    path.write_bytes(b"old")
    two_people().save(path, "key")
    assert FacePlan.load(path, "key").frame_count == 20


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with raises_kind(OutputError, path=tmp_path / "file" / "plan.npz"):
        two_people().save(tmp_path / "file" / "plan.npz", "key")


def test_another_key_is_refused(tmp_path: Path) -> None:
    two_people().save(tmp_path / "plan.npz", "key")
    with raises_kind(CoordsError, path=tmp_path / "plan.npz", __cause__=None):
        FacePlan.load(tmp_path / "plan.npz", "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with raises_kind(CoordsError, path=tmp_path / "plan.npz"):
        FacePlan.load(tmp_path / "plan.npz", "key")


class Bomb:
    """Would leave a file behind if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bomb = np.array([Bomb(trace)], dtype=object)
    np.savez(tmp_path / "inside.npz", key=np.array("key"), size=bomb, frame=bomb)
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Bomb(trace)))
    for name in ("inside.npz", "bare.npz"):
        with raises_kind(CoordsError, path=tmp_path / name):
            FacePlan.load(tmp_path / name, "key")
    assert not trace.exists()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.npz"
    two_people().save(path, "key")
    whole = path.read_bytes()
    np.savez(tmp_path / "foreign.npz", key=np.array("key"), pixels=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    broken = [b"", b"not a plan", whole[: len(whole) // 2], whole[:200] + bytes(40) + whole[240:]]
    broken += [(tmp_path / name).read_bytes() for name in ("foreign.npz", "single.npy")]
    for content in broken:
        path.write_bytes(content)
        with raises_kind(CoordsError, path=path):
            FacePlan.load(path, "key")


def test_a_plan_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.npz"
    two_people().save(path, "key")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **{**arrays, "track": arrays["track"][:-1]})
    with raises_kind(CoordsError, path=path):
        FacePlan.load(path, "key")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("shots.npy", b"x")
        archive.infolist()[0].file_size = 2**40
    with raises_kind(CoordsError, path=path):
        FacePlan.load(path, "key")
