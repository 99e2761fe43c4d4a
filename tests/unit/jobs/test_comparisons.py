"""Comparisons in the queue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from musetalk.assets import PORTRAIT
from musetalk.comparison.types import COMPARISON
from musetalk.errors import BackendError, JobError
from musetalk.jobs.job import Job
from musetalk.jobs.service import JobService
from musetalk.jobs.store import RECORD, JobStore
from musetalk.media.types import Source
from musetalk.pipeline.engine import Engine as AnyEngine
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, LONGEST, Engine


class Comparing:
    """Compares when the engine is told to render, twice."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[str], str]] = []

    def __call__(
        self,
        engine: AnyEngine,
        request: RenderRequest,
        folder: Path,
        backends: Sequence[str],
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        self.asked.append((backends, request.settings.backend))
        engine.make(request, folder / "side-by-side.mp4", on_progress=on_progress, cancel=cancel)
        engine.release()
        (folder / COMPARISON).write_text("{}")


def compare(service: JobService, voice: Path, *backends: str) -> Job:
    return service.submit(ANN, RenderRequest(PORTRAIT, voice), compare=backends)


@pytest.fixture
def comparing(tmp_path: Path, engine: Engine) -> Iterator[tuple[JobService, Comparing]]:
    comparer = Comparing()
    service = JobService([engine], JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8), compare=comparer)
    yield service, comparer
    service.close()


def test_a_comparison_is_a_job_like_any_other(
    comparing: tuple[JobService, Comparing], engine: Engine, voice: Path
) -> None:
    service, comparer = comparing
    job = compare(service, voice, "preview", "musetalk-v15")
    assert job.title == "portrait + hello: preview beside musetalk-v15"
    assert job.compare == ("preview", "musetalk-v15")
    assert service.store.report(job) is None
    engine.go.release()
    assert service.wait(job, LONGEST).state == "done"
    assert comparer.asked == [(("preview", "musetalk-v15"), "preview")]
    assert engine.order[-1] == "release"
    assert service.store.file(job, job.result) == service.store.folder(job) / "side-by-side.mp4"
    assert service.store.report(job) == service.store.folder(job) / COMPARISON
    assert json.loads((service.store.folder(job) / RECORD).read_text())["compare"] == ["preview", "musetalk-v15"]


def test_a_comparison_can_be_stopped(comparing: tuple[JobService, Comparing], engine: Engine, voice: Path) -> None:
    service, _ = comparing
    job = compare(service, voice, "preview", "musetalk-v1")
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(job.id, ANN)
    assert service.wait(job, LONGEST).state == "cancelled"
    assert service.store.report(job) is None


def test_every_backend_is_checked_before_a_comparison_is_queued(
    comparing: tuple[JobService, Comparing], engine: Engine, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = comparing
    whole = engine.check

    def check(request: RenderRequest) -> Source:
        if request.settings.backend == "broken":
            raise BackendError("it lacks weights", "fetch them")
        return whole(request)

    monkeypatch.setattr(engine, "check", check)
    with raises_kind(BackendError):
        compare(service, voice, "preview", "broken")
    with raises_kind(JobError):
        compare(service, voice, "preview")
    with raises_kind(JobError):
        compare(service, voice, "preview", "auto")
    with raises_kind(JobError):
        compare(service, voice, "preview", "musetalk-v15", "preview")
    assert service.jobs(ANN) == []


def test_where_nothing_compares_comparisons_are_refused(tmp_path: Path, engine: Engine, voice: Path) -> None:
    service = JobService([engine], JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8))
    try:
        with raises_kind(JobError):
            compare(service, voice, "preview", "musetalk-v15")
    finally:
        service.close()
