"""Turns on a device: first come, first served, and together where that takes no further memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from musetalk.errors import Cancelled
from musetalk.progress import CancelToken
from musetalk.runtime.device_queue import DeviceQueue
from musetalk.utils.stopping import ends_by
from tests.helpers.programs import HANG_SECONDS


class Visitor:
    """Asks for a turn, and keeps it until it is told to leave."""

    def __init__(self, **networks: str) -> None:
        self.networks = networks
        self.device = "cuda:0"
        self.token = CancelToken()
        self.begun, self.leave = threading.Event(), threading.Event()
        self.told: queue.Queue[int] = queue.Queue()
        self.asked: Future[None] | None = None

    def visit(self, turns: DeviceQueue) -> None:
        with ends_by(self.token.check), turns.turn(self.device, self.networks, self.told.put):
            self.begun.set()
            assert self.leave.wait(HANG_SECONDS)

    def waits(self) -> int:
        """How many are before it, as it is told next."""
        return self.told.get(timeout=HANG_SECONDS)

    def works(self) -> bool:
        return self.begun.wait(HANG_SECONDS)

    def go(self) -> None:
        self.leave.set()
        assert self.asked is not None
        self.asked.result(HANG_SECONDS)


Come = Callable[..., Visitor]


@pytest.fixture
def come() -> Iterator[Come]:
    turns, visitors = DeviceQueue(), list[Visitor]()
    with ThreadPoolExecutor(8) as pool:

        def ask(*, device: str = "cuda:0", **networks: str) -> Visitor:
            visitor = Visitor(**networks)
            visitor.device = device
            visitors.append(visitor)
            visitor.asked = pool.submit(visitor.visit, turns)
            return visitor

        yield ask
        for visitor in visitors:
            visitor.token.cancel()
            visitor.leave.set()


def test_who_needs_other_networks_waits_and_knows_for_how_many(come: Come) -> None:
    job = come(generator="a")
    assert job.works()
    second = come(generator="b")
    assert second.waits() == 1
    third = come(generator="a", enhancer="r")  # as the first, and more
    assert third.works()
    fourth = come(generator="c")
    assert fourth.waits() == 3
    job.go()
    third.go()
    assert second.works()
    second.go()
    assert fourth.works()
    assert list(fourth.told.queue)[-1] == 0
    assert job.told.empty()


def test_who_comes_later_keeps_nobody_waiting_for_long(come: Come) -> None:
    job = come(generator="a")
    assert job.works()
    joins = [come(generator="a")]
    assert joins[0].works()
    other = come(generator="b")
    assert other.waits() == 2
    joins.append(come(generator="a"))  # while what the other came to wait for is at work
    assert joins[1].works()
    job.go()
    joins[0].go()
    late = come(generator="a")
    assert late.waits() == 1
    joins[1].go()
    assert other.works()
    assert not late.begun.is_set()
    other.go()
    assert late.works()


def test_devices_have_queues_of_their_own(come: Come) -> None:
    assert come(generator="a").works()
    assert come(generator="b", device="cpu").works()
    assert come(enhancer="r").works()  # nothing is in its place


def test_who_stops_waiting_is_out_of_the_queue(come: Come) -> None:
    job = come(generator="a")
    assert job.works()
    second = come(generator="b")
    assert second.waits() == 1
    third = come(generator="c")
    assert third.waits() == 2
    second.token.cancel()
    assert second.asked is not None
    with pytest.raises(Cancelled):
        second.asked.result(HANG_SECONDS)
    assert third.waits() == 1
    job.go()
    assert third.works()


def test_a_turn_that_fails_is_over(come: Come) -> None:
    turns = DeviceQueue()
    with pytest.raises(ZeroDivisionError), turns.turn("cpu", {"generator": "a"}):
        raise ZeroDivisionError
    with turns.turn("cpu", {"generator": "b"}) as waited:
        assert waited == 0


def test_nobody_waits_for_themselves() -> None:
    turns = DeviceQueue()
    with turns.turn("cpu", {"generator": "a"}), turns.turn("cpu", {"generator": "b"}) as waited:
        assert waited == 0
