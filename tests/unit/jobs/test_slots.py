"""Jobs that workers render: as many at a time as there are of these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from musetalk.errors import QueueError, WorkerError
from musetalk.jobs.room import Room
from musetalk.jobs.service import JobService
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, LONGEST, Engine, submit
from tests.helpers.waiting import until


class Changing:
    """Slots whose number a test sets."""

    def __init__(self) -> None:
        self.jobs = 0
        self._told: list[Callable[[], None]] = []

    def on_change(self, told: Callable[[], None]) -> None:
        self._told.append(told)

    def set(self, jobs: int) -> None:
        self.jobs = jobs
        for told in self._told:
            told()


def test_what_a_worker_left_that_died_goes_with_its_job(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    engine.error = WorkerError("what rendered this ended before it was done, 2 times")
    job = submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    left = service.store.folder(job) / ".musetalk-0123abcd-xyz"
    left.mkdir()
    engine.go.release()
    ended = service.wait(job, LONGEST)
    assert (ended.state, ended.error_kind) == ("failed", "worker_lost")
    assert not left.exists()
    engine.error = None
    assert service.retry(job.id, ANN).active
    engine.go.release()
    assert service.wait(job, LONGEST).state == "done"


def test_jobs_wait_until_somebody_can_render_them(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    slots = Changing()
    service = start(slots=slots)
    jobs = [submit(service, voice) for _ in range(3)]
    assert (service.running, service.ahead) == (0, 3)
    slots.set(2)
    assert service.store.at_once == 2
    for _ in range(2):
        assert engine.begun.acquire(timeout=LONGEST)
    assert [service.get(job.id, ANN).state for job in jobs] == ["running", "running", "queued"]
    assert [service.place(service.get(job.id, ANN)) for job in jobs] == [0, 0, 1]
    assert service.ahead == 2
    slots.set(1)
    engine.go.release()
    until(lambda: [service.get(job.id, ANN).state for job in jobs].count("done") == 1)
    assert service.get(jobs[2].id, ANN).state == "queued"
    engine.go.release()
    assert engine.begun.acquire(timeout=LONGEST)
    engine.go.release()
    assert [service.wait(job, LONGEST).state for job in jobs] == ["done"] * 3
    assert engine.most_running == 2


def test_there_is_more_room_where_there_are_more_workers(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    slots = Changing()
    service = start(slots=slots)
    for _ in range(10):
        submit(service, voice)
    with raises_kind(QueueError):
        submit(service, voice)
    assert service.max_queue == 100
    slots.jobs = 11
    assert service.max_queue == 110
    submit(service, voice)
    service.close()
    assert start(slots=slots, room=Room(5)).max_queue == 5
