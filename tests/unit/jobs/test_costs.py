"""How long a job should take: guessed, learned, and corrected while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec, GpuCost, NetworkWork
from musetalk.comparison.compare import compare
from musetalk.jobs.meter import ProgressMeter
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.jobs.whole_meter import WholeMeter
from musetalk.lipsync import LipSync
from musetalk.pipeline.first_costs import guessed_costs
from musetalk.pipeline.forecast import CostBook, Costs, Forecast, RenderKind, Work
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import ProgressEvent, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.units import roughly
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.held_engine import ANN
from tests.helpers.media import numbered_frames, tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.reports import some_report

GUESS = Costs(begin=2, plan=0.01, parse=0.0, speech=0.0, paint=0.1, other=0.0, finish=1.0)
WORK = Work(frames=100, source_frames=50, pixels=1_000_000, seconds=4.0)


def book(folder: Path) -> CostBook:
    return CostBook(folder / "costs.json", lambda _: GUESS)


def kind_settings(**said: object) -> RenderSettings:
    return RenderSettings.parse({"backend": "preview", **said})


def kind(**said: object) -> RenderKind:
    return RenderKind.of(kind_settings(**said))


def report(**changes: Any) -> RenderReport:  # noqa: ANN401
    """Of a render of `WORK`, which took 40 s."""
    stages = {"preflight": 1.0, "load": 3.0, "plan": 5.0, "speech": 1.0, "generate": 20.0, "finish": 2.0}
    made = some_report(Path("out.mp4"), RenderSettings(), frames=100)
    return replace(made, **{"wall_seconds": 40.0, "stages": stages, "face_frames": 80, "fallback_frames": 0, **changes})


def test_a_forecast_is_of_what_there_is_to_do(tmp_path: Path) -> None:
    forecast = book(tmp_path).forecast(WORK, [kind()])
    assert forecast.turns[0] == {
        "preflight": 2.0,
        "plan": 0.5,
        "parse": 0.0,
        "speech": 0.0,
        "render": pytest.approx(10.0),
        "finish": 1.0,
    }
    assert forecast.seconds == pytest.approx(13.5)
    assert not forecast.learned


def test_what_a_render_has_cost_is_what_the_next_one_should_cost(tmp_path: Path) -> None:
    book(tmp_path).learn(WORK, kind(), report())
    again = book(tmp_path)  # a restart later
    forecast = again.forecast(WORK, [kind()])
    assert forecast.learned
    assert forecast.turns[0]["render"] == pytest.approx(20 / 80 * 100 + 8)  # all frames may have a face
    assert forecast.turns[0]["plan"] == pytest.approx(5.0)
    longer = again.forecast(WORK.model_copy(update={"frames": 1000}), [kind()])
    assert longer.turns[0]["render"] == pytest.approx(10 * forecast.turns[0]["render"])
    assert not again.forecast(WORK, [kind(backend="musetalk-v15")]).learned


@pytest.mark.slow
def test_jobs_teach_the_one_book_that_engine_and_queue_ask(tmp_path: Path) -> None:
    """Each render once; a comparison looks for faces once, and knows of the others what that cost."""
    costs = book(tmp_path)
    twin = replace(PREVIEW, name="twin")
    engine = LipSync(BackendRegistry((PREVIEW, twin)), EverywhereAFace(), costs)
    store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8)
    service = JobService([engine], store, compare=compare, costs=costs)
    video = write_video(tmp_path / "a.mp4", numbered_frames(5, 96, 96))
    voice = write_wav(tmp_path / "a.wav", tone(0.2))
    try:
        for compared in ((), ("preview", "twin")):
            job = service.submit(ANN, RenderRequest(video, voice, kind_settings()), compare=compared)
            assert service.wait(job, HANG_SECONDS).state == "done"
    finally:
        service.close()
    first, second = costs.known(kind()), costs.known(kind(backend="twin"))
    assert first is not None
    assert second is not None
    assert (first.frames, second.frames) == (10, 5)
    assert second.plan == GUESS.plan
    assert first.plan != GUESS.plan
    forecast = service.forecast(WORK, [kind()])
    assert forecast is not None
    assert forecast.learned


def test_newer_renders_count_more(tmp_path: Path) -> None:
    costs = book(tmp_path)
    costs.learn(WORK, kind(), report())
    slow = report(stages={"generate": 160.0}, wall_seconds=160.0)
    for _ in range(8):
        costs.learn(WORK, kind(), slow)
    assert costs.costs(kind()).paint == pytest.approx(2.0, rel=0.1)


def test_steps_and_guidance_count(tmp_path: Path) -> None:
    usual, costs = kind(backend="latentsync-1.5"), book(tmp_path)
    costs.learn(WORK, usual, report())
    quick = kind(backend="latentsync-1.5", latentsync={"steps": 5, "guidance": 1})
    published, fast = (costs.forecast(WORK, [each]).turns[0]["render"] - 8 for each in (usual, quick))
    assert published / fast == pytest.approx(8.0)  # 20 steps twice, 5 once


@pytest.mark.parametrize("changes", [{"fallback_frames": 5}, {"face_frames": 0}])
def test_what_others_painted_teaches_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    costs = book(tmp_path)
    costs.learn(WORK, kind(), report(**changes))
    assert costs.costs(kind()) == GUESS


def test_a_comparison_looks_for_faces_once_and_shows_all_at_the_end(tmp_path: Path) -> None:
    costs = book(tmp_path)
    forecast = costs.forecast(WORK, [kind(backend=name) for name in ("preview", "musetalk-v15")])
    assert [turn.get("plan") for turn in forecast.turns] == [0.5, 0.0, None]
    assert set(forecast.turns[2]) == {"finish"}
    other = kind(backend="musetalk-v15")
    costs.learn(WORK, other, report(known_frames=10))
    assert costs.costs(other).plan == GUESS.plan


def test_what_was_known_costs_nothing() -> None:
    half = GUESS.spared(0.5, 1.0)
    assert (half.plan, half.parse, half.paint) == (GUESS.plan / 2, 0.0, GUESS.paint)


def test_a_book_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    for text in ("", "[]", '{"preview": 3}', "\0"):
        (tmp_path / "costs.json").write_text(text)
        assert book(tmp_path).costs(kind()) == GUESS


def test_guesses_follow_from_the_speed_of_the_machine() -> None:
    def asked() -> float:
        raise AssertionError("no network runs")

    assert guessed_costs(kind(), asked).paint < 0.1
    work = WORK.model_copy(update={"frames": 250, "source_frames": 250})

    def seconds(rate: float, **said: object) -> float:
        costs = CostBook(Path("none"), lambda each: guessed_costs(each, lambda: rate))
        return costs.forecast(work, [kind(**said)]).seconds

    slow = seconds(200.0, backend="latentsync-1.5")
    assert 5 * 3600 < slow < 12 * 3600  # ten seconds of video on two cores: 98.7 s a frame were measured
    assert slow / seconds(400.0, backend="latentsync-1.5") == pytest.approx(2.0, rel=0.05)
    assert seconds(200.0, backend="latentsync-1.6") > 3 * slow
    assert seconds(200.0, backend="latentsync-1.5", latentsync={"preset": "fast"}) < 0.6 * slow
    assert 1000 < seconds(200.0, backend="musetalk-v15") < slow / 10
    assert seconds(200.0, backend="musetalk-v15", network={"decoder": "tiny"}) < seconds(200.0, backend="musetalk-v15")
    assert seconds(700_000.0, backend="latentsync-1.5") < 120


def test_a_backend_of_another_package_says_itself_what_its_network_has_to_do() -> None:
    def spec(name: str, **more: Any) -> BackendSpec[Any]:  # noqa: ANN401
        return BackendSpec(name, "another one", load=lambda _: PREVIEW.load(1.0), **more)

    heavy = NetworkWork(start_seconds=5.0, gflop=100.0, step_gflop=50.0, steps=2.0)
    gpu = GpuCost(start_seconds=1.0, seconds_per_frame=0.1)
    registry = BackendRegistry([spec("own", gpu=gpu, work=lambda _: heavy), spec("unsaid", gpu=gpu), spec("none")])

    def costs(name: str) -> Costs:
        return guessed_costs(RenderKind.of(RenderSettings(backend=name), registry), lambda: 200.0)

    own, unsaid, none, warp = costs("own"), costs("unsaid"), costs("none"), guessed_costs(kind(), lambda: 200.0)
    assert 2 * own.paint * 0.55 * 200 == pytest.approx(200.0)  # by one of two steps
    assert (own.begin - warp.begin, none) == (5.0, warp)
    assert unsaid.paint > own.paint * 2


def event(stage: Any, done: int, total: int, seconds: float, **more: Any) -> ProgressEvent:  # noqa: ANN401
    return ProgressEvent(stage, done, total, seconds, **more)


def test_a_job_that_goes_as_forecast_is_told_so() -> None:
    meter = WholeMeter(Forecast(({"preflight": 2.0, "plan": 8.0, "render": 90.0},), learned=True))
    assert meter.read(event("preflight", 0, 5, 0.0))[1] == pytest.approx(100.0)
    assert meter.read(event("plan", 4, 8, 6.0)) == pytest.approx((0.06, 94.0))
    share, left = meter.read(event("render", 20, 90, 30.0, part=0.0))
    assert (share, left) == pytest.approx((0.3, 70.0))


def test_waiting_for_a_device_makes_no_forecast_longer() -> None:
    meter = WholeMeter(Forecast(({"preflight": 2.0, "render": 10.0},), learned=True))
    meter.read(ProgressEvent("preflight", 0, 5, 0.0))
    meter.read(ProgressEvent("preflight", 4, 5, 1.0, before=2))
    meter.read(ProgressEvent("preflight", 4, 5, 600.0, before=1))
    share, left = meter.read(ProgressEvent("preflight", 4, 5, 1200.0))
    assert (share, left) == (pytest.approx(1 / 12, abs=0.02), pytest.approx(11.0, abs=1.5))
    _, left = meter.read(ProgressEvent("render", 0, 100, 1201.0))
    assert left == pytest.approx(10.0, abs=1.5)


def test_a_forecast_that_is_wrong_is_corrected() -> None:
    meter = WholeMeter(Forecast(({"preflight": 1.0, "render": 10.0},), learned=False))
    meter.read(event("preflight", 0, 5, 0.0))
    meter.read(event("render", 0, 100, 1.0))
    lefts = [meter.read(event("render", done, 100, 1.0 + 10.0 * done))[1] for done in (1, 5, 20)]
    assert lefts[0] > 100  # ten times as slow as was thought shows at once
    assert lefts[2] == pytest.approx(800.0, rel=0.05)


def test_no_share_of_a_job_is_taken_back() -> None:
    meter = WholeMeter(Forecast(({"render": 10.0}, {"render": 1000.0}, {"finish": 5.0}), learned=False))
    events = [event("render", done, 10, float(done), turn=0) for done in range(11)]
    events += [event("render", done, 10, 10.0 + 50 * done, turn=1) for done in range(11)]
    events += [event("finish", 1, 2, 512.0, turn=2)]
    shares = [meter.read(each)[0] for each in events]
    assert shares == sorted(shares)
    assert shares[10] < 0.1
    assert shares[-1] > 0.98


def test_the_steps_of_a_loop_are_told() -> None:
    told = list[ProgressEvent]()
    run = RenderRun(told.append)
    run.emit("render", 0, 52)
    run.painting(18.2, (7, 20))
    run.emit("finish", 0, 1)
    assert [(each.step, each.steps) for each in told] == [(0, 0), (7, 20), (0, 0)]
    progress = ProgressMeter().read(told[1])
    assert (progress.step, progress.steps, progress.whole) == (7, 20, None)


def test_steps_within_a_piece_move_the_whole() -> None:
    meter = WholeMeter(Forecast(({"render": 1000.0},), learned=False))
    meter.read(event("render", 0, 100, 0.0))
    assert meter.read(event("render", 0, 100, 20.0, part=1.0))[1] > 1300


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((3, "a few seconds"), (8, "about 10 s"), (42, "about 40 s"), (58, "about 1 min"), (200, "about 3 min")),
        *((1000, "about 15 min"), (3500, "about 1 h"), (4300, "about 1 h 10 min"), (8 * 3600, "about 8 h")),
        *((30 * 3600, "about 30 h"), (80 * 3600, "about 3 days")),
    ],
)
def test_estimates_are_told_as_roughly_as_they_are_known(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
