from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from musetalk.backends.preview.spec import PREVIEW
from musetalk.batch.executor import Ready
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.jobs.room import Room
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.settings import RenderSettings
from musetalk.webui.monitoring import readiness as looking
from musetalk.webui.monitoring.readiness import DRAINING, NO_WORKER, Readiness
from musetalk.webui.monitoring.routes import metrics_refusal
from musetalk.webui.shutdown import EndSignals
from tests.helpers.held_engine import LONGEST, Engine, submit, written_voice
from tests.helpers.told_one_by_one import Workers
from tests.helpers.waiting import until


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def jobs(tmp_path: Path, engine: Engine) -> Iterator[JobService]:
    store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8)
    service = JobService([engine], store, room=Room(1))
    yield service
    service.close()


@pytest.fixture
def ready(jobs: JobService) -> Readiness:
    """That looks anew every time."""
    times = iter(range(0, 10**6, 10))
    return Readiness(jobs, [PREVIEW.configured(RenderSettings())], lambda: next(times))


class TestReadiness:
    def test_all_is_well(self, ready: Readiness) -> None:
        assert ready.problems() == {}

    def test_the_queue_is_full(self, ready: Readiness, jobs: JobService, engine: Engine, tmp_path: Path) -> None:
        job = submit(jobs, written_voice(tmp_path))
        assert ready.problems() == {"queue": "there is room for 1 job, and 1 wait or run"}
        engine.go.release()
        jobs.wait(job, LONGEST)
        assert ready.problems() == {}

    def test_the_server_is_about_to_end(self, ready: Readiness, jobs: JobService) -> None:
        jobs.drain()
        assert ready.problems() == {"jobs": DRAINING}

    def test_the_folder_is_gone_and_no_path_is_told(self, ready: Readiness, jobs: JobService, tmp_path: Path) -> None:
        shutil.rmtree(jobs.store.root)
        problems = ready.problems()
        assert list(problems) == ["folder"]
        assert str(tmp_path) not in problems["folder"]

    def test_the_folder_is_no_longer_this_servers(self, ready: Readiness, jobs: JobService) -> None:
        jobs.store.close()
        assert list(ready.problems()) == ["folder"]

    def test_there_is_no_ffmpeg(self, ready: Readiness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(looking, "ffmpeg_executable", lambda: str(tmp_path / "none"))
        assert list(ready.problems()) == ["ffmpeg"]

    def test_there_is_no_worker_until_one_is_there(self, jobs: JobService) -> None:
        workers, dispatcher = Workers(), Dispatcher()
        with dispatcher.using(workers):
            ready = Readiness(jobs, [PREVIEW.configured(RenderSettings())], workers=dispatcher)
            assert ready.problems() == {"workers": NO_WORKER}
            workers.tell(Ready("local-1"))
            until(lambda: ready.problems() == {})

    def test_no_backend_is_usable(self, jobs: JobService) -> None:
        assert list(Readiness(jobs, []).problems()) == ["backends"]


def request(client: str = "127.0.0.1", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), said.encode()) for name, said in {"host": "localhost", **headers}.items()]
    return Request({"type": "http", "client": (client, 5000), "headers": raw})


class TestWhoMayReadMetrics:
    def test_this_machine_itself(self) -> None:
        assert metrics_refusal(request(), "") is None

    @pytest.mark.parametrize(
        "stranger",
        [request("10.0.0.7"), request(x_forwarded_for="10.0.0.7"), request(host="elsewhere.example"), request(via="1")],
    )
    def test_nobody_else(self, stranger: Request) -> None:
        refused = metrics_refusal(stranger, "")
        assert refused is not None
        assert refused.status == 403

    def test_nobody_on_a_space(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SPACE_ID", "someone/something")
        assert metrics_refusal(request(), "") is not None

    def test_whoever_has_the_token_from_anywhere_and_no_one_without(self) -> None:
        assert metrics_refusal(request("10.0.0.7", authorization="Bearer s3cret"), "s3cret") is None
        assert metrics_refusal(request(authorization="bearer s3cret"), "s3cret") is None
        for without in (request(), request(authorization="Bearer other"), request(authorization="s3cret")):
            refused = metrics_refusal(without, "s3cret")
            assert refused is not None
            assert refused.status == 401


class TestSignals:
    """Told as the system tells them, without any."""

    def test_each_asks_for_more_than_the_one_before(self) -> None:
        ended = list[int]()
        signals = EndSignals(ended.append)
        signals.listen()
        signals.hear(signal.SIGTERM, None)
        assert signals.wait()
        assert not signals.hurried(0)
        signals.hear(signal.SIGTERM, None)
        assert signals.hurried(0)
        assert ended == []
        signals.hear(signal.SIGTERM, None)
        assert ended == [130]

    def test_ctrl_c_waits_for_nothing(self) -> None:
        ended = list[int]()
        signals = EndSignals(ended.append)
        signals.listen()
        signals.hear(signal.SIGINT, None)
        assert not signals.wait()
        signals.hear(signal.SIGINT, None)
        assert ended == [130]

    def test_a_start_is_interrupted(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            EndSignals().hear(signal.SIGTERM, None)
