"""Comparisons with an engine that only pretends to paint: who is asked what, what is left on the disk, what is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from musetalk.backends.automatic import BackendChoice
from musetalk.comparison.compare import compare
from musetalk.comparison.table import NOTHING, remarks, rows
from musetalk.comparison.types import Compared, Comparison
from musetalk.comparison.viewing import compare_for_viewing, telling_name
from musetalk.errors import (
    PATH,
    BackendError,
    Cancelled,
    DiskSpaceError,
    FaceError,
    MediaError,
    MuseTalkError,
    OutputError,
    SettingsError,
)
from musetalk.media.probe import probe_source
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import Limits, RenderSettings
from tests.helpers.compared import FRAMES, SETTINGS, finished, report_of
from tests.helpers.errors import raises_kind
from tests.helpers.media import (
    decode,
    numbered_frames,
    picture_size,
    read_number,
    write_video,
)

pytestmark = pytest.mark.slow

RESULTS = {"one.mp4", "two.mp4", "side-by-side.mp4", "plots.png", "comparison.json"}


class Engine:
    """Knows the backends one to three; remembers what it was asked, in order."""

    def __init__(self, failing: dict[str, MuseTalkError] | None = None) -> None:
        self.failing = failing or {}
        self.asked: list[RenderSettings] = []
        self.calls: list[str] = []
        self.plans: list[bool] = []

    def check(self, request: RenderRequest) -> Source:
        settings = request.settings
        if settings.backend not in ("one", "two", "three"):
            raise BackendError(f'there is no backend "{settings.backend}"', "choose one of: one, two, three")
        return probe_source(request.video, settings.limits, fps=settings.fps)

    def choose(self, settings: RenderSettings) -> BackendChoice:
        return BackendChoice(settings.backend)

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        return 1.5

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        settings = request.settings
        assert settings.coords_dir is not None
        self.asked.append(settings)
        self.calls.append(settings.backend)
        plan = settings.coords_dir / "plan.npz"
        self.plans.append(plan.exists())
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.touch()
        if on_progress is not None:
            on_progress(ProgressEvent("preflight", 0, 5, 0.25))
            on_progress(ProgressEvent("preflight", 4, 5, 0.5, "a face in 1 of 2 frames"))
            on_progress(ProgressEvent("render", 1, FRAMES, 1.0))
        if settings.backend in self.failing:
            raise self.failing[settings.backend]
        finished(out)
        return report_of(out, settings)

    def release(self) -> None:
        self.calls.append("release")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are not looked at here: see `test_shown.py`, and `tests/integration/test_compare.py`."""
    monkeypatch.setattr("musetalk.comparison.compare._plotting", lambda: lambda _comparison, out, _named: out.touch())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video(tmp_path / "film.mp4", numbered_frames(4))


def compared(
    engine: Engine,
    film: Path,
    backends: Sequence[str] = ("one", "two"),
    **options: Any,  # noqa: ANN401
) -> Comparison:
    request = RenderRequest(film, film.parent / "words.wav", options.pop("settings", SETTINGS))
    return compare(engine, request, film.parent / "out", backends, **options)


def left(film: Path) -> set[str]:
    return {path.name for path in (film.parent / "out").iterdir()}


def test_each_backend_renders_with_one_plan_and_is_let_go(film: Path) -> None:
    engine = Engine()
    comparison = compared(engine, film)
    assert engine.calls == ["one", "release", "two", "release"]
    assert [(each.backend, each.measure, each.use_saved_coords) for each in engine.asked] == [
        ("one", True, True),
        ("two", True, True),
    ]
    assert engine.plans == [False, True]
    assert left(film) == RESULTS
    assert [(part.backend, part.video, part.error) for part in comparison.parts] == [
        ("one", "one.mp4", ""),
        ("two", "two.mp4", ""),
    ]
    assert (comparison.side_by_side, comparison.plots) == ("side-by-side.mp4", "plots.png")
    assert (comparison.source, comparison.voice) == ("film.mp4", "words.wav")


def test_the_account_tells_of_no_temporary_place(film: Path) -> None:
    comparison = compared(Engine(), film)
    text = (film.parent / "out" / "comparison.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert ".musetalk-" not in text
    [first, _] = json.loads(text)["parts"]
    assert first["report"]["output"] == str(film.parent / "out" / "one.mp4")
    assert first["report"]["settings"]["coords_dir"] is None
    assert first["report"]["settings"]["use_saved_coords"] is False


def test_saved_coords_of_the_users_are_used_and_kept(film: Path) -> None:
    kept = film.parent / "kept"
    chosen = SETTINGS.model_copy(update={"use_saved_coords": True, "coords_dir": kept})
    compared(Engine(), film, settings=chosen)
    assert (kept / "plan.npz").exists()
    compared(again := Engine(), film, settings=chosen)
    assert again.plans == [True, True]


def test_a_backend_that_fails_does_not_stop_the_others(film: Path) -> None:
    out = film.parent / "out"
    compared(Engine(), film, ("one", "two", "three"))
    engine = Engine({"two": MediaError("it is full", "empty it")})
    comparison = compared(engine, film, ("one", "two", "three"))
    assert engine.calls == ["one", "release", "two", "release", "three", "release"]
    assert comparison.parts[1] == Compared("two", error="it is full: empty it", error_kind="media")
    assert left(film) == (RESULTS - {"two.mp4"}) | {"three.mp4"}  # what an earlier comparison left is gone
    assert picture_size(out / "side-by-side.mp4")[0] == 2 * 480 + 2
    plain = json.loads((out / "comparison.json").read_text())
    assert remarks(plain) == ("two failed: it is full: empty it",)
    assert {row.texts[1] for row in rows(plain)} == {NOTHING}
    assert NOTHING not in {row.texts[0] for row in rows(plain)}


def test_an_error_about_a_result_says_where_that_was_to_be(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(out: Path, *_: object) -> None:
        if out.stem == "two":
            raise DiskSpaceError(f'"{PATH}" does not fit', path=out)
        write_result(out)

    write_result = finished
    monkeypatch.setattr(f"{__name__}.finished", full)
    [_, two] = compared(Engine(), film).parts
    assert (two.error_kind, two.error) == ("disk_space", f'"{film.parent / "out" / "two.mp4"}" does not fit')


def test_what_is_looked_at_in_a_browser_can_be_stepped_through(film: Path) -> None:
    engine = Engine()
    words, folder = film.parent / "words.wav", film.parent / "out"
    comparison = compare_for_viewing(engine, RenderRequest(film, words, SETTINGS), folder, ("one", "two"))
    assert comparison.side_by_side == "film_words_one_beside_two.mp4"
    assert left(film) == (RESULTS - {"side-by-side.mp4"}) | {comparison.side_by_side, comparison.source_in_step}
    assert [each.encoder.keyframe_seconds for each in engine.asked[:2]] == [0.4, 0.4]
    named = compare_for_viewing(engine, RenderRequest(film, words, SETTINGS), folder, ("one", "two"), named=str.upper)
    assert named.side_by_side == "film_words_ONE_beside_TWO.mp4"
    assert [part.backend for part in named.parts] == ["one", "two"]  # for programs
    comparison = compare_for_viewing(engine, RenderRequest(film, words, SETTINGS), folder, ("one", "two"))
    frames = [read_number(frame) for frame in decode(folder / comparison.source_in_step)]
    assert frames == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]
    chosen = SETTINGS.model_copy(update={"encoder": SETTINGS.encoder.model_copy(update={"keyframe_seconds": 2.0})})
    compare_for_viewing(engine, RenderRequest(film, words, chosen), folder, ("one", "two"))
    assert engine.asked[-1].encoder.keyframe_seconds == 2.0


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("my film.mp4", "my_film_words_one_beside_two.mp4"),
        ("-.mp4", "words_one_beside_two.mp4"),
        (f"{'x' * 300}.mp4", f"{'x' * 40}_words_one_beside_two.mp4"),
    ],
)
def test_what_shows_all_is_called_after_what_it_shows(source: str, name: str) -> None:
    assert telling_name(Path(source), Path("words.wav"), ("one", "two")) == name


def test_one_result_has_nothing_beside_it(film: Path) -> None:
    comparison = compared(Engine({"two": MediaError("no")}), film)
    assert comparison.side_by_side == ""
    assert left(film) == {"one.mp4", "plots.png", "comparison.json"}


@pytest.mark.parametrize(
    ("other", "kind", "words"),
    [
        (FaceError("no face"), FaceError, "no face"),
        (FaceError("no nose"), FaceError, "one: no face; two: no nose"),
        (OutputError("no disk"), BackendError, "one: no face; two: no disk"),
    ],
)
def test_where_all_fail_nothing_is_left(
    film: Path, other: MuseTalkError, kind: type[MuseTalkError], words: str
) -> None:
    engine = Engine({"one": FaceError("no face"), "two": other})
    with raises_kind(kind, problem=f"no backend could render this ({words})", remedy=""):
        compared(engine, film)
    assert not (film.parent / "out").exists()


def test_one_comparison_at_a_time_is_made_in_a_folder(film: Path) -> None:
    out, names, voice = film.parent / "out", ["one", "two"], film.with_name("words.wav")

    def begin_another(event: ProgressEvent) -> None:
        if event.stage == "render":
            with pytest.raises(OutputError, match="another comparison is being made"):
                compare(Engine(), RenderRequest(film, voice, SETTINGS), out, ["two", "three"])

    for _ in range(2):
        made = compare(Engine(), RenderRequest(film, voice, SETTINGS), out, names, on_progress=begin_another)
        assert len(made.rendered) == 2
        assert {path.name for path in out.iterdir()} == RESULTS


def test_cancelling_leaves_what_was_there(film: Path) -> None:
    with pytest.raises(Cancelled):
        compared(Engine({"two": Cancelled()}), film)
    assert not (film.parent / "out").exists()
    compared(Engine(), film)
    before = {path: path.read_bytes() for path in (film.parent / "out").iterdir()}
    token = CancelToken()

    def at_the_end(event: ProgressEvent) -> None:
        if event.stage == "finish" and event.done == 3:
            token.cancel()

    engine = Engine()
    with pytest.raises(Cancelled):
        compared(engine, film, on_progress=at_the_end, cancel=token)
    assert engine.calls[-1] == "release"
    assert {path: path.read_bytes() for path in (film.parent / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("backends", "kind", "words"),
    [
        (["one"], SettingsError, "two backends or more"),
        ([], SettingsError, "two backends or more"),
        (["one", "two", "one"], SettingsError, "one is named more than once"),
        (["one", "four"], BackendError, 'there is no backend "four": choose'),
        (["four", "one", "five"], BackendError, '"four"; there is no backend "five": choose one of: one, two, three$'),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(
    film: Path, backends: list[str], kind: type[MuseTalkError], words: str
) -> None:
    engine = Engine()
    with pytest.raises(kind, match=words):
        compared(engine, film, backends)
    assert engine.calls == []
    assert not (film.parent / "out").exists()


def test_an_input_is_never_written_over(film: Path) -> None:
    place = film.parent / "out"
    place.mkdir()
    source = film.rename(place / "one.mp4")
    with raises_kind(OutputError, path=place / "one.mp4"):
        compare(Engine(), RenderRequest(source, film, SETTINGS), place, ["one", "two"])
    assert left(film) == {"one.mp4"}
    (film.parent / "file").touch()
    with raises_kind(OutputError, path=film.parent / "file"):
        compare(Engine(), RenderRequest(source, film, SETTINGS), film.parent / "file", ["one", "two"])


def test_progress_says_whose_it_is_once_and_with_every_note(film: Path) -> None:
    events = list[ProgressEvent]()
    compared(Engine(), film, on_progress=events.append)
    notes = [event.note for event in events if event.note]
    assert notes == [
        "one, 1 of 2",
        "one, 1 of 2: a face in 1 of 2 frames",
        "two, 2 of 2",
        "two, 2 of 2: a face in 1 of 2 frames",
        "putting the results side by side",
    ]
    assert [event.seconds for event in events] == sorted(event.seconds for event in events)
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("finish", FRAMES, FRAMES)
