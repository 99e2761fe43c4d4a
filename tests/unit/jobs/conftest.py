from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from tests.helpers.held_engine import Engine, written_voice


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return written_voice(tmp_path)


@pytest.fixture
def start(tmp_path: Path, engine: Engine) -> Iterator[Callable[..., JobService]]:
    started: list[JobService] = []

    def start_it(**limits: Any) -> JobService:  # noqa: ANN401 - as the service takes them
        store = JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8)
        started.append(JobService([engine], store, **limits))
        return started[-1]

    yield start_it
    for service in started:
        service.close()
