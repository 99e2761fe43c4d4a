"""The Compare tab's handlers and the endpoints, over jobs whose comparisons are quickly made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from musetalk.assets import PORTRAIT
from musetalk.comparison.types import COMPARISON, SIDE_BY_SIDE, SOURCE_IN_STEP, Compared, Comparison
from musetalk.errors import MuseTalkError
from musetalk.jobs.job import Job
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.lipsync import LipSync
from musetalk.pipeline.engine import Engine as AnyEngine
from musetalk.pipeline.forecast import CostBook, Costs
from musetalk.pipeline.report import Fallback
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import RenderSettings
from musetalk.webui.api import Api
from musetalk.webui.backend_names import titled
from musetalk.webui.downloads import Downloads
from musetalk.webui.form import settings_form
from musetalk.webui.form.form_values import values_of
from musetalk.webui.form.widgets import Value
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.compare_handlers import CompareHandlers
from musetalk.webui.tabs.compare_stage import CompareStage, build_compare_stage, build_work
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_inputs import JobInputs
from musetalk.webui.tabs.job_views import JobViews, Place
from musetalk.webui.uploads import Uploads
from tests.helpers.compared import FRAMES, RATE, finished, report_of
from tests.helpers.held_engine import LONGEST, Engine, written_voice
from tests.helpers.html_page import Page
from tests.helpers.media import tone, write_wav
from tests.unit.webui.test_form import made_form

pytestmark = pytest.mark.slow

NAMES = ("preview", "latentsync-1.5")
VISITOR = "ann"
COSTS = Costs(begin=1, plan=0, parse=0, speech=0, paint=0, other=0, finish=1)


@dataclass
class Comparing:
    """Writes a clip for each backend, unless it is to fail; `changes` are of the reports."""

    fail: tuple[str, ...] = ()
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: str = ""
    paint: float = 0.1

    def __call__(
        self,
        engine: AnyEngine,
        request: RenderRequest,
        folder: Path,
        backends: Sequence[str],
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Comparison:
        del engine, on_progress, cancel
        parts, settings = list[Compared](), request.settings
        for name in backends:
            if name in self.fail:
                parts.append(
                    Compared(name, error=f"{settings.models_dir}/unet.pt is damaged: fetch it to {settings.models_dir}")
                )
                continue
            out = finished(folder / f"{name}.mp4")
            chosen = settings.with_backend(name)
            parts.append(Compared(name, out.name, report_of(out, chosen, **self.changes.get(name, {}))))
        together = "" if self.fail else SIDE_BY_SIDE
        if together:
            (folder / SIDE_BY_SIDE).write_bytes(b"mp4")
        if self.source:
            (folder / self.source).write_bytes(b"mp4")
        comparison = Comparison(
            request.video.name, request.voice.name, tuple(parts), together, source_in_step=self.source
        )
        comparison.save(folder / COMPARISON)
        return comparison


@dataclass(frozen=True)
class Tab:
    """The tab's handlers, and what they stand on."""

    site: Site
    comparing: Comparing
    handlers: CompareHandlers
    stage: CompareStage
    backends: gr.CheckboxGroup
    voice: Path

    def asked(self, **query: str) -> gr.Request:
        return cast("gr.Request", SimpleNamespace(username=None, session_hash="a", query_params=query))

    def compared(self) -> Job:
        """A comparison that has ended."""
        jobs = self.site.jobs
        owner = owner_of(VISITOR, self.asked())
        job = jobs.submit(owner, RenderRequest(PORTRAIT, self.voice, self.site.base), compare=NAMES)
        job = jobs.wait(job, LONGEST)
        assert job.state == "done", job.error
        return job

    def pair(self, job: Job) -> dict[str, Any]:
        """What the viewer of a comparison is given."""
        [shown] = Page(self.handlers.open(job)[self.stage.pair]).having(**{"class": "mt-pair"})
        return dict(json.loads(shown["data-pair"] or ""))


@pytest.fixture(scope="module")
def built() -> tuple[CompareStage, gr.CheckboxGroup, gr.HTML]:
    async def build() -> tuple[CompareStage, gr.CheckboxGroup, gr.HTML]:
        with gr.Blocks(analytics_enabled=False):
            stage = build_compare_stage(gr.HTML(), build_work(ready=True))
            return stage, gr.CheckboxGroup(["preview"]), gr.HTML()

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


@pytest.fixture
def tab(tmp_path: Path, built: tuple[CompareStage, gr.CheckboxGroup, gr.HTML]) -> Iterator[Tab]:
    comparing, models = Comparing(), tmp_path / "models"
    store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8)
    costs = CostBook(tmp_path / "costs.json", lambda _: COSTS.model_copy(update={"paint": comparing.paint}))
    service = JobService([Engine()], store, compare=comparing, costs=costs)
    uploads, downloads = Uploads(tmp_path / "uploads", 10**8), Downloads((), models, allowed=False)
    site = Site(LipSync(), service, RenderSettings(models_dir=models), "cpu", uploads, downloads)
    stage, backends, lacking = built
    handlers = CompareHandlers(site, stage, backends, lacking, Estimates(site))
    yield Tab(site, comparing, handlers, stage, backends, written_voice(tmp_path))
    downloads.close()
    service.close()


def test_a_frame_of_two_comes_from_the_results_themselves(tab: Tab) -> None:
    job = tab.compared()
    shown, folder = tab.pair(job), tab.site.jobs.store.folder(job)
    assert (shown["fps"], shown["frames"]) == (float(RATE), FRAMES)
    for side, name in zip(shown["sides"], NAMES, strict=True):
        video = folder / f"{name}.mp4"
        assert (side["name"], side["label"], side["size"]) == (name, titled(name), video.stat().st_size)
        assert side["address"].endswith(str(video))


def test_the_source_is_a_side(tab: Tab) -> None:
    tab.comparing.source = SOURCE_IN_STEP
    *_, last = tab.pair(tab.compared())["sides"]
    assert (last["name"], last["label"], Path(last["address"]).name) == ("source", "the source", SOURCE_IN_STEP)
    tab.comparing.fail = ("latentsync-1.5",)
    assert [side["name"] for side in tab.pair(tab.compared())["sides"]] == ["preview", "source"]


def test_a_backend_that_vanished_is_not_chosen_any_more(tab: Tab) -> None:
    refreshed = tab.handlers.refresh(["preview", "gone"])
    assert refreshed[tab.backends].value == ["preview"]
    assert refreshed[tab.stage.compare_button].interactive is False


def test_a_failure_is_said_and_the_result_is_named(tab: Tab) -> None:
    tab.comparing.fail = ("latentsync-1.5",)
    job = tab.compared()
    assert job.failed == ("latentsync-1.5",)
    shown = tab.handlers.open(job)
    assert shown[tab.stage.video].label == "Only result: Draft"
    assert "but latentsync-1.5 failed" in Page(shown[tab.stage.status]).text
    told = Page(shown[tab.stage.report]).text
    assert "unet.pt is damaged: fetch it to models" in told
    assert str(tab.site.base.models_dir) not in told


def test_who_painted_which_frames_is_said_beside_them(tab: Tab) -> None:
    tab.comparing.changes = {
        "latentsync-1.5": {"fallbacks": (Fallback(2, 6, "no memory", "musetalk-v15"),), "fallback_frames": 4}
    }
    plain, partly = tab.pair(tab.compared())["sides"]
    assert (plain["others"], partly["others"], partly["label"]) == ([], [[2, 6, "musetalk-v15"]], "latentsync-1.5")


def test_a_result_of_another_backend_is_offered_as_its(tab: Tab) -> None:
    whole = (Fallback(0, 12, "no weights", "musetalk-v15"),)
    tab.comparing.changes = {
        "latentsync-1.5": {"fallbacks": whole, "fallback_frames": 12, "instead": "musetalk-v15", "warnings": ("so",)}
    }
    assert tab.pair(tab.compared())["sides"][1]["label"] == "latentsync-1.5 (by musetalk-v15)"


def test_what_became_of_its_files_hides_no_comparison(tab: Tab) -> None:
    job, stage = tab.compared(), tab.stage
    files = tab.site.jobs.store.folder(job)
    (files / "latentsync-1.5.mp4").unlink()
    (files / SIDE_BY_SIDE).unlink()
    inputs = JobInputs(tab.site, gr.File(), gr.Audio(), made_form(), (gr.HTML(), gr.HTML()))
    views = JobViews(tab.site, gr.Tabs(), {"compare": Place(tab.handlers, inputs)})
    restored = views.restore(tab.asked(job=job.id), VISITOR, "")
    assert Path(restored[inputs.source]).name == PORTRAIT.name
    assert restored[tab.backends].value == ["preview"]  # LatentSync has no weights here
    assert restored[stage.video].label == "Only result: Draft"
    assert restored[stage.pair] == ""
    assert "latentsync-1.5" in restored[stage.report]


@pytest.mark.parametrize(("picked_in", "refused"), [("other.mp4", True), (str(PORTRAIT), False)])
def test_a_picked_face_is_of_one_file(tab: Tab, picked_in: str, refused: bool) -> None:
    said = {"face": settings_form.PICKED, "point": "10, 10", "backend": "preview"}
    values = tuple(said.get(name) for name in settings_form.NAMES)
    with pytest.raises(MuseTalkError) as caught:
        tab.handlers.compare(tab.asked(), str(PORTRAIT), str(tab.voice), VISITOR, [*NAMES], picked_in, *values)
    assert ("another rule under Face" in str(caught.value)) == refused


def usual() -> tuple[Value, ...]:
    """The form as it is at first."""
    held = values_of(RenderSettings()).shown
    return tuple(held.get(name) for name in settings_form.NAMES)


def asked_to_compare(tab: Tab, voice: Path, *, anyway: bool = False) -> dict[Any, Any]:
    values = usual()
    ask = tab.handlers.compare_anyway if anyway else tab.handlers.compare
    return ask(tab.asked(), str(PORTRAIT), str(voice), VISITOR, [*NAMES], None, *values)


def test_what_takes_over_an_hour_is_asked_about_first(tab: Tab, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(0.5))
    tab.comparing.paint = 10_000.0
    shown = asked_to_compare(tab, voice)
    [question] = Page(shown[tab.stage.question]).having(role="alert")
    assert question["class"] == "mt-ask-first"
    assert tab.site.jobs.waiting() == 0
    begun = asked_to_compare(tab, voice, anyway=True)
    assert begun[tab.stage.job] != ""
    assert begun[tab.stage.question] == ""


def test_an_estimate_is_of_all_backends_in_their_order(tab: Tab, tmp_path: Path) -> None:
    voice, values = write_wav(tmp_path / "voice.wav", tone(0.5)), usual()
    told = tab.handlers.estimate(str(PORTRAIT), str(voice), ["latentsync-1.5", "preview"], *values)
    assert "with Draft and latentsync-1.5 on cpu: a first guess" in Page(told).text
    assert tab.handlers.estimate(str(PORTRAIT), str(voice), ["preview"], *values) == ""
    assert tab.handlers.estimate(str(PORTRAIT), None, [*NAMES], *values) == ""
    assert tab.handlers.estimate(str(PORTRAIT), str(PORTRAIT), [*NAMES], *values) == ""  # no voice: told beside it


def test_programs_get_what_there_is(tab: Tab) -> None:
    api = Api(tab.site)
    tab.comparing.fail = ("latentsync-1.5",)
    ticket = api.submit(tab.asked(), str(PORTRAIT), str(tab.voice), None, [*NAMES])
    owner = owner_of(ticket["key"], tab.asked())
    tab.site.jobs.wait(tab.site.jobs.get(ticket["job"], owner), LONGEST)
    state, result, account = api.status(tab.asked(), **ticket)
    assert state["failed"] == ["latentsync-1.5"]
    assert result is not None
    assert Path(result).name == "preview.mp4"
    assert account is not None
    assert "source" not in account
    assert account["title"] == "portrait + hello: preview beside latentsync-1.5"
    [painted, failed] = account["parts"]
    assert (painted["report"]["output"], painted["report"]["settings"]["models_dir"]) == ("preview.mp4", "")
    assert failed["error"] == "unet.pt is damaged: fetch it to models"
    assert [Path(path).name for path in api.files(tab.asked(), **ticket)] == ["preview.mp4"]


def test_programs_get_every_file(tab: Tab) -> None:
    api = Api(tab.site)
    ticket = api.submit(tab.asked(), str(PORTRAIT), str(tab.voice), None, [*NAMES])
    tab.site.jobs.wait(tab.site.jobs.get(ticket["job"], owner_of(ticket["key"], tab.asked())), LONGEST)
    names = [Path(path).name for path in api.files(tab.asked(), **ticket)]
    assert names == [SIDE_BY_SIDE, "preview.mp4", "latentsync-1.5.mp4"]
