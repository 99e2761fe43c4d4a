"""Worker processes, with an engine that writes texts."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from musetalk.batch.executor import Done, Event, Failed, Lost, Ready, RenderTask
from musetalk.batch.in_process import InProcess
from musetalk.batch.opening import open_ledger
from musetalk.batch.pool import MOST_STILLBORN, ProcessPool
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.errors import BackendError, Cancelled
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from tests.helpers.batches import NAMED, TextEngine, hanging_engine, some_rows, stillborn_engine, text_engine

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_child_left")]


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1, text_engine) as started:
        yield started


def task(folder: Path, text: str, number: int = 0) -> RenderTask:
    [row] = some_rows(folder, (text, "hello"))
    return RenderTask(f"key-{number}", row.source, row.voice, folder / "made.mp4", RenderSettings())


def until(pool: ProcessPool | InProcess, wanted: Callable[[Event], bool]) -> list[Event]:
    """Take events until one is as wanted, however long that takes."""
    found: list[Event] = []
    while not any(map(wanted, found)):
        found += pool.events(60)
    return found


def is_ready(event: Event) -> bool:
    return isinstance(event, Ready)


def test_a_worker_keeps_its_engine_and_ends_with_the_pool(pool: ProcessPool, tmp_path: Path) -> None:
    until(pool, is_ready)
    pids = pool.pids()
    for number in range(2):
        pool.start("local-1", task(tmp_path, "anna", number))
        done, ready = until(pool, is_ready)
        assert isinstance(done, Done)
        assert (done.task, ready) == (f"key-{number}", Ready("local-1"))
        assert done.result.device == str(pids["local-1"])
    pool.close()
    assert not psutil.pid_exists(pids["local-1"])


def test_a_worker_that_dies_is_replaced(pool: ProcessPool, tmp_path: Path) -> None:
    until(pool, is_ready)
    pool.start("local-1", task(tmp_path, "deadly"))
    lost, *_ = until(pool, is_ready)
    assert lost == Lost("local-1", "key-0", "ended by SIGKILL", replaced=True)
    pool.start("local-1", task(tmp_path, "anna"))
    assert isinstance(until(pool, is_ready)[0], Done)


def test_a_worker_that_cannot_be_started_is_not_waited_for(pool: ProcessPool, monkeypatch: pytest.MonkeyPatch) -> None:
    until(pool, is_ready)

    def no_memory(*_command: object, **_options: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("musetalk.batch.pool.subprocess.Popen", no_memory)
    pool.end("local-1", "it hangs")
    first, second = until(pool, lambda event: isinstance(event, Lost) and not event.replaced)
    assert first == Lost("local-1", "", "it hangs", replaced=True)
    assert second == Lost("local-1", "", "another one cannot be started (Cannot allocate memory)", replaced=False)
    with pytest.raises(BackendError, match="of 2 workers, 0 could be started"):
        ProcessPool(2, text_engine)


def test_a_worker_that_hangs_can_be_ended(pool: ProcessPool, tmp_path: Path) -> None:
    until(pool, is_ready)
    before = pool.pids()
    pool.start("local-1", task(tmp_path, "hanging"))
    pool.end("local-1", "it said nothing")
    lost, *_ = until(pool, is_ready)
    assert lost == Lost("local-1", "key-0", "it said nothing", replaced=True)
    pool.start("local-1", task(tmp_path, "anna"))
    assert isinstance(until(pool, is_ready)[0], Done)
    pool.close()
    assert not psutil.pid_exists(before["local-1"])


def test_after_what_nobody_foresaw_a_worker_is_another_one(pool: ProcessPool, tmp_path: Path) -> None:
    until(pool, is_ready)
    before = pool.pids()
    pool.start("local-1", task(tmp_path, "strange"))
    failed, lost, *_ = until(pool, is_ready)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.said) == ("unforeseen", "RuntimeError: CUDA error: unspecified launch failure")
    assert lost == Lost("local-1", "", "ended with 0", replaced=True)
    assert pool.pids() != before


def test_workers_that_never_come_up_are_given_up() -> None:
    with ProcessPool(1, stillborn_engine) as pool:
        found = until(pool, lambda event: isinstance(event, Lost) and not event.replaced)
    assert len(found) == MOST_STILLBORN


def test_workers_that_hang_while_they_start_are_given_up() -> None:
    with ProcessPool(1, hanging_engine, patience=0.2) as pool:
        *_, last = found = until(pool, lambda event: isinstance(event, Lost) and not event.replaced)
    assert len(found) == MOST_STILLBORN
    assert last == Lost("local-1", "", "it did not come up in a few seconds", replaced=False)


@pytest.mark.parametrize("where", ["process", "here"])
def test_cancelling_ends_one_task_and_no_other(tmp_path: Path, where: str) -> None:
    with InProcess(TextEngine()) if where == "here" else ProcessPool(1, text_engine) as executor:
        [ready] = until(executor, is_ready)
        executor.start(ready.worker, task(tmp_path, "endless"))
        executor.cancel(ready.worker, "key-0")
        failed, *_ = until(executor, is_ready)
        executor.cancel(ready.worker, "key-0")
        executor.start(ready.worker, task(tmp_path, "anna", 1))
        done, *_ = until(executor, is_ready)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Cancelled)
    assert failed.kind == "cancelled"
    assert isinstance(done, Done)


def test_in_this_process_what_listens_can_be_ended_and_what_does_not_is_given_up(tmp_path: Path) -> None:
    let_go = threading.Event()

    class Deaf(TextEngine):
        def make(self, request: RenderRequest, out: Path, **_: object) -> RenderReport:  # type: ignore[override]
            let_go.wait()
            return super().make(request, out)

    with InProcess(TextEngine()) as executor:
        until(executor, is_ready)
        executor.start("here", task(tmp_path, "endless"))
        executor.end("here", "it said nothing")
        assert executor.events(0)[-2:] == [Lost("here", "key-0", "it said nothing", replaced=True), Ready("here")]
        executor.start("here", task(tmp_path, "anna"))
        assert isinstance(until(executor, is_ready)[0], Done)
    with InProcess(Deaf(), patience=0) as executor:
        until(executor, is_ready)
        executor.start("here", task(tmp_path, "anna"))
        executor.end("here", "it said nothing")
        [lost] = executor.events(0)
        assert isinstance(lost, Lost)
        assert (lost.replaced, "nothing can end it within this process" in lost.said) == (False, True)
    let_go.set()
    until(executor, is_ready)  # its thread has ended, too


def test_closing_ends_what_does_not_listen(tmp_path: Path) -> None:
    pool = ProcessPool(1, text_engine)
    until(pool, is_ready)
    pool.start("local-1", task(tmp_path, "endless"))
    pool.close()
    assert pool.pids() == {}


def test_a_batch_on_processes_survives_their_deaths(pool: ProcessPool, tmp_path: Path) -> None:
    rows = some_rows(tmp_path, ("anna", "hello"), ("deadly", "hello"), ("bert", "hello"), ("anna", "bye"))
    with open_ledger(tmp_path / "ledger") as ledger:
        policy = BatchOptions(RetryPolicy(first_seconds=0.01))
        report = run_batch(rows, pool, ledger, engine=NAMED, options=policy)
    assert [row.state for row in report.rows] == ["done", "set_aside", "done", "done"]
    assert all(row.output.exists() == (row.source.name != "deadly") for row in rows)
