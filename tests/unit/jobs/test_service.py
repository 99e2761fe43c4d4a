from __future__ import annotations

import contextvars
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from musetalk.assets import PORTRAIT
from musetalk.backends.automatic import BackendChoice
from musetalk.errors import (
    Cancelled,
    DiskSpaceError,
    DrainingError,
    FaceError,
    JobError,
    MediaError,
    NoJobError,
    OutputError,
    QueueError,
)
from musetalk.jobs.job import Attachment, Job
from musetalk.jobs.service import JobService
from musetalk.jobs.store import RECORD, REPORT, JobStore, owner_digest
from musetalk.settings import RenderSettings
from musetalk.utils.prometheus import exposition
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, ASKED_BY, BOB, LONGEST, Engine, submit, written_voice
from tests.helpers.metrics import read_metrics


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

    def put(folder: Path, settings: RenderSettings) -> RenderSettings:
        (folder / "words.srt").write_text("words")
        return settings.model_copy(update={"captions": folder / "words.srt"})

    def asked(digest: str) -> Job:
        return service.submit(ANN, PORTRAIT, voice, RenderSettings(), once=True, attachment=Attachment(digest, put))

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

    def put(folder: Path, _settings: RenderSettings) -> RenderSettings:
        raise OSError(28, "No space left on device", str(folder))

    with raises_kind(DiskSpaceError):
        service.submit(ANN, PORTRAIT, voice, RenderSettings(), attachment=Attachment("a", put))
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
    service = start(max_waiting=2, max_queue=3)
    for _ in range(2):
        submit(service, voice, ANN)
    with raises_kind(QueueError):
        submit(service, voice, ANN)
    submit(service, voice, BOB)
    with raises_kind(QueueError):
        submit(service, voice, owner_digest("eve"))
    engine.go.release(3)


def test_what_is_asked_for_once_more_is_the_same_job(
    start: Callable[..., JobService], engine: Engine, voice: Path, tmp_path: Path
) -> None:
    service = start()
    first = submit(service, voice, once=True)
    copied = tmp_path / "again" / voice.name
    copied.parent.mkdir()
    shutil.copyfile(voice, copied)
    assert submit(service, copied, once=True).id == first.id
    assert [job.id for job in service.jobs(ANN)] == [first.id]
    engine.go.release()
    assert service.wait(first, LONGEST).state == "done"
    assert submit(service, voice, once=True).id == first.id  # a click too many, though the first was quick

    other = tmp_path / "other" / voice.name
    other.parent.mkdir()
    other.write_bytes(b"RIFX")
    other_settings = RenderSettings(bbox_shift=3)
    asked = [
        submit(service, other, once=True),
        submit(service, voice, once=True, settings=other_settings),
        submit(service, voice, BOB, once=True),
        submit(service, voice),
    ]
    assert len({first.id, *(job.id for job in asked)}) == 5
    assert len([path for path in service.store.root.iterdir() if path.is_dir()]) == 5


def test_what_paints_is_chosen_before_a_job_is_queued_and_anew_where_it_is_tried_again(
    start: Callable[..., JobService], engine: Engine, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(named=lambda name: f"<{name}>")
    job = submit(service, voice)
    assert (job.settings.backend, job.wanted) == ("preview", RenderSettings())
    assert job.choice == "chosen automatically: <preview>, the best there is"
    assert submit(service, voice, once=True).id == job.id
    named = submit(service, voice, once=True, settings=RenderSettings(backend="preview"))
    assert (named.choice, named.wanted) == ("", RenderSettings(backend="preview"))
    service.stop(job.id, ANN)
    service.wait(job, LONGEST)
    monkeypatch.setattr(engine, "choose", lambda _settings: BackendChoice("better", automatic=True))
    again = service.retry(job.id, ANN)
    assert (again.settings.backend, again.wanted) == ("better", RenderSettings())
    engine.go.release(2)
    assert service.wait(again, LONGEST).state == "done"
    made, plain = (json.loads((service.store.folder(each) / REPORT).read_text()) for each in (again, named))
    assert (made["requested"], made["backend"], made["choice"]) == ("auto", "better", again.choice)
    assert (plain["backend"], plain["choice"]) == ("preview", "")


def test_after_a_while_the_same_is_rendered_anew(
    start: Callable[..., JobService], engine: Engine, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()
    first = submit(service, voice, once=True)
    engine.go.release()
    ended = service.wait(first, LONGEST).ended
    assert ended is not None
    monkeypatch.setattr(service.store, "now", lambda: ended + 60)
    assert submit(service, voice, once=True).id != first.id


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_what_did_not_succeed_is_tried_again_under_its_own_name(
    start: Callable[..., JobService], engine: Engine, voice: Path, how: str
) -> None:
    service = start()
    engine.error = FaceError("no face was found", "choose another source")
    job = submit(service, voice)
    assert engine.begun.acquire(timeout=LONGEST)
    (service.store.folder(job) / "half.mp4").write_bytes(b"half")
    if how == "failed":
        engine.go.release()
    else:
        service.stop(job.id, ANN)
    assert service.wait(job, LONGEST).state == how
    voice.unlink()
    engine.error = None
    settings = RenderSettings(bbox_shift=2)
    again = service.retry(job.id, ANN, settings)
    assert service.retry(job.id, ANN, settings).id == again.id == job.id
    assert [each.id for each in service.jobs(ANN)] == [job.id]
    assert engine.begun.acquire(timeout=LONGEST)
    engine.go.release()
    done = service.wait(again, LONGEST)
    assert (done.state, done.error, done.settings.bbox_shift) == ("done", "", 2)
    assert not (service.store.folder(job) / "half.mp4").exists()
    with raises_kind(JobError):
        service.retry(job.id, ANN)
    with raises_kind(NoJobError):
        service.retry(job.id, BOB)


def test_a_job_tried_again_waits_behind_those_that_were_there_before(
    start: Callable[..., JobService], engine: Engine, voice: Path
) -> None:
    service = start()
    running, stopped, waiting = (submit(service, voice) for _ in range(3))
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(stopped.id, ANN)
    again = service.retry(stopped.id, ANN)
    assert [service.place(job) for job in (running, waiting, again)] == [0, 1, 2]


def test_what_cannot_work_is_not_queued_again(start: Callable[..., JobService], engine: Engine, voice: Path) -> None:
    service = start()
    running, stopped = (submit(service, voice) for _ in range(2))
    assert engine.begun.acquire(timeout=LONGEST)
    service.stop(stopped.id, ANN)
    (service.store.folder(stopped) / stopped.voice).write_bytes(b"")
    with raises_kind(MediaError):
        service.retry(stopped.id, ANN)
    assert service.get(stopped.id, ANN).state == "cancelled"
    assert service.get(running.id, ANN).state == "running"


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
