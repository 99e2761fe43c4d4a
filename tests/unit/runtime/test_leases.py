"""What is loaded is loaded once, kept while somebody holds it, and let go of when something needs its place."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from musetalk.errors import BackendError, Cancelled, OutOfMemoryError
from musetalk.progress import CancelToken
from musetalk.runtime.leases import ComponentStore, Leases, Wanted
from musetalk.utils.stopping import ends_by, stop_point
from tests.helpers.programs import HANG_SECONDS


class Network:
    """Something that takes memory."""


class Loads:
    """Loads networks of one name, and knows which of them live.

    Args:
        also: Is called in each load.
        kind: Of which they are.
    """

    def __init__(self, name: str, also: Callable[[], object] = lambda: None, *, kind: str = "generator") -> None:
        self.name, self.kind, self.also = name, kind, also
        self.made: list[weakref.ref[Network]] = []

    def __call__(self) -> Network:
        self.also()
        network = Network()
        self.made.append(weakref.ref(network))
        return network

    @property
    def alive(self) -> int:
        return sum(network() is not None for network in self.made)

    def taken(self, leases: Leases, *, beside: bool = False) -> Network:
        return leases.take(Wanted(self.kind, self.name, self.name, beside), self)


class Held:
    """A load that goes on until it is told to end, or stopped."""

    def __init__(self) -> None:
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        while not self.go.wait(0.01):
            try:
                stop_point()
            except Cancelled:
                self.stopped.set()
                raise


@pytest.fixture
def store() -> ComponentStore:
    return ComponentStore()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def work_with(store: ComponentStore, loads: Loads) -> None:
    with store.leases() as leases:
        loads.taken(leases)


class Asker:
    """Works with something, and says when it waits for that: who waits looks again and again whether it is to end."""

    def __init__(self, store: ComponentStore, loads: Loads) -> None:
        self.token, self.waits, self._store, self._loads, self._looks = (
            CancelToken(),
            threading.Event(),
            store,
            loads,
            0,
        )

    def __call__(self) -> None:
        with ends_by(self._look):
            work_with(self._store, self._loads)

    def _look(self) -> None:
        self._looks += 1
        if self._looks > 1:
            self.waits.set()
        self.token.check()


@contextmanager
def let_go(*held: Held) -> Iterator[None]:
    """Whatever happens, no load outlives the test."""
    try:
        yield
    finally:
        for each in held:
            each.go.set()


def test_whoever_asks_while_it_loads_gets_the_same(store: ComponentStore, pool: ThreadPoolExecutor) -> None:
    held = Held()
    loads, both = Loads("one", held), threading.Barrier(4)

    def ask() -> Network:
        with store.leases() as leases:
            both.wait(HANG_SECONDS)
            return loads.taken(leases)

    with let_go(held):
        asked = [pool.submit(ask) for _ in range(4)]
        assert held.begun.wait(HANG_SECONDS)
        held.go.set()
        assert len({id(each.result(HANG_SECONDS)) for each in asked}) == 1
    assert len(loads.made) == 1


def test_a_load_holds_up_nothing_else(store: ComponentStore, pool: ThreadPoolExecutor) -> None:
    held = Held()
    slow, quick = Loads("slow", held), Loads("quick", kind="detector")
    with let_go(held), store.leases() as leases:
        loading = pool.submit(work_with, store, slow)
        assert held.begun.wait(HANG_SECONDS)
        assert quick.taken(leases) is quick.made[0]()
        assert Loads("other").taken(leases)  # of the same kind: who waits for which is for the device's queue to say
        store.release()  # waits for nobody either
        assert not loading.done()
    loading.result(HANG_SECONDS)


def test_the_last_of_its_kind_stays_and_goes_before_another_is_loaded(store: ComponentStore) -> None:
    one = Loads("one")
    two = Loads("two", lambda: alive.append(one.alive))
    other, alive = Loads("other", kind="detector"), list[int]()
    for loads in (one, one, other, two):
        work_with(store, loads)
    assert [len(each.made) for each in (one, two, other)] == [1, 1, 1]
    assert alive == [0]
    assert other.alive == 1
    store.release()
    assert [two.alive, other.alive] == [0, 0]


def test_two_that_are_held_do_not_evict_each_other_in_turns(store: ComponentStore) -> None:
    one, two = Loads("one"), Loads("two")
    with store.leases() as first:
        mine = one.taken(first)
        for _ in range(3):
            work_with(store, two)
            with store.leases() as again:
                assert one.taken(again) is mine
    assert [len(one.made), len(two.made)] == [1, 1]
    work_with(store, one)
    assert len(one.made) == 1


def test_of_two_of_a_kind_that_nobody_holds_the_last_one_stays(store: ComponentStore) -> None:
    one, two = Loads("one"), Loads("two")
    with store.leases() as first:
        one.taken(first)
        work_with(store, two)
    assert [one.alive, two.alive] == [0, 1]


def test_a_fallback_stays_beside_what_it_stands_in_for(store: ComponentStore) -> None:
    chosen, fallback, other = Loads("chosen"), Loads("fallback"), Loads("other")
    for _ in range(2):
        with store.leases() as leases:
            chosen.taken(leases)
            fallback.taken(leases, beside=True)
    assert [len(chosen.made), len(fallback.made)] == [1, 1]
    work_with(store, fallback)  # now it is what is chosen
    assert [len(fallback.made), chosen.alive] == [1, 0]
    work_with(store, other)
    assert fallback.alive == 0


def test_what_is_released_while_it_is_held_goes_with_its_last_holder(store: ComponentStore) -> None:
    one = Loads("one")
    with store.leases() as leases:
        one.taken(leases)
        one.taken(leases)
        store.release()
        assert one.alive == 1
    assert one.alive == 0


def test_a_failure_is_told_to_all_who_wait_and_can_be_tried_again(
    store: ComponentStore, pool: ThreadPoolExecutor
) -> None:
    held = Held()

    def fail() -> None:
        held()
        if not loads.made:
            loads.made.append(weakref.ref(Network()))
            raise BackendError("its file is damaged", "download it")

    loads = Loads("one", fail)
    with let_go(held):
        askers = [Asker(store, loads) for _ in range(3)]
        asked = [pool.submit(each) for each in askers]
        assert all(each.waits.wait(HANG_SECONDS) for each in askers)
        held.go.set()
        errors = [each.exception(HANG_SECONDS) for each in asked]
    assert [str(error) for error in errors] == ["its file is damaged: download it"] * 3
    assert len(set(map(id, errors))) == 3  # each with a way of its own that it came by
    work_with(store, loads)
    assert loads.alive == 1


def test_who_stops_waiting_leaves_the_load_to_the_others(store: ComponentStore, pool: ThreadPoolExecutor) -> None:
    held = Held()
    loads = Loads("one", held)
    with let_go(held):
        first, second = Asker(store, loads), Asker(store, loads)
        asked = [pool.submit(each) for each in (first, second)]
        assert first.waits.wait(HANG_SECONDS)
        assert second.waits.wait(HANG_SECONDS)
        first.token.cancel()
        with pytest.raises(Cancelled):
            asked[0].result(HANG_SECONDS)
        held.go.set()
        asked[1].result(HANG_SECONDS)
    assert len(loads.made) == loads.alive == 1


def test_a_load_that_nobody_waits_for_ends(store: ComponentStore, pool: ThreadPoolExecutor) -> None:
    held = Held()
    with let_go(held):
        asker = Asker(store, Loads("one", held))
        asked = pool.submit(asker)
        assert held.begun.wait(HANG_SECONDS)
        asker.token.cancel()
        with pytest.raises(Cancelled):
            asked.result(HANG_SECONDS)
        assert held.stopped.wait(HANG_SECONDS)
    two = Loads("two")
    work_with(store, two)
    assert two.alive == 1


def test_where_memory_runs_out_what_nobody_holds_goes_and_it_is_tried_once_more(store: ComponentStore) -> None:
    idle, held, notes = Loads("the enhancer", kind="enhancer"), Loads("the detector", kind="detector"), list[str]()

    def fits() -> None:
        if idle.alive:
            raise OutOfMemoryError("there is not enough memory", "close other programs")

    work_with(store, idle)
    with store.leases(notes.append) as leases:
        held.taken(leases)
        Loads("the network", fits).taken(leases)
        assert held.alive == 1
    assert notes == ["memory ran out while the network was loaded: the enhancer went, and it was loaded once more"]


def test_where_memory_runs_out_and_everything_is_held_that_is_the_error(store: ComponentStore) -> None:
    tries: list[str] = []

    def fail() -> None:
        tries.append("one")
        raise OutOfMemoryError("there is not enough memory", "close other programs")

    with store.leases() as leases:
        Loads("held").taken(leases)
        with pytest.raises(OutOfMemoryError):
            Loads("network", fail, kind="enhancer").taken(leases)
    assert tries == ["one"]


def test_it_is_said_where_two_of_a_kind_are_in_memory_and_how_much_they_take(store: ComponentStore) -> None:
    notes: list[str] = []

    def network(kilobytes: int) -> Callable[[], nn.Module]:
        return lambda: nn.ParameterList([torch.zeros(kilobytes, 256)])

    for _ in range(2):
        with store.leases(notes.append) as leases:
            leases.take(Wanted("generator", 1, "large"), network(2000))
            leases.take(Wanted("generator", 2, "small", beside=True), network(500))
            leases.take(Wanted("enhancer", 3, "small"), network(500))
    assert notes == ["in memory at once, for all are in use: large (1.95 MiB) and small (500 KiB)"] * 2


def test_who_has_ended_takes_nothing_any_more(store: ComponentStore) -> None:
    loads = Loads("one")
    with store.leases() as leases:
        pass
    with pytest.raises(Cancelled):
        loads.taken(leases)
    store.release()
    assert loads.alive == 0


def test_where_memory_is_short_what_nobody_holds_goes_before_something_is_loaded(store: ComponentStore) -> None:
    idle, alive, notes = Loads("the enhancer", kind="enhancer"), list[int](), list[str]()
    loads = Loads("the network", lambda: alive.append(idle.alive))

    def take(*, fits: bool) -> None:
        with store.leases(notes.append) as leases:
            leases.take(Wanted("generator", fits, "the network", fits=lambda: fits), loads)

    work_with(store, idle)
    take(fits=True)
    take(fits=False)
    assert alive == [1, 0]
    assert notes == ["the enhancer went from memory, which was short, before the network was loaded"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="ZeroGPU forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_was_being_loaded_when_a_process_was_forked_is_loaded_anew_in_it(
    store: ComponentStore, pool: ThreadPoolExecutor
) -> None:
    """There is no thread in it that would ever end that load."""
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go.wait(HANG_SECONDS)  # and looks at nothing

    asker = Asker(store, Loads("one", hold))
    asked = pool.submit(asker)
    try:
        assert begun.wait(HANG_SECONDS)
        asker.token.cancel()
        with pytest.raises(Cancelled):
            asked.result(HANG_SECONDS)
        child = os.fork()
        if child == 0:
            anew = Loads("one")
            with store.leases() as leases:
                os._exit(0 if anew.taken(leases) is anew.made[0]() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        go.set()
