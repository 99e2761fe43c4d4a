"""Calls that threads share: what is asked for at the same time is one call, and each gets its own."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from musetalk.errors import Cancelled
from musetalk.progress import CancelToken
from musetalk.runtime.shared_calls import SharedCalls
from musetalk.utils.stopping import ends_by
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.waiting import until

MOST = 4


class Item:
    """Something that a call is made with."""


class Network:
    """What is called: it waits in each call until it may go on, and gives items back as they are."""

    def __init__(self) -> None:
        self.calls: list[list[object]] = []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.bad: object = None

    def __call__(self, items: Sequence[object], check: Callable[[], None]) -> list[object]:
        self.calls.append(list(items))
        self.begun.release()
        while not self.go.acquire(timeout=0.01):
            check()
        if self.bad in items:
            raise ValueError("a bad one")
        return list(items)

    def begins(self) -> None:
        assert self.begun.acquire(timeout=HANG_SECONDS)

    def works_freely(self) -> None:
        for _ in range(99):
            self.go.release()


class Asked:
    """Somebody who asks."""

    def __init__(self, pool: ThreadPoolExecutor, shared: SharedCalls[object, object], items: Sequence[object]) -> None:
        self.token = CancelToken()
        self._got: Future[list[object]] = pool.submit(self._ask, shared, items)

    def _ask(self, shared: SharedCalls[object, object], items: Sequence[object]) -> list[object]:
        with ends_by(self.token.check):
            return shared.run(items)

    def got(self) -> list[object]:
        return self._got.result(HANG_SECONDS)


Ask = Callable[..., Asked]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def shared(network: Network) -> Iterator[SharedCalls[object, object]]:
    calls = SharedCalls[object, object](network, MOST)
    yield calls
    calls.close()


@pytest.fixture
def ask(network: Network, shared: SharedCalls[object, object]) -> Iterator[Ask]:
    """Lets somebody ask for items, and waits until that is known."""
    with ThreadPoolExecutor(8) as pool:

        def asked(*items: object, first: bool = False) -> Asked:
            waiting = shared.waiting
            one = Asked(pool, shared, items)
            if first:  # it begins at once
                network.begins()
            else:
                until(lambda: shared.waiting == waiting + len(items))
            return one

        yield asked
        network.works_freely()


def test_who_is_alone_is_served_at_once(network: Network, ask: Ask) -> None:
    alone = ask("a", "b", first=True)
    network.works_freely()
    assert alone.got() == ["a", "b"]
    assert network.calls == [["a", "b"]]


def test_nothing_is_made_of_nothing(shared: SharedCalls[object, object], network: Network) -> None:
    assert shared.run([]) == []
    assert network.calls == []


def test_what_is_asked_for_during_a_call_is_the_next_one(network: Network, ask: Ask) -> None:
    first, others = ask("a", first=True), [ask("b", "c"), ask("d")]
    network.works_freely()
    assert [each.got() for each in (first, *others)] == [["a"], ["b", "c"], ["d"]]
    assert network.calls == [["a"], ["b", "c", "d"]]


def test_who_asks_for_much_leaves_room_for_others(network: Network, ask: Ask) -> None:
    much = ask(*"abcdefghij", first=True)
    little, least = ask("1", "2", "3"), ask("x")
    network.works_freely()
    assert [each.got() for each in (much, little, least)] == [list("abcdefghij"), ["1", "2", "3"], ["x"]]
    assert network.calls == [list("abcd"), ["e", "f", "1", "2"], ["x", "g", "h", "3"], ["i", "j"]]


def test_nobody_is_served_twice_before_all_were_once(network: Network, ask: Ask) -> None:
    first = ask("-", first=True)
    crowd = [ask(*[(who, place) for place in range(2)]) for who in range(MOST + 2)]
    network.works_freely()
    assert [each.got() for each in crowd] == [[(who, 0), (who, 1)] for who in range(MOST + 2)]
    assert first.got() == ["-"]
    served = [item for call in network.calls[1:] for item in call]
    assert {item[0] for item in served[: MOST + 2]} == set(range(MOST + 2))  # type: ignore[index]


def test_only_who_is_the_cause_is_told_of_an_error(network: Network, ask: Ask) -> None:
    network.bad = "bad"
    first, good, bad = ask("-", first=True), ask("a", "b"), ask("bad")
    network.works_freely()
    assert first.got() == ["-"]
    assert good.got() == ["a", "b"]
    with pytest.raises(ValueError, match="a bad one"):
        bad.got()
    assert ask("c", first=True).got() == ["c"]


def test_who_leaves_is_dropped_and_the_others_are_not_disturbed(network: Network, ask: Ask) -> None:
    first, leaves, stays = ask("-", first=True), ask("a", "b"), ask("c")
    leaves.token.cancel()
    with pytest.raises(Cancelled):
        leaves.got()
    network.works_freely()
    assert (first.got(), stays.got()) == (["-"], ["c"])
    assert network.calls == [["-"], ["c"]]


def test_a_call_goes_on_for_those_who_stay_and_ends_when_nobody_does(network: Network, ask: Ask) -> None:
    first, leaves, stays = ask("-", first=True), ask("a"), ask("b")
    network.go.release()
    network.begins()
    assert first.got() == ["-"]
    leaves.token.cancel()
    with pytest.raises(Cancelled):
        leaves.got()
    network.go.release()
    assert stays.got() == ["b"]
    alone = ask("c", first=True)
    alone.token.cancel()
    with pytest.raises(Cancelled):
        alone.got()
    next_one = ask("d", first=True)  # the call that nobody waited for has ended by itself
    network.works_freely()
    assert next_one.got() == ["d"]


def test_closing_ends_it_for_all(network: Network, shared: SharedCalls[object, object], ask: Ask) -> None:
    first, waiting = ask("-", first=True), ask("a")
    shared.close()
    for asked in (first, waiting):
        with pytest.raises(Cancelled):
            asked.got()
    with pytest.raises(Cancelled):
        shared.run(["b"])
    assert network.calls == [["-"]]


def test_nothing_is_kept_of_what_was_asked_for(network: Network, shared: SharedCalls[object, object]) -> None:
    network.works_freely()
    item = Item()
    kept = weakref.ref(item)
    assert shared.run([item]) == [item]
    network.calls.clear()
    del item

    def gone() -> bool:
        gc.collect()
        return kept() is None

    until(gone)
