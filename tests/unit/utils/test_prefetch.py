from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from musetalk.utils.prefetch import map_closing, prefetch
from tests.helpers.programs import HANG_SECONDS


def alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_order_is_kept_through_several_stages() -> None:
    doubled = prefetch((2 * n for n in prefetch(iter(range(200)), capacity=2, name="a")), capacity=3, name="b")
    assert list(doubled) == list(range(0, 400, 2))


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def three_then_fail() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the first error")

    got: list[int] = []
    with pytest.raises(ValueError, match="the first error"):
        got.extend(prefetch(prefetch(three_then_fail(), capacity=1, name="fails"), capacity=1, name="outer"))
    assert got == [0, 1, 2]
    assert not alive("fails")
    assert not alive("outer")


def test_work_stays_within_the_bound() -> None:
    made: list[int] = []
    third = threading.Event()

    def count() -> Iterator[int]:
        for n in range(100):
            made.append(n)
            if n == 3:
                third.set()
            yield n

    stage = prefetch(count(), capacity=2, name="bounded")
    assert next(stage) == 0
    assert third.wait(HANG_SECONDS)  # one taken, two in the queue, one waiting to be put
    stage.close()
    assert made == [0, 1, 2, 3]


def test_closing_ends_every_stage_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    inner = prefetch(endless(), capacity=1, name="inner")
    outer = prefetch(map_closing(str, inner), capacity=1, name="outer")
    assert next(outer) == "0"
    outer.close()
    assert closed.is_set()
    assert not alive("outer")
    assert not alive("inner")


def test_a_failing_stage_closes_the_ones_before_it_though_its_traceback_lives() -> None:
    def fail(number: int) -> int:
        raise ValueError(number)

    before = prefetch(iter_forever(), capacity=1, name="before")
    with pytest.raises(ValueError, match="0") as caught:
        list(prefetch(map_closing(fail, before), capacity=1, name="failing"))
    assert caught.value.__traceback__ is not None
    assert not alive("before")


def iter_forever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1
