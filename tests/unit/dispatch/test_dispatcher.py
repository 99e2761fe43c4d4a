from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from musetalk.batch.executor import Advanced, Failed, Notice, Ready, RenderTask
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.watch import Clock
from musetalk.dispatch.dispatcher import WAITING, Dispatcher, Rules, WorkerCounts
from musetalk.errors import Cancelled, FaceError, OutOfMemoryError, WorkerError
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.utils.job_log import carried, logged_for, logged_job
from musetalk.utils.log_lines import TextLines
from tests.helpers.held_engine import LONGEST
from tests.helpers.told_one_by_one import Workers
from tests.helpers.waiting import until

AT_ONCE = Rules(RetryPolicy(first_seconds=0))


class Asked:
    """A task that somebody waits for."""

    def __init__(self, dispatcher: Dispatcher, threads: ThreadPoolExecutor) -> None:
        self.cancel, self.told = CancelToken(), list[ProgressEvent]()
        task = RenderTask("", Path("a.mp4"), Path("b.wav"), Path("c.mp4"), RenderSettings(), logged=logged_job())
        self._made: Future[object] = threads.submit(carried(dispatcher.do), task, self.told.append, self.cancel)

    @property
    def made(self) -> object:
        return self._made.result(LONGEST)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as opened:
        yield opened


@pytest.fixture
def ask(threads: ThreadPoolExecutor) -> Iterator[Callable[..., Asked]]:
    opened: dict[int, Dispatcher] = {}
    with ExitStack() as until_end:

        def ask_it(workers: Workers, rules: Rules = AT_ONCE) -> Asked:
            if id(workers) not in opened:
                opened[id(workers)] = Dispatcher(rules)
                until_end.enter_context(opened[id(workers)].using(workers))
            return Asked(opened[id(workers)], threads)

        yield ask_it


def test_each_caller_gets_what_became_of_its_own(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2")
    asked = {}
    for _ in range(2):
        each = ask(workers)
        worker, task = workers.begun()
        workers.tell(Advanced(worker, task.id, ProgressEvent("render", 1, 4, note=worker)))
        asked[worker] = each
    for worker in asked:
        workers.do(worker, f"made by {worker}")
    for worker, each in asked.items():
        assert each.made == f"made by {worker}"
        assert [event.note for event in each.told] == [worker]


def test_who_comes_while_all_are_busy_waits(ask: Callable[..., Asked]) -> None:
    workers = Workers("1")
    first = ask(workers)
    workers.begun()
    second = ask(workers)
    until(lambda: bool(second.told))
    workers.do("1")
    assert first.made == "made"
    workers.begun()
    workers.do("1", "later")
    assert second.made == "later"
    assert [event.note for event in second.told] == [WAITING]


def test_what_a_worker_dies_over_is_tried_elsewhere_by_one_clock(ask: Callable[..., Asked]) -> None:
    ticks = count(0, 1)
    workers = Workers("1", "2")
    asked = ask(workers, Rules(AT_ONCE.retries, clock=Clock(lambda: float(next(ticks)))))
    worker, task = workers.begun()
    workers.tell(Advanced(worker, task.id, ProgressEvent("render", 3, 4, seconds=0.5)))
    workers.lose(worker)
    other, again = workers.begun()
    assert other != worker
    assert again.id != task.id
    workers.tell(Advanced(other, again.id, ProgressEvent("render", 3, 4, seconds=0.5)))
    workers.do(other)
    assert asked.made == "made"
    seconds = [event.seconds for event in asked.told]
    assert seconds == sorted(seconds)
    assert "tried again" in asked.told[1].note


def test_what_two_workers_die_over_is_not_tried_a_third_time(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2", "3")
    asked = ask(workers)
    for _ in range(2):
        workers.lose(workers.begun()[0])
    with pytest.raises(WorkerError, match=r"2 times \(ended by SIGKILL\)"):
        _ = asked.made
    assert workers.idle


def test_machines_that_go_are_not_the_jobs_fault(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2", "3", "4")
    asked = ask(workers)
    for _ in range(3):
        workers.lose(workers.begun()[0], blamed=False, replaced=False)
    workers.do(workers.begun()[0])
    assert asked.made == "made"


def test_where_no_worker_is_left_it_says_why(ask: Callable[..., Asked]) -> None:
    workers = Workers("1")
    asked = ask(workers)
    said = 'gpu-3 does not see "/jobs/1": let all machines have the same disk under the same path'
    workers.lose(workers.begun()[0], said, blamed=False, replaced=False)
    with pytest.raises(WorkerError, match=r"no worker is left.*same disk under the same path"):
        _ = asked.made


def test_bad_input_is_not_tried_again_and_its_error_comes_back(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2")
    asked = ask(workers)
    error = FaceError("there is no face", "choose another source", path=Path("a.mp4"))
    workers.fail(workers.begun()[0], error)
    with pytest.raises(FaceError) as raised:
        _ = asked.made
    assert (str(raised.value), raised.value.path) == (str(error), error.path)
    assert workers.idle


def test_what_may_pass_is_tried_so_often_and_then_its_error_comes_back(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2")
    asked = ask(workers, Rules(RetryPolicy(attempts=3, first_seconds=0)))
    tried = []
    for _ in range(3):
        tried.append(workers.begun()[0])
        workers.fail(tried[-1], OutOfMemoryError("there is not enough memory"))
    with pytest.raises(OutOfMemoryError):
        _ = asked.made
    assert set(tried[:2]) == {"1", "2"}
    assert workers.idle


def test_what_nobody_foresaw_is_no_error_of_ours(ask: Callable[..., Asked]) -> None:
    workers = Workers("1")
    asked = ask(workers, Rules(RetryPolicy(attempts=1)))
    worker, task = workers.begun()
    workers.tell(Failed(worker, task.id, "unforeseen", "RuntimeError: CUDA error"), Ready(worker))
    with pytest.raises(RuntimeError, match="CUDA error"):
        _ = asked.made


def test_cancelling_one_leaves_the_others(ask: Callable[..., Asked]) -> None:
    workers = Workers("1", "2")
    first = ask(workers)
    workers.begun()
    second = ask(workers)
    worker, _ = workers.begun()
    first.cancel.cancel()
    with pytest.raises(Cancelled):
        _ = first.made
    workers.do(worker)
    assert second.made == "made"


def test_what_waits_for_a_worker_can_be_cancelled(ask: Callable[..., Asked]) -> None:
    workers = Workers("1")
    ask(workers)
    workers.begun()
    second = ask(workers)
    second.cancel.cancel()
    with pytest.raises(Cancelled):
        _ = second.made
    workers.do("1")


def test_who_watches_is_told_of_workers_that_come_and_go_at_once() -> None:
    workers, told = Workers("1"), threading.Event()
    workers.lose("1", replaced=False)
    dispatcher = Dispatcher()
    dispatcher.on_change(told.set)
    with dispatcher.using(workers):
        assert told.wait(LONGEST)
        assert dispatcher.counts == WorkerCounts(lost=1)


def test_the_log_tells_what_workers_wait_for(ask: Callable[..., Asked], caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers("1")
    workers.tell(Notice("1 of 2 workers waits"))
    asked = ask(workers)
    workers.do(workers.begun()[0])
    assert asked.made == "made"
    assert "1 of 2 workers waits" in caplog.messages


def test_the_log_names_no_files_of_a_job(ask: Callable[..., Asked], caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(TextLines())
    workers = Workers("1", "2")
    with logged_for("ab12", ["anna.mp4"]):
        asked = ask(workers)
        workers.lose(workers.begun()[0], 'it does not see "/jobs/ab12/anna.mp4"', blamed=False)
        workers.do(workers.begun()[0])
    assert asked.made == "made"
    assert "anna" not in caplog.text
    assert '(it does not see "/jobs/ab12/..."); another one takes its place [job ab12]' in caplog.text


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_worker_that_hangs_is_told_of_and_ended(
    ask: Callable[..., Asked], caplog: pytest.LogCaptureFixture, cancelled: bool
) -> None:
    ticks = count(0, 5)
    workers = Workers("1")
    workers.deaf = True
    asked = ask(workers, Rules(AT_ONCE.retries, stall_seconds=90, clock=Clock(lambda: float(next(ticks)))))
    workers.begun()
    if cancelled:
        asked.cancel.cancel()
        with pytest.raises(Cancelled):
            _ = asked.made
        assert ["after it was to stop" in why for why in workers.ended] == [True]
    else:
        workers.begun()
        workers.do("1")
        assert asked.made == "made"
        assert ["no sign of life" in why for why in workers.ended] == [True]
        assert caplog.messages.count("worker 1 is silent for about 1 min") == 1
