from __future__ import annotations

import contextvars
import importlib.machinery
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import GpuCost
from musetalk.comparison.compare import compare
from musetalk.errors import BackendError, Cancelled, FaceError, LimitError, MuseTalkError, OutputError
from musetalk.lipsync import LipSync
from musetalk.pipeline.first_costs import guessed_costs
from musetalk.pipeline.forecast import CostBook, RenderKind
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.webui.zerogpu.engine import ZeroGpuEngine, make_engine
from tests.helpers.enhancers import write_enhancer
from tests.helpers.errors import raises_kind
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.forking_gpu import ForkingGpu, Refused, account
from tests.helpers.media import numbered_frames, tone, write_video, write_wav
from tests.helpers.space_engine import FAST, FakeEngine, neural, render
from tests.helpers.tiny_checkpoints import write_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="ZeroGPU forks"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # what ZeroGPU does, whatever Python thinks of it
]


@pytest.fixture
def gpu() -> Iterator[ForkingGpu]:
    gpu = ForkingGpu()
    yield gpu
    assert not any(process.is_alive() for process in gpu.processes)
    assert not [child for child in psutil.Process().children(recursive=True) if "ffmpeg" in child.name()]


def test_a_render_runs_in_a_process_with_a_gpu_as_if_it_were_here(tmp_path: Path, gpu: ForkingGpu) -> None:
    events: list[ProgressEvent] = []
    made = render(ZeroGpuEngine(FakeEngine(), gpu, refusals=(Refused,)), tmp_path, neural(), events.append)
    assert made.device == str(gpu.processes[0].pid)
    assert made.output == str(tmp_path / "out.mp4")
    assert made.settings == neural().model_dump(mode="json")
    assert [(event.stage, event.done) for event in events] == [
        ("preflight", 0),
        ("preflight", 1),
        ("render", 1),
        ("render", 2),
        ("render", 3),
    ]
    assert (tmp_path / "out.mp4").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("frames", "cost", "seconds"),
    [(100, FAST, 32), (1000, FAST, 88), (100, GpuCost(start_seconds=40, seconds_per_frame=1.0), 188)],
)
def test_the_time_asked_for_grows_with_frames_and_backend(
    tmp_path: Path, gpu: ForkingGpu, frames: int, cost: GpuCost, seconds: int
) -> None:
    render(ZeroGpuEngine(FakeEngine(cost=cost, frames=frames), gpu), tmp_path, neural())
    assert gpu.asked == [seconds]


def test_more_time_than_allowed_is_refused_before_it_is_asked_for(tmp_path: Path, gpu: ForkingGpu) -> None:
    engine = ZeroGpuEngine(FakeEngine(frames=1000), gpu, max_seconds=60)
    with pytest.raises(LimitError, match="88 s of GPU time, and 60 s are the most here: use a shorter voice"):
        render(engine, tmp_path, neural())
    assert gpu.asked == []


def test_the_preview_backend_asks_for_no_gpu(tmp_path: Path, gpu: ForkingGpu) -> None:
    made = render(ZeroGpuEngine(FakeEngine(), gpu), tmp_path, RenderSettings(), lambda _event: None, CancelToken())
    assert made.device == str(os.getpid())
    assert gpu.asked == []


@pytest.mark.parametrize(("backend", "seconds"), [("preview", 35), ("neural", 45)])
def test_an_enhancer_asks_for_a_gpu_whatever_paints(
    tmp_path: Path, gpu: ForkingGpu, backend: str, seconds: int
) -> None:
    model = write_enhancer(tmp_path / "enhances.pth")
    wanted = RenderSettings.parse({"backend": backend, "enhance": {"model": str(model)}})
    render(ZeroGpuEngine(FakeEngine(frames=100), gpu), tmp_path, wanted)
    assert gpu.asked == [seconds]


def test_no_network_runs_in_the_process_that_is_forked(tmp_path: Path, gpu: ForkingGpu) -> None:
    engine = ZeroGpuEngine(FakeEngine(), gpu)
    quiet = (lambda _event: None, CancelToken())
    here, lent = render(engine, tmp_path, RenderSettings(), *quiet), render(engine, tmp_path, neural())
    assert here.settings["detector"]["name"] == "mtcnn"
    assert lent.settings["detector"]["name"] == "auto"
    assert (here.requested, here.backend, lent.requested) == ("auto", "preview", "")
    write_all(tmp_path / "models", ["s3fd"])
    asked = RenderSettings.parse({"models_dir": tmp_path / "models", "detector": {"name": "s3fd"}})
    made = render(engine, tmp_path, asked)
    assert made.settings["detector"]["name"] == "s3fd"
    assert [made.device, len(gpu.asked)] == [str(gpu.processes[1].pid), 2]


@pytest.mark.usefixtures("own_cache")
def test_what_is_chosen_goes_by_the_gpu_that_is_lent(tmp_path: Path, gpu: ForkingGpu) -> None:
    inner = FakeEngine()
    good = replace(inner.registry.get("neural"), quality=10)
    inner.registry = BackendRegistry((PREVIEW, good))
    engine = ZeroGpuEngine(inner, gpu)
    made = render(engine, tmp_path, RenderSettings(models_dir=tmp_path), lambda _event: None, CancelToken())
    assert (made.requested, made.backend, made.settings["backend"]) == ("auto", "neural", "neural")
    assert made.choice.startswith("chosen automatically: neural, the best there is; it takes ")
    assert len(gpu.asked) == 1


def test_one_frame_is_shown_by_whatever_would_render_it(tmp_path: Path, gpu: ForkingGpu) -> None:
    engine = ZeroGpuEngine(FakeEngine(), gpu, refusals=(Refused,))
    draft = RenderSettings(backend="preview")
    assert engine.preview_frame(tmp_path / "a.mp4", None, draft, at=1.5) == (os.getpid(), 1.5)
    assert gpu.asked == []
    assert engine.preview_frame(tmp_path / "a.mp4", None, neural(), at=1.5) == (gpu.processes[0].pid, 1.5)
    assert gpu.asked == [33]
    with raises_kind(FaceError, problem="no face", remedy="show one"):
        engine.preview_frame(tmp_path / "a.mp4", None, neural("faceless"))
    with raises_kind(FaceError, problem="the input is broken"):
        ZeroGpuEngine(FakeEngine(broken_input=True), gpu).preview_frame(tmp_path / "a.mp4", None, neural())
    assert len(gpu.asked) == 2


def test_bad_inputs_and_outputs_cost_no_gpu_time(tmp_path: Path, gpu: ForkingGpu) -> None:
    with raises_kind(FaceError, problem="the input is broken"):
        render(ZeroGpuEngine(FakeEngine(broken_input=True), gpu), tmp_path, neural())
    engine = ZeroGpuEngine(FakeEngine(), gpu)
    with raises_kind(OutputError, path=tmp_path / "out.txt"):
        engine.render(tmp_path / "a.mp4", tmp_path / "a.wav", tmp_path / "out.txt", neural())
    with raises_kind(OutputError, path=tmp_path / "a.mp4"):
        engine.render(tmp_path / "a.mp4", tmp_path / "a.wav", tmp_path / "a.mp4", neural())
    assert gpu.asked == []


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("faceless", FaceError("no face", "show one")),
        ("buggy", BackendError("ZeroGPU worker error: ZeroDivisionError", "try again")),
        ("killed", BackendError("ZeroGPU worker error: GPU task aborted", "try again")),
    ],
)
def test_failures_arrive_as_themselves_and_leave_nothing(
    tmp_path: Path, gpu: ForkingGpu, how: str, expected: MuseTalkError
) -> None:
    with pytest.raises(MuseTalkError) as caught:
        render(ZeroGpuEngine(FakeEngine(), gpu, refusals=(Refused,)), tmp_path, neural(how))
    assert type(caught.value) is type(expected)
    assert caught.value.problem == expected.problem
    assert caught.value.remedy.startswith(expected.remedy)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_says_why_and_what_to_do(tmp_path: Path) -> None:
    gpu = ForkingGpu(refusal="60 s requested, 12 s left.")
    with pytest.raises(BackendError, match="ZeroGPU quota exceeded: 60 s requested, 12 s left: try again later"):
        render(ZeroGpuEngine(FakeEngine(), gpu, refusals=(Refused,)), tmp_path, neural())
    assert list(tmp_path.iterdir()) == []


def test_cancelling_ends_the_process_and_its_children(tmp_path: Path, gpu: ForkingGpu) -> None:
    cancel = CancelToken()

    def stop_soon(event: ProgressEvent) -> None:
        if event.stage == "render":
            cancel.cancel()

    with pytest.raises(Cancelled):
        render(ZeroGpuEngine(FakeEngine(), gpu), tmp_path, neural("long"), stop_soon, cancel)
    assert [process.exitcode for process in gpu.processes] == [0]
    assert list(tmp_path.iterdir()) == []


def test_cancelling_while_waiting_for_a_gpu_ends_what_then_begins(tmp_path: Path, gpu: ForkingGpu) -> None:
    cancel = CancelToken()
    gpu.before_fork = cancel.cancel
    with pytest.raises(Cancelled):
        render(ZeroGpuEngine(FakeEngine(), gpu), tmp_path, neural("long"), None, cancel)
    assert [process.exitcode for process in gpu.processes] == [0]
    assert list(tmp_path.iterdir()) == []


def test_a_caller_that_fails_ends_the_process_too(tmp_path: Path, gpu: ForkingGpu) -> None:
    def fail(event: ProgressEvent) -> None:
        if event.stage == "render":
            raise KeyError(event.done)

    with pytest.raises(KeyError):
        render(ZeroGpuEngine(FakeEngine(), gpu), tmp_path, neural("long"), fail)
    assert [process.exitcode for process in gpu.processes] == [0]
    assert list(tmp_path.iterdir()) == []


def test_the_gpu_is_asked_for_on_the_account_of_whoever_submitted(tmp_path: Path, gpu: ForkingGpu) -> None:
    engine = ZeroGpuEngine(FakeEngine(), gpu)
    context = contextvars.copy_context()
    context.run(account.set, "ada")
    with ThreadPoolExecutor(1) as worker:
        worker.submit(context.run, render, engine, tmp_path, neural()).result()
    assert gpu.accounts == ["ada"]


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_elsewhere_the_engine_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", value)
    engine = FakeEngine()
    assert make_engine(engine) is engine


def test_without_the_spaces_package_the_engine_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    engine = FakeEngine()
    assert make_engine(engine) is engine


def test_on_zerogpu_the_engine_borrows_its_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpu: ForkingGpu
) -> None:
    for name, contents in {"spaces": {"GPU": gpu}, "gradio": {"Error": Refused}}.items():
        module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("SPACES_ZERO_GPU", "True")
    engine = make_engine(FakeEngine(), max_seconds=31)
    assert isinstance(engine, ZeroGpuEngine)
    with pytest.raises(LimitError, match="32 s"):
        render(engine, tmp_path, neural())
    gpu.refusal = "no."
    with pytest.raises(BackendError, match="exceeded: no: try"):
        render(make_engine(FakeEngine()), tmp_path, neural())


def test_a_comparison_asks_for_a_gpu_for_each_render_that_needs_one(tmp_path: Path, gpu: ForkingGpu) -> None:
    lent = replace(PREVIEW, name="neural", summary="", notice="", gpu=FAST)
    costs = CostBook(tmp_path / "costs.json", lambda kind: guessed_costs(kind, lambda: 1.0))
    inner = LipSync(BackendRegistry((PREVIEW, lent)), EverywhereAFace(), costs)
    engine = ZeroGpuEngine(inner, gpu, refusals=(Refused,))
    video = write_video(tmp_path / "a.mp4", numbered_frames(5, 96, 96))
    voice = write_wav(tmp_path / "a.wav", tone(0.2))
    made = compare(engine, RenderRequest(video, voice, RenderSettings()), tmp_path / "made", ["preview", "neural"])
    assert [(part.backend, part.error) for part in made.parts] == [("preview", ""), ("neural", "")]
    assert len(gpu.asked) == 1
    for backend in ("preview", "neural"):  # wherever it was rendered, it is learned from, once
        known = costs.known(RenderKind.of(RenderSettings(backend=backend), engine.registry))
        assert known is not None
        assert known.frames == 5
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names == {"preview.mp4", "neural.mp4", "side-by-side.mp4", "plots.png", "comparison.json"}
