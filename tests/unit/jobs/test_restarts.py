"""What becomes of jobs, and of what is counted, where their server ends and starts again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from musetalk.errors import (
    DrainingError,
    FaceError,
)
from musetalk.jobs.service import JobService
from musetalk.jobs.store import RECORD
from musetalk.utils.prometheus import exposition
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, LONGEST, Engine, submit
from tests.helpers.metrics import read_metrics


def test_closing_queues_what_ran_again_and_the_next_start_takes_it_up(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    first, second = submit(service, voice), submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    (service.store.folder(first) / "half.mp4").write_bytes(b"half")
    service.close()
    stopped = service.get(first.id, ANN)
    assert (stopped.state, stopped.started, stopped.progress) == ("queued", None, None)
    service = start()
    engine.go.release(2)
    assert [service.wait(job, LONGEST).state for job in (first, second)] == ["done", "done"]
    assert engine.order == [first.id, first.id, second.id]
    assert not (service.store.folder(first) / "half.mp4").exists()


def test_what_its_owner_has_stopped_stays_so_where_the_server_ends_at_the_same_moment(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    job = submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    service.drain()
    service.stop(job.id, ANN)
    service.close()
    assert service.get(job.id, ANN).state == "cancelled"


def test_a_server_about_to_end_ends_what_runs_begins_nothing_and_takes_nothing(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    running, waiting = submit(service, voice), submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    service.drain()
    with raises_kind(DrainingError):
        submit(service, voice)
    engine.go.release(2)
    assert service.wait(running, LONGEST).state == "done"
    service.stop(waiting.id, ANN)
    with raises_kind(DrainingError):
        service.retry(waiting.id, ANN)
    assert engine.order == [running.id]


def test_counts_add_up_at_every_moment_and_after_a_restart(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()

    def counted() -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        found = read_metrics(exposition(service.figures()))
        accepted = found.by("musetalk_jobs_accepted_total", "origin")
        ended, now = found.by("musetalk_jobs_ended_total", "state"), found.by("musetalk_jobs", "state")
        assert sum(accepted.values()) == sum(ended.values()) + sum(now.values())
        return accepted, ended, now

    first, second, third, fourth = (submit(service, voice) for _ in range(4))
    assert engine.begun.acquire(timeout=LONGEST)
    assert counted()[2] == {"running": 1, "waiting": 3}
    engine.go.release()
    service.wait(first, LONGEST)
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(third.id, ANN)
    engine.error = FaceError("no face was found", "choose another source")
    engine.go.release()
    service.wait(second, LONGEST)
    engine.error = None
    assert engine.begun.acquire(timeout=LONGEST)
    service.retry(second.id, ANN)
    accepted, ended, now = counted()
    assert accepted == {"kept": 0, "retried": 1, "submitted": 4}
    assert ended == {"cancelled": 1, "done": 1, "failed": 1}
    assert now == {"running": 1, "waiting": 1}
    found = read_metrics(exposition(service.figures()))
    assert found.by("musetalk_job_failures_total", "kind") == {"face": 1}
    assert found.value("musetalk_job_wait_seconds_count") == 3
    service.delete_ended(ANN)
    assert counted()[1] == ended
    service.close()
    assert counted()[2] == {"running": 0, "waiting": 2}
    service = start()
    assert counted()[0] == {"kept": 2, "retried": 0, "submitted": 0}
    engine.go.release(2)
    assert [service.wait(job, LONGEST).state for job in (fourth, second)] == ["done", "done"]
    assert counted()[1] == {"cancelled": 0, "done": 2, "failed": 0}


def test_a_job_that_ends_its_servers_is_counted_as_failed(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    job = submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    service.close()
    record = service.store.folder(job) / RECORD
    killed = {"state": "running", "started": job.created, "interruptions": 1}
    record.write_text(json.dumps({**json.loads(record.read_text()), **killed}))
    found = read_metrics(exposition(start().figures()))
    assert found.value("musetalk_jobs_accepted_total", origin="kept") == 1
    assert found.by("musetalk_job_failures_total", "kind") == {"interrupted": 1}
    assert found.by("musetalk_jobs", "state") == {"running": 0, "waiting": 0}
