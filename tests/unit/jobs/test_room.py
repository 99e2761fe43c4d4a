"""Disk that jobs are given for what their renders write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from musetalk.assets import PORTRAIT, SAMPLE
from musetalk.errors import DiskSpaceError
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.pipeline.request import RenderRequest
from musetalk.utils.files import bytes_below
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, LONGEST, Engine, submit, written_voice


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def start(tmp_path: Path, engine: Engine) -> Iterator[Callable[..., JobService]]:
    started: list[JobService] = []

    def start_it(max_bytes: int) -> JobService:
        store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=max_bytes)
        started.append(JobService([engine], store))
        return started[-1]

    yield start_it
    for service in started:
        service.close()


def test_a_job_asks_for_room_for_what_its_render_writes(
    start: Callable[[int], JobService], engine: Engine, tmp_path: Path
) -> None:
    voice = written_voice(tmp_path)
    service = start(10**8)
    job = submit(service, voice)
    assert job.room_bytes > PORTRAIT.stat().st_size + voice.stat().st_size
    engine.go.release()


def test_a_render_that_would_exceed_the_bound_is_refused_before_it_is_kept(
    start: Callable[[int], JobService], tmp_path: Path
) -> None:
    voice = written_voice(tmp_path)
    service = start(SAMPLE.stat().st_size + voice.stat().st_size + 1000)  # the inputs alone would fit
    with raises_kind(DiskSpaceError):
        service.submit(ANN, RenderRequest(SAMPLE, voice))
    assert service.jobs(ANN) == []


def test_a_render_that_is_asked_for_once_more_has_to_find_room_once_more(
    start: Callable[[int], JobService], engine: Engine, tmp_path: Path
) -> None:
    voice, most = written_voice(tmp_path), 5 * 10**6
    service = start(most)
    first = submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(first.id, ANN)
    assert service.wait(first, LONGEST).state == "cancelled"
    other = submit(service, voice)
    grown = service.store.folder(other) / "grown"
    grown.write_bytes(bytes(most - bytes_below(service.store.root) - 1000))
    with raises_kind(DiskSpaceError):
        service.retry(first.id, ANN)
    assert service.get(first.id, ANN).state == "cancelled"
    grown.unlink()
    assert service.retry(first.id, ANN).active
    assert service.store.newest(first).room_bytes == first.room_bytes
    engine.go.release(2)
