"""What renders keep of sources: taken over, it leads to the same as looking again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import musetalk.pipeline.find_faces
import musetalk.pipeline.parse
from musetalk.errors import Cancelled
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FivePoints, Sought
from musetalk.media.types import Source
from musetalk.pipeline import kept_looks, kept_readings
from musetalk.pipeline.find_faces import find_faces
from musetalk.pipeline.kept_findings import KeptFindings, KeptSource
from musetalk.pipeline.parse import FaceReaders, parse_faces
from musetalk.progress import RenderRun, noop
from musetalk.settings import TrackerSettings
from musetalk.utils.arrays import UInt8Array

HEIGHT, WIDTH, MOST = 48, 64, 120
SOURCE = cast("Source", SimpleNamespace(width=2 * WIDTH, height=2 * HEIGHT, fps=Fraction(25)))


def picture(number: int, cuts: Sequence[int], held: int) -> UInt8Array:
    """A flat frame, as green as its picture's number says, each shown `held` times; shades change at cuts."""
    frame = np.full((HEIGHT, WIDTH, 3), 60 + 90 * (sum(cut <= number for cut in cuts) % 2), np.uint8)
    frame[..., 1] = number // held
    return frame


class Film:
    """Gives frames instead of a decoder, and counts them."""

    def __init__(self, cuts: Sequence[int] = (), held: int = 1, decodable: int = MOST) -> None:
        self.cuts, self.held, self.decodable, self.read = cuts, held, decodable, 0

    def __call__(self, _source: Source, start: int, stop: int, **_options: object) -> Iterator[UInt8Array]:
        for number in range(start, min(stop, self.decodable)):
            self.read += 1
            yield picture(number, self.cuts, self.held)


class Drifting:
    """Sees two faces that drift and shake, one of which comes and goes, with or without points."""

    fingerprint, max_side = "drifting", 480

    def __init__(self, absent: Sequence[int] = (), *, points: bool = False) -> None:
        self.absent, self.points = set(absent), points

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        return [self.seen(int(frame[0, 0, 1])) for frame in frames]

    def seen(self, number: int) -> list[FaceBox]:
        x = 6 + number / 9 + number * 7919 % 5 / 3
        faces = [FaceBox(x, 10, x + 12, 22.3, 50.1)]
        if number not in self.absent:
            faces.append(FaceBox(x + 26, 8, x + 40, 22, 60 + number % 3))
        if self.points:
            return [FaceBox(f.x0, f.y0, f.x1, f.y1, f.score, five_of(f)) for f in faces]
        return faces


class Following(Drifting):
    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        here = self.seen(int(frame[0, 0, 1]))
        return [next((face for face in here if abs(face.x0 - box.x0) < 8), None) for box in boxes]


class Searching(Following):
    def search(self, frames: Sequence[UInt8Array], _sought: Sought | None = None) -> list[list[FaceBox]]:
        return self.detect(frames)


def five_of(face: FaceBox) -> FivePoints:
    x, y, side = face.x0, face.y0, face.width
    return FivePoints.of(np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.78], [0.65, 0.78]]) * side + (x, y))


def kept_in(folder: Path) -> KeptSource:
    return KeptSource(folder, "film", noop)


def found(film: Film, stop: int, detector: Drifting, kept: KeptSource | None, folder: Path, **run: Any) -> FacePlan:  # noqa: ANN401
    own = run.get("run") or RenderRun()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(musetalk.pipeline.find_faces, "read_frames", film)
        patch.setattr(kept_looks, "_FRAMES", 30)
        return find_faces(SOURCE, stop, detector, TrackerSettings(), run.get("choice", "largest"), kept, folder, own)


def same(one: FacePlan, other: FacePlan) -> bool:
    names = ("frame_count", "shots", "frame", "track", "boxes", "mouths")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([Drifting, Following, Searching]),
    cuts=st.lists(st.integers(1, MOST - 1), max_size=3),
    held=st.sampled_from([1, 1, 3]),
    absent=st.lists(st.integers(0, MOST), max_size=40),
    lengths=st.lists(st.integers(1, MOST), min_size=2, max_size=4),
    decodable=st.sampled_from([MOST, 70]),
    choice=st.sampled_from(["largest", "all"]),
    points=st.booleans(),
)
@example(
    kind=Following, cuts=[41, 44], held=1, absent=[], lengths=[41, MOST], decodable=MOST, choice="largest", points=False
)
def test_voices_of_any_lengths_get_the_faces_that_they_would_get_alone(
    tmp_path_factory: pytest.TempPathFactory,
    kind: type[Drifting],
    cuts: list[int],
    held: int,
    absent: list[int],
    lengths: list[int],
    decodable: int,
    choice: str,
    points: bool,
) -> None:
    folder, film, detector = tmp_path_factory.mktemp("kept"), Film(cuts, held, decodable), kind(absent, points=points)
    for stop in (*lengths, lengths[0]):
        run = RenderRun()
        taken_over = found(film, stop, detector, kept_in(folder), folder, choice=choice, run=run)
        assert same(taken_over, found(film, stop, detector, None, folder, choice=choice))
    assert run.reused.frames == min(lengths[0], decodable)


def test_what_a_killed_render_had_found_is_taken_over(tmp_path: Path) -> None:
    film, run = Film(), RenderRun()

    class Stopped(Following):
        def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
            if frames[0][0, 0, 1] > 80:
                raise Cancelled
            return super().detect(frames)

    with pytest.raises(Cancelled):
        found(film, MOST, Stopped(), kept_in(tmp_path), tmp_path)
    film.read = 0
    plan = found(film, MOST, Following(), kept_in(tmp_path), tmp_path, run=run)
    assert same(plan, found(Film(), MOST, Following(), None, tmp_path))
    assert 60 <= run.reused.frames <= 80
    assert film.read <= MOST - run.reused.frames + 1 + 2  # and those that are judged


def test_damaged_files_are_made_anew_and_it_is_said(tmp_path: Path) -> None:
    plan = found(Film(), MOST, Following(), kept_in(tmp_path), tmp_path)
    for path in tmp_path.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-50])
    run = RenderRun()
    assert same(found(Film(), MOST, Following(), kept_in(tmp_path), tmp_path, run=run), plan)
    assert [warning for warning in run.warnings if "damaged" in warning]
    found(Film(), MOST, Following(), kept_in(tmp_path), tmp_path, run=(again := RenderRun()))
    assert (again.reused.frames, [each for each in again.warnings if "damaged" in each]) == (MOST, [])


def test_other_detectors_and_settings_share_nothing(tmp_path: Path) -> None:
    found(Film(), 40, Following(), kept_in(tmp_path), tmp_path)
    for options in ({"choice": "all"}, {"choice": "leftmost"}):
        found(Film(), 40, Following(), kept_in(tmp_path), tmp_path, run=(run := RenderRun()), **options)
        assert run.reused.frames == 0
    other = Following()
    other.fingerprint = "other"
    found(Film(), 40, other, kept_in(tmp_path), tmp_path, run=(run := RenderRun()))
    assert run.reused.frames == 0


def test_the_oldest_go_where_it_gets_too_much(tmp_path: Path, clip_source: Source) -> None:
    source = KeptFindings(tmp_path, 3000).of(clip_source, 40)
    assert source is not None
    for age, threshold in enumerate((0.1, 0.2, 0.3, 0.4)):
        looks = source.looks(Following(), threshold, "all")
        looks.finish(10, "")
        for path in tmp_path.rglob("*-end.npz"):
            if path.stat().st_mtime > 1000:
                os.utime(path, (age, age))
    assert 1 <= len(list(tmp_path.rglob("*.npz"))) < 4
    assert source.looks(Following(), 0.4, "all").known(10)[1] == ""
    assert source.looks(Following(), 0.1, "all").known(10)[1] is None


@pytest.fixture
def clip_source(clip: Path) -> Source:
    from musetalk.media.probe import probe_source  # noqa: PLC0415
    from musetalk.settings import Limits  # noqa: PLC0415

    return probe_source(clip, Limits())


class Reader:
    """Labels the number of a picture, and counts."""

    fingerprint = "reader"

    def __init__(self, at_once: int) -> None:
        self.at_once, self.lots = at_once, list[int]()

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        self.lots.append(len(crops))
        maps = np.ones((len(crops), 512, 512), np.uint8)
        maps[:, 200:260, 200:260] = np.array([crop.sum() % 18 for crop in crops])[:, None, None]
        maps[:, 0, 0] = len(crops)  # as what a network is given beside a face may matter
        return maps


@pytest.mark.parametrize(("at_once", "held"), [(1, 1), (4, 3)])
def test_voices_of_any_lengths_get_the_labels_that_they_would_get_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, held: int
) -> None:
    film, detector = Film(held=held), Following(absent=range(6, 99))
    monkeypatch.setattr(musetalk.pipeline.parse, "read_frames", film)
    monkeypatch.setattr(kept_readings, "_FACES", 16)
    reused = []
    for number, stop in enumerate((32, 38, 32, 28)):
        plan = found(film, stop, detector, None, tmp_path, choice="all")
        read = []
        for kept in (kept_in(tmp_path), None):
            folder, run, reader = tmp_path / f"{number}{kept is None}", RenderRun(), Reader(at_once)
            folder.mkdir()
            readers = FaceReaders(reader)
            known = None if kept is None else kept.readings(readers.fingerprint)
            parsed = parse_faces(SOURCE, plan, range(stop), readers, 2.0, folder=folder, run=run, kept=known)
            faces = [(frame, face) for frame in range(stop) for face in plan.faces(frame)]
            store = parsed.labels
            assert store is not None
            read.append([(parsed.extent(*face), store.read(place).tobytes()) for place, face in enumerate(faces)])
            reused.append((run.reused.faces, len(faces), len(reader.lots)))
        assert read[0] == read[1]
    first, longer, again, shorter = reused[::2]
    assert first[0] == 0
    assert 0 < longer[0] < first[1]
    assert again[0] == again[1] and again[2] == 0
    assert 0 < shorter[0] < shorter[1]


def test_damaged_labels_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film()
    monkeypatch.setattr(musetalk.pipeline.parse, "read_frames", film)
    plan = found(film, 12, Following(), None, tmp_path)
    warned = []
    for number in range(3):
        run, folder = RenderRun(), tmp_path / str(number)
        folder.mkdir()
        known = kept_in(tmp_path).readings("reader")
        parse_faces(SOURCE, plan, range(12), FaceReaders(Reader(1)), 2.0, folder=folder, run=run, kept=known)
        warned.append((run.reused.faces > 0, any("damaged" in each for each in run.warnings)))
        if number == 0:
            for path in tmp_path.rglob("*.npz"):
                path.write_bytes(path.read_bytes()[:100] + bytes(9) + path.read_bytes()[109:])
    assert warned == [(False, False), (False, True), (True, False)]
