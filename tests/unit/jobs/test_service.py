"""Jobs in the queue, one at a time: whose they are, how they end, what they are called."""

from __future__ import annotations

import contextvars
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from musetalk.assets import PORTRAIT
from musetalk.avatars.store import AvatarStore
from musetalk.errors import (
    Cancelled,
    DiskSpaceError,
    FaceError,
    JobError,
    MediaError,
    NoJobError,
    OutputError,
    QueueError,
)
from musetalk.jobs.job import Attachment, Job
from musetalk.jobs.room import Room
from musetalk.jobs.service import JobService
from musetalk.jobs.store import RECORD, REPORT, JobStore, owner_digest
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, ASKED_BY, BOB, LONGEST, Engine, submit

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar


def test_a_job_runs_and_leaves_result_and_report(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    job = submit(service, voice)
    assert job.title == "portrait + hello"
    assert engine.begun.acquire(timeout=LONGEST)
    running = service.get(job.id, ANN)
    assert running.state == "running"
    assert running.progress is not None
    assert (running.progress.done, running.progress.total) == (5, 10)
    assert running.progress.frames_per_second == 2.5
    assert running.progress.seconds_left == 2.0
    engine.go.release()
    done = service.wait(job, LONGEST)
    assert done.state == "done"
    assert done.seconds is not None
    result, report = (service.store.file(job, name) for name in (job.result, REPORT))
    assert result is not None
    assert result.read_bytes() == b"mp4"
    assert report is not None
    assert json.loads(report.read_text())["frames"] == 10


def test_jobs_run_one_at_a_time_in_their_order(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    jobs = [submit(service, voice, owner) for owner in (ANN, BOB, ANN)]
    assert engine.begun.acquire(timeout=LONGEST)
    assert [service.place(service.store.newest(job)) for job in jobs] == [0, 1, 2]
    assert service.waiting() == 3
    engine.go.release(3)
    for job in jobs:
        assert service.wait(job, LONGEST).state == "done"
    assert engine.order == [job.id for job in jobs]
    assert engine.most_running == 1
    assert service.waiting() == 0


def test_what_is_attached_lies_with_the_job_and_stays(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()

    def put(folder: Path) -> dict[str, Path]:
        (folder / "words.srt").write_text("words")
        return {"captions": folder / "words.srt"}

    def asked(digest: str) -> Job:
        return service.submit(ANN, RenderRequest(PORTRAIT, voice), once=True, attachment=Attachment(digest, put))

    job = asked("a")
    assert job.settings.captions is not None
    assert job.settings.captions.is_relative_to(service.store.folder(job))
    assert asked("a").id == job.id
    assert asked("b").id != job.id
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(job.id, ANN)
    assert service.wait(job, LONGEST).state == "cancelled"
    assert service.retry(job.id, ANN).settings.captions == job.settings.captions
    assert job.settings.captions.read_text() == "words"
    engine.go.release(2)


def test_what_cannot_be_attached_leaves_no_job(start: Callable[..., JobService], voice: Path) -> None:
    service = start()

    def put(folder: Path) -> dict[str, Path]:
        raise OSError(28, "No space left on device", str(folder))

    with raises_kind(DiskSpaceError):
        service.submit(ANN, RenderRequest(PORTRAIT, voice), attachment=Attachment("a", put))
    assert service.jobs(ANN) == []
    assert not [path for path in service.store.root.iterdir() if path.is_dir()]


def test_everybody_sees_only_their_own(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    mine, other = submit(service, voice, ANN), submit(service, voice, BOB)
    assert [job.id for job in service.jobs(ANN)] == [mine.id]
    for call in (service.get, service.stop, service.delete):
        with raises_kind(NoJobError):
            call(other.id, ANN)
    assert service.get(other.id, BOB).active
    engine.go.release(2)


def test_stopping_a_running_job_frees_the_worker(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    first, second = submit(service, voice), submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(first.id, ANN)
    assert service.wait(first, LONGEST).state == "cancelled"
    engine.go.release()
    assert service.wait(second, LONGEST).state == "done"
    assert service.stop(second.id, ANN).state == "done"


def test_stopping_a_waiting_job_means_it_never_runs(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    first, second = submit(service, voice), submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    assert service.stop(second.id, ANN).state == "cancelled"
    engine.go.release()
    assert service.wait(first, LONGEST).state == "done"
    assert engine.order == [first.id]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (FaceError("no face was found", "use another source"), "face", "no face was found: use another source"),
        (ZeroDivisionError("whoops"), "unforeseen", "did not foresee"),
    ],
)
def test_a_failing_render_says_why_and_the_next_one_runs(
    start: Callable[..., JobService], engine: Engine, voice: Path, error: Exception, kind: str, said: str
) -> None:
    service = start()
    engine.error = error
    job = submit(service, voice)
    engine.go.release()
    failed = service.wait(job, LONGEST)
    assert (failed.state, failed.error_kind) == ("failed", kind)
    assert said in failed.error
    engine.error = None
    engine.go.release()
    assert service.wait(submit(service, voice), LONGEST).state == "done"


@pytest.mark.parametrize("error", [None, FaceError("no face was found"), Cancelled()])
def test_a_folder_taken_away_during_a_render_ends_that_job_alone(
    start: Callable[..., JobService], engine: Engine, voice: Path, error: Exception | None
) -> None:
    service = start()
    first, second = submit(service, voice), submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    shutil.rmtree(service.store.folder(first))
    engine.error = error
    engine.go.release()
    ended = service.wait(first, LONGEST)
    assert ended.state == ("cancelled" if isinstance(error, Cancelled) else "failed")
    assert ended.ended is not None
    assert engine.begun.acquire(timeout=LONGEST)
    engine.error = None
    engine.go.release()
    assert service.wait(second, LONGEST).state == "done"


class FullStore(JobStore):
    """No room is left for records once the inputs are there."""

    def prepare(self, *arguments: Any, **options: Any) -> Job:  # noqa: ANN401 - as it is called
        job = super().prepare(*arguments, **options)
        (self.folder(job) / RECORD).mkdir()
        return job


def test_a_job_that_cannot_be_recorded_is_refused_and_leaves_nothing(
    engine: Engine, voice: Path, tmp_path: Path
) -> None:
    service = JobService([engine], FullStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=10**8))
    try:
        with raises_kind(OutputError):
            submit(service, voice)
        assert service.jobs(ANN) == []
        assert [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == []
    finally:
        service.close()
    assert engine.order == []


def test_bad_input_is_refused_before_it_is_queued(
    start: Callable[..., JobService], voice: Path, tmp_path: Path
) -> None:
    service = start()
    voice.write_bytes(b"")
    with raises_kind(MediaError):
        submit(service, voice)
    assert service.jobs(ANN) == []
    assert [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == []


def test_nobody_fills_the_queue(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start(room=Room(jobs=3, own=2))
    for _ in range(2):
        submit(service, voice, ANN)
    with raises_kind(QueueError):
        submit(service, voice, ANN)
    submit(service, voice, BOB)
    with raises_kind(QueueError):
        submit(service, voice, owner_digest("eve"))
    engine.go.release(3)


def test_a_job_gets_another_name(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    job = submit(service, voice)
    assert service.rename(job.id, ANN, "  The  first\ntake ").title == "The first take"
    assert len(service.rename(job.id, ANN, "x" * 5000).title) < 200
    service.rename(job.id, ANN, "Take 1")
    with raises_kind(JobError):
        service.rename(job.id, ANN, " \n")
    with raises_kind(NoJobError):
        service.rename(job.id, BOB, "mine")
    engine.go.release()
    done = service.wait(job, LONGEST)
    assert (done.title, done.result) == ("Take 1", "Take_1.mp4")
    renamed = service.rename(job.id, ANN, "Take 2: final")
    assert renamed.result == "Take_2_final.mp4"
    made = service.store.file(renamed, renamed.result)
    assert made is not None
    assert made.read_bytes() == b"mp4"
    service.rename(job.id, ANN, "Take 1")
    service.close()
    assert start().get(job.id, ANN).title == "Take 1"


def test_all_that_has_ended_goes_at_once(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    done, running = submit(service, voice), submit(service, voice)
    others = submit(service, voice, BOB)
    service.stop(others.id, BOB)
    engine.go.release()
    service.wait(done, LONGEST)
    service.delete_ended(ANN)
    assert [job.id for job in service.jobs(ANN)] == [running.id]
    assert not service.store.folder(done).exists()
    assert [job.id for job in service.jobs(BOB)] == [others.id]


def test_a_job_says_how_long_its_video_is(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    assert submit(service, voice).length_seconds == 1.5
    assert submit(service, voice, settings=RenderSettings(tail="keep")).length_seconds == 1.5  # of a picture
    engine.go.release()
    done = service.wait(service.jobs(ANN)[-1], LONGEST)
    report = service.store.report(done)
    assert report is not None
    assert done.length_seconds == json.loads(report.read_text())["video_seconds"]


def test_an_avatar_that_was_deleted_meanwhile_is_told_of_without_the_servers_folder(
    start: Callable[..., JobService], voice: Path, tmp_path: Path
) -> None:
    service = start(avatars=AvatarStore(tmp_path / "avatars"))
    gone = cast("Avatar", SimpleNamespace(id="0" * 64))
    job = service.submit(ANN, RenderRequest(PORTRAIT, voice, avatar=gone))
    failed = service.wait(job, LONGEST)
    assert (failed.state, failed.error_kind) == ("failed", "avatar")
    assert failed.error == "the avatar that was to speak is not there any more: render with another one"


def test_only_an_ended_job_can_be_deleted(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    job = submit(service, voice)
    with raises_kind(JobError):
        service.delete(job.id, ANN)
    engine.go.release()
    service.wait(job, LONGEST)
    service.delete(job.id, ANN)
    assert service.jobs(ANN) == []
    assert not service.store.folder(job).exists()


def test_a_render_runs_in_the_context_of_whoever_asked(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()

    def ask() -> Job:
        ASKED_BY.set("ann")
        return submit(service, voice)

    engine.go.release()
    assert service.wait(contextvars.Context().run(ask), LONGEST).state == "done"
    assert engine.contexts == ["ann"]
