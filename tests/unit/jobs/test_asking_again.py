"""What is asked for once more, and what is tried again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from musetalk.backends.automatic import BackendChoice
from musetalk.errors import (
    FaceError,
    JobError,
    MediaError,
    NoJobError,
)
from musetalk.jobs.service import JobService
from musetalk.jobs.store import REPORT
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.held_engine import ANN, BOB, LONGEST, Engine, submit


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
    again = service.retry(job.id, ANN, lambda wanted: wanted.model_copy(update={"bbox_shift": 2}))
    assert service.retry(job.id, ANN).id == again.id == job.id
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
