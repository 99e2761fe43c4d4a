from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from musetalk.errors import DiskSpaceError, OutputError
from musetalk.jobs.job import Job, JobProgress
from musetalk.jobs.store import REPORT, JobStore, owner_digest
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind

ANN, BOB = owner_digest("ann"), owner_digest("bob")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    video, voice = tmp_path / "Interview.MOV", tmp_path / "voice.wav"
    video.write_bytes(b"v" * 1000)
    voice.write_bytes(b"s" * 500)
    return video, voice


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., JobStore]]:
    opened: list[JobStore] = []

    def open_it(keep_seconds: float = 3600, max_bytes: int = 10**6) -> JobStore:
        for store in opened:
            store.close()
        opened.append(JobStore(tmp_path / "jobs", keep_seconds=keep_seconds, max_bytes=max_bytes, now=clock))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


def add(store: JobStore, inputs: tuple[Path, Path], owner: str = ANN, *, writes: int = 0, **changes: object) -> Job:
    job = store.prepare(
        owner, RenderRequest(*inputs, RenderSettings(bbox_shift=3)), "a title", b"jpeg", writes_bytes=writes
    )
    job = job.model_copy(update=changes)
    store.put(job)
    return job


def test_a_job_has_inputs_of_its_own(open_store: Callable[..., JobStore], inputs: tuple[Path, Path]) -> None:
    store = open_store()
    job = add(store, inputs)
    for path in inputs:
        path.unlink()
    assert (store.folder(job) / job.video).read_bytes() == b"v" * 1000
    assert (store.folder(job) / job.voice).read_bytes() == b"s" * 500
    assert (store.folder(job) / job.video).name == inputs[0].name  # which reports and errors say


def test_ids_are_long_random_and_never_paths(open_store: Callable[..., JobStore], inputs: tuple[Path, Path]) -> None:
    store = open_store()
    jobs = [add(store, inputs) for _ in range(5)]
    assert len({job.id for job in jobs}) == 5
    assert all(len(job.id) == 32 for job in jobs)
    for asked in ("", "..", f"../jobs/{jobs[0].id}", f"{jobs[0].id}/", jobs[0].id.upper() + "x", f"{jobs[0].id}\n"):
        assert store.get(asked, ANN) is None


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("film + voice", "film_voice.mp4"),
        ("../../etc/passwd", "etc_passwd.mp4"),
        (".hidden", "hidden.mp4"),
        ("дубль 1 & <b>", "дубль_1_b.mp4"),
        ("/", "result.mp4"),
        ("_source", "source.mp4"),
        ("x" * 500, "x" * 80 + ".mp4"),
    ],
)
def test_results_are_named_after_what_they_are(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path], title: str, name: str
) -> None:
    store = open_store()
    job = store.prepare(ANN, RenderRequest(*inputs), title, b"jpeg")
    assert job.result == name
    (store.folder(job) / job.result).write_bytes(b"mp4")


def test_only_the_owner_finds_a_job(open_store: Callable[..., JobStore], inputs: tuple[Path, Path]) -> None:
    store = open_store()
    job = add(store, inputs)
    assert store.get(job.id, ANN) == job
    assert store.get(job.id, BOB) is None
    assert store.get("0" * 32, ANN) is None


def test_the_record_on_disk_is_json_without_the_owners_secret(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store()
    job = add(store, inputs, progress=JobProgress(stage="render", done=3, total=9))
    record = json.loads((store.folder(job) / "job.json").read_text())
    assert record["state"] == "queued"
    assert record["progress"] == {
        "stage": "render",
        "done": 3,
        "total": 9,
        "frames_per_second": 0.0,
        "seconds_left": None,
        "part": 0.0,
        "note": "",
        "step": 0,
        "steps": 0,
        "before": 0,
        "whole": None,
        "whole_seconds_left": None,
    }
    assert record["settings"]["bbox_shift"] == 3
    assert '"ann"' not in json.dumps(record)


def test_everything_is_there_after_a_restart_and_interrupted_jobs_wait_again(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store()
    queued = add(store, inputs)
    running = add(store, inputs, state="running", started=5.0, progress=JobProgress(stage="render", done=1, total=2))
    done = add(store, inputs, state="done", ended=6.0)
    (store.folder(done) / done.result).write_bytes(b"mp4")
    half = store.folder(running) / ".musetalk-abc"
    half.mkdir()
    (half / "half.mp4").write_bytes(b"half")
    parts = store.folder(running) / ".musetalk-parts-0123456789abcdef"
    parts.mkdir()
    (parts / "part-00000.mp4").write_bytes(b"whole")
    store = open_store()
    assert store.get(queued.id, ANN) == queued
    assert store.get(done.id, ANN) == done
    assert store.file(done, done.result) is not None
    found = store.get(running.id, ANN)
    assert found is not None
    assert (found.state, found.started, found.progress, found.interruptions) == ("queued", None, None, 1)
    assert not half.exists()
    assert (parts / "part-00000.mp4").exists()  # with it the job goes on where it was
    assert (store.folder(running) / running.video).exists()
    store.put(found.model_copy(update={"state": "running"}))
    again = open_store().get(running.id, ANN)  # one that ends its server is not to do so forever
    assert again is not None
    assert again.state == "failed"
    assert "ended twice" in again.error


def test_records_of_an_older_version_are_renders(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store()
    job = add(store, inputs, state="done", ended=6.0)
    path = store.folder(job) / "job.json"
    record = json.loads(path.read_text())
    del record["compare"]
    path.write_text(json.dumps(record))
    assert open_store().get(job.id, ANN) == job


def test_what_is_no_job_is_removed_at_start_up_and_other_files_are_not_touched(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    store = open_store()
    broken = add(store, inputs)
    store.prepare(ANN, RenderRequest(*inputs), "never put", b"jpeg")
    (store.folder(broken) / "job.json").write_text("{")
    foreign = tmp_path / "jobs" / "my-holiday"
    foreign.mkdir()
    (foreign / "film.mp4").write_bytes(b"x")
    store = open_store()
    assert store.all() == []
    assert [path.name for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == ["my-holiday"]
    assert (foreign / "film.mp4").exists()


def test_ended_jobs_expire_and_active_ones_do_not(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path], clock: Clock
) -> None:
    store = open_store(keep_seconds=100)
    old = add(store, inputs, state="done", ended=clock())
    waiting = add(store, inputs)
    clock.seconds += 200
    fresh = add(store, inputs, state="failed", ended=clock())
    store.sweep()
    assert {job.id for job in store.all()} == {waiting.id, fresh.id}
    assert not store.folder(old).exists()


def test_the_oldest_ended_jobs_make_room_and_active_ones_never_do(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store()
    add(store, inputs, state="done", ended=1.0)
    most = 3 * store.used_bytes() + 500  # room for three, whatever a record takes
    store = open_store(max_bytes=most)
    jobs = []
    for number in range(6):
        jobs.append(add(store, inputs, state="done", ended=float(number)))
        assert store.used_bytes() <= most
    kept = [job.id for job in store.all()]
    assert jobs[-1].id in kept
    assert jobs[0].id not in kept
    assert kept == [job.id for job in jobs[-len(kept) :]]
    with raises_kind(DiskSpaceError):
        for _ in range(6):
            add(store, inputs)


def test_room_is_kept_for_what_the_largest_renders_are_to_write(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store(max_bytes=100_000)
    ended = [add(store, inputs, state="done", ended=float(number)) for number in range(2)]
    waiting = add(store, inputs, writes=80_000)
    small = add(store, inputs, writes=70_000)  # it runs before or after the other one, not beside it
    assert [job.id for job in store.all()] == [each.id for each in (*ended, waiting, small)]
    (store.folder(waiting) / "part").write_bytes(bytes(79_000))  # what was written is no longer to come
    (store.folder(small) / "part").write_bytes(bytes(5_000))
    store.sweep()
    assert store.used_bytes() + 65_000 > 100_000
    assert [job.id for job in store.all()] == [waiting.id, small.id]


def test_several_renders_at_once_have_room_side_by_side(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store(max_bytes=100_000)
    store.at_once = 2
    add(store, inputs, writes=60_000)
    with raises_kind(DiskSpaceError) as caught:
        add(store, inputs, writes=60_000)
    assert "wait until one is done" in str(caught.value)


def test_what_would_never_fit_is_refused_as_such(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store(max_bytes=100_000)
    done = add(store, inputs, state="done", ended=1.0)
    with raises_kind(DiskSpaceError) as caught:
        add(store, inputs, writes=100_000)
    assert "all together may take" in str(caught.value)
    assert store.all() == [done]


def test_a_job_that_is_not_kept_yet_has_its_room(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store(max_bytes=100_000)
    coming = store.prepare(ANN, RenderRequest(*inputs), "a title", b"jpeg", writes_bytes=60_000)
    with raises_kind(DiskSpaceError):
        store.prepare(ANN, RenderRequest(*inputs), "a title", b"jpeg", writes_bytes=97_000)
    store.remove(coming)
    store.remove(store.prepare(ANN, RenderRequest(*inputs), "a title", b"jpeg", writes_bytes=97_000))


def test_a_state_that_cannot_be_written_is_kept_in_memory(
    open_store: Callable[..., JobStore], inputs: tuple[Path, Path]
) -> None:
    store = open_store(keep_seconds=100)
    job = add(store, inputs)
    shutil.rmtree(store.folder(job))
    with raises_kind(OutputError, path=store.folder(job) / "job.json"):
        store.put(job.model_copy(update={"state": "failed", "ended": 5.0}))
    assert store.newest(job).state == "failed"
    store.sweep()
    assert store.all() == []


def test_links_take_no_room(open_store: Callable[..., JobStore], inputs: tuple[Path, Path], tmp_path: Path) -> None:
    store = open_store()
    job = add(store, inputs)
    before = store.used_bytes()
    assert before >= 1500
    (tmp_path / "large").write_bytes(bytes(10**6))
    try:
        (store.folder(job) / "link").symlink_to(tmp_path / "large")
    except OSError:
        pytest.skip("no links here")
    (store.folder(job) / "real").write_bytes(bytes(77))
    assert store.used_bytes() == before + 77


def test_two_servers_never_share_a_folder(open_store: Callable[..., JobStore], tmp_path: Path) -> None:
    open_store()
    with raises_kind(OutputError, path=tmp_path / "jobs"):
        JobStore(tmp_path / "jobs", keep_seconds=1, max_bytes=1)


def test_a_file_in_the_folders_place_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("")
    with raises_kind(OutputError, path=tmp_path / "jobs"):
        JobStore(tmp_path / "jobs", keep_seconds=1, max_bytes=1)


def test_removing_a_job_removes_its_files(open_store: Callable[..., JobStore], inputs: tuple[Path, Path]) -> None:
    store = open_store()
    job = add(store, inputs, state="done", ended=1.0)
    store.remove(job)
    assert store.get(job.id, ANN) is None
    assert not store.folder(job).exists()
    assert store.file(job, REPORT) is None
